/**
 * What the kernel aggregates on all cores at once: as many senders as cores, each at full speed, in
 * processes of their own, while one thread turns the epoch and empties the tables. On a loopback
 * the filter runs inside the senders' system calls, so senders, filter and drain share the cores:
 * nothing is left over, and nothing is handed to tenants.
 *
 *   eventsPerSecond.tenantTerm     into tables of (tenant, term)
 *   eventsPerSecond.tenantTotals   the same with one term
 *   ….eventsPerSenderCpuSecond     events a second of one core's time, filter and sender: firm
 *                                  where others use the machine, too; the drain is not in it
 *   ….lostEvents                   sent, and in nobody's table
 *   ….absorbedShare                1 - (slots and log entries read) / events
 *
 * Every record that was aggregated is drained, or the run fails.
 */
import { availableParallelism, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { openEventSocket } from "#ingest/event-socket.ts";
import { Drain } from "#kernel/drain.ts";
import { Receiver, type SocketReader } from "#kernel/receiver.ts";
import { openStage } from "#kernel/stage.ts";
import { readStageStats, type StageStats } from "#kernel/stage-stats.ts";
import { DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { Child } from "../child.ts";
import type { FloodedMessage, PreparedMessage } from "../children/flood.ts";
import { alternate, type Bench, expectEqual, type Scenario, UsageError } from "../harness.ts";

export const kernelCores: Scenario = {
  name: "kernel-cores",
  sentence: "the eBPF aggregator on all cores at once, senders included",
  parameters: {
    runs: { full: 5, quick: 1, sentence: "of each variant" },
    seconds: { full: 2, quick: 0.1, sentence: "of one run" },
    senders: { full: "cores", quick: "cores", sentence: "processes that send; cores: one each" },
    turnMs: { full: 15, quick: 15, sentence: "between two drains" },
    tenants: { full: 10_000, quick: 50, sentence: "tenants" },
    terms: { full: 1_000, quick: 20, sentence: "terms of each, where there are terms" },
    tenantExponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    termExponent: { full: 1.1, quick: 1.1, sentence: "Zipf exponent of the terms" },
    poolEvents: { full: 1_000_000, quick: 20_000, sentence: "drawn by each sender" },
    slotBits: { full: 14, quick: 14, sentence: "log2 of the slots of a table" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
  },
  run: async (bench) => {
    const variants = [
      { name: "tenantTerm", termCount: bench.number("terms") },
      { name: "tenantTotals", termCount: 1 },
    ].map(({ name, termCount }) => ({
      name,
      run: async (): Promise<void> => runCores(bench, name, termCount),
    }));
    await alternate(bench.number("runs"), variants);
  },
};

/** Else senders at full speed would keep the one who empties the tables waiting. */
const NICE = -10;
/** Of a buffer of 2^22; a turn brings less than the rest of it. */
const LOG_BITS = 22;
const GATHERED_MAX = 500_000;

async function runCores(bench: Bench, name: string, termCount: number): Promise<void> {
  bench.progress(`kernel-cores: ${name}`);
  const stage = openStage({
    shardCount: 1,
    path: "kernel",
    slotBits: bench.number("slotBits"),
    logBits: LOG_BITS,
    bufferRecords: 2 ** 22,
  });
  if (stage.facts.path !== "kernel") {
    throw new UsageError(`The kernel stage needs ${stage.facts.missing.join(", ")}.`);
  }
  const { handle } = stage;
  const socket = openEventSocket({ host: "127.0.0.1", port: 0, programFd: handle.programFd });
  const emptied = new Emptied(handle, socket.fd);
  const senders: Child[] = [];
  try {
    for (let i = 0; i < senderCount(bench); i++) {
      senders.push(await prepare(bench, { number: i, port: socket.port, termCount }));
      emptied.turn();
    }
    comeFirst(NICE);
    const before = emptied.stats;
    const startMs = performance.now();
    const ends = senders.map(async (sender) => {
      const options = { events: 1e12, eventsPerSecond: 0, secondsMax: bench.number("seconds") };
      sender.send({ type: "flood", options });
      return (await sender.next<FloodedMessage>("flooded")).result;
    });
    const results = await emptied.until(Promise.all(ends), bench.number("turnMs"));
    const seconds = (performance.now() - startMs) / 1_000;
    // What still waits in the socket belongs to nobody's rate.
    emptied.turn();
    emptied.turn();
    const { kernel, shards, user } = emptied.stats;
    const records = kernel.records + user.records - before.kernel.records - before.user.records;
    const drained = shards.drainedCount - before.shards.drainedCount;
    const sent = results.reduce((sum, { events }) => sum + events, 0);
    expectEqual("records drained", drained, records);
    bench.record(`eventsPerSecond.${name}`, records / seconds, "events/s");
    const cpuSeconds = results.reduce((sum, result) => sum + result.cpuSeconds, 0);
    bench.record(`${name}.eventsPerSenderCpuSecond`, sent / cpuSeconds, "events/s");
    bench.record(`${name}.lostEvents`, sent - records, "events");
    const read = shards.drainedRecords - before.shards.drainedRecords;
    bench.record(`${name}.absorbedShare`, 1 - read / drained, "share");
  } finally {
    comeFirst(0);
    for (const sender of senders) await sender.stop();
    socket.close();
    stage.close();
  }
}

/** Turns the epoch, empties the tables, and throws away what was in them: only the books count. */
class Emptied {
  readonly #handle: ConstructorParameters<typeof Receiver>[0];
  readonly #receiver: Receiver;
  #drain: Drain;
  readonly #reader: SocketReader;

  constructor(handle: ConstructorParameters<typeof Receiver>[0], fd: number) {
    this.#handle = handle;
    this.#receiver = new Receiver(handle);
    this.#drain = this.#newDrain();
    this.#reader = this.#receiver.readSocket(fd);
  }

  get stats(): StageStats {
    return readStageStats(this.#handle);
  }

  /** Reads once only: senders at full speed may fill the socket faster than it is read. */
  turn(): void {
    this.#reader.read();
    this.#receiver.turn();
    while (this.#drain.pending) this.#drain.collect();
    // A drain that begins anew has nothing gathered: sorting for nobody would only take time.
    if (this.#drain.gathered > GATHERED_MAX) this.#drain = this.#newDrain();
  }

  #newDrain(): Drain {
    return new Drain(this.#handle, { shard: 0, incarnation: 0 });
  }

  /** Every so often, until the promise is kept. */
  async until<T>(promise: Promise<T>, turnMs: number): Promise<T> {
    let isKept = false;
    const kept = promise.finally(() => void (isKept = true));
    while (!isKept) {
      this.turn();
      await sleep(turnMs);
    }
    return kept;
  }
}

async function prepare(
  bench: Bench,
  { number, port, termCount }: { number: number; port: number; termCount: number },
): Promise<Child> {
  const child = await Child.start(new URL("../children/flood.ts", import.meta.url));
  const settings = {
    host: "127.0.0.1",
    port,
    seed: bench.number("seed") + number,
    tenantCount: bench.number("tenants"),
    tenantExponent: bench.number("tenantExponent"),
    termCount,
    termExponent: bench.number("termExponent"),
    weightMax: 1,
    poolEvents: bench.number("poolEvents"),
    datagramBytes: DATAGRAM_BYTES_MAX,
  };
  child.send({ type: "prepare", settings });
  await child.next<PreparedMessage>("prepared");
  return child;
}

function comeFirst(priority: number): void {
  try {
    setPriority(priority);
  } catch {
    // Whoever may load eBPF may mostly do this, too; without it the figures are lower.
  }
}

function senderCount(bench: Bench): number {
  const said = bench.text("senders");
  return said === "cores" ? availableParallelism() : Number(said);
}
