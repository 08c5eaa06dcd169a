/**
 * How old an answer is under load: while event datagrams flood the server, a client records one
 * more event of a tenant of its own and asks for the tenant's window at once, over and over.
 *
 *   firstAnswerHoldsShare   of the questions, answered with everything recorded before them
 *   answerP50Ms, …P99Ms     from the question to its answer, HTTP included
 *   behindP50Ms, …MaxMs     from the record to the first answer that holds it
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { DatagramClient } from "../../client/datagram-client.ts";
import { type Bench, type Scenario } from "../harness.ts";
import { Flood } from "../served-flood.ts";
import { Server } from "../server.ts";
import { quantile } from "../statistics.ts";

const TENANT = "somebody";
const TERM = "recorded";
/** As `GET` says it: the tenant has no event yet. */
const UNKNOWN = "404";

export const freshness: Scenario = {
  name: "freshness",
  sentence: "how old an answer is while millions of event datagrams a second come in",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "servers flooded" },
    eventsPerSecond: { full: 4_200_000, quick: 200_000, sentence: "offered" },
    seconds: { full: 15, quick: 0.5, sentence: "of the flood" },
    pauseMs: { full: 200, quick: 50, sentence: "between two questions" },
    tenants: { full: 100_000, quick: 300, sentence: "tenants" },
    terms: { full: 1_000, quick: 50, sentence: "terms, used by every tenant" },
    poolEvents: { full: 4_000_000, quick: 40_000, sentence: "events drawn, sent over and over" },
    warmEventsPerSecond: { full: 400_000, quick: 400_000, sentence: "offered to make the tenants" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
  },
  run: async (bench) => {
    for (let run = 0; run < bench.number("runs"); run++) await measure(bench);
  },
};

async function measure(bench: Bench): Promise<void> {
  const server = await Server.start({ kernelTelemetry: "basic" });
  const flood = await Flood.start(server, {
    seed: bench.number("seed"),
    tenantCount: bench.number("tenants"),
    tenantExponent: 1,
    termCount: bench.number("terms"),
    termExponent: 1.1,
    weightMax: 1,
    poolEvents: bench.number("poolEvents"),
    datagramBytes: DATAGRAM_BYTES_MAX,
  });
  const { host, port } = flood.facts as unknown as { host: string; port: number };
  const client = new DatagramClient({ host, port });
  try {
    bench.progress("freshness: tenants are made");
    const eventsPerSecond = bench.number("warmEventsPerSecond");
    const events = bench.number("poolEvents");
    await flood.send({ events, eventsPerSecond, secondsMax: 60 });
    await flood.settle();
    bench.progress("freshness: flood");
    let isOver = false;
    const over = flood.send({
      events: 1e12,
      eventsPerSecond: bench.number("eventsPerSecond"),
      secondsMax: bench.number("seconds"),
    });
    const ended = over.finally(() => void (isOver = true));
    const asked = new Asked();
    while (!isOver) {
      await asked.once(server, client);
      await sleep(bench.number("pauseMs"));
    }
    await ended;
    asked.record(bench);
  } finally {
    await client.close();
    await flood.stop();
    await server.stop();
  }
}

class Asked {
  #recorded = 0;
  #firstHolds = 0;
  readonly #answerMs: number[] = [];
  readonly #behindMs: number[] = [];

  /** Records an event and asks until an answer holds it. */
  async once(server: Server, client: DatagramClient): Promise<void> {
    client.record(TENANT, TERM, 1);
    await client.flush();
    this.#recorded += 1;
    const recordedMs = performance.now();
    for (let answers = 1; ; answers++) {
      const askedMs = performance.now();
      const count = await windowCount(server);
      const answeredMs = performance.now();
      if (answers === 1) this.#answerMs.push(answeredMs - askedMs);
      if (count !== this.#recorded) continue;
      if (answers === 1) this.#firstHolds += 1;
      this.#behindMs.push(answeredMs - recordedMs);
      return;
    }
  }

  record(bench: Bench): void {
    bench.record("questions", this.#recorded, "questions");
    bench.record("firstAnswerHoldsShare", this.#firstHolds / this.#recorded, "share");
    bench.record("answerP50Ms", at(this.#answerMs, 0.5), "ms");
    bench.record("answerP99Ms", at(this.#answerMs, 0.99), "ms");
    bench.record("behindP50Ms", at(this.#behindMs, 0.5), "ms");
    bench.record("behindMaxMs", at(this.#behindMs, 1), "ms");
  }
}

async function windowCount(server: Server): Promise<number> {
  try {
    return (await server.window(TENANT, 1)).items[0]?.count ?? 0;
  } catch (error) {
    if (error instanceof Error && error.message.includes(UNKNOWN)) return 0;
    throw error;
  }
}

function at(values: readonly number[], share: number): number {
  return quantile(Float64Array.from(values), share);
}
