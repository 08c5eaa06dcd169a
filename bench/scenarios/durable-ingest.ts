/**
 * What it costs to wait for the disk: NDJSON over HTTP, a body a tenant, answered once the events
 * are on disk (`disk.`) and once they are in memory, from where they are written all the same
 * (`memory.`). For each size of a body the two take turns, each on a server just started.
 *
 *   plain.  the same bytes appended to a plain file, and synced for as many bodies at once as there
 *           are connections: nobody who waits for every answer can have more
 *
 * Small bodies are few events a sync unless many wait: there the connections decide, and the plain
 * file shows what is left to win. What was accepted is what the server counted, or the run fails.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFillSync } from "node:crypto";
import { alternate, type Bench, expectEqual, type Scenario, UsageError } from "../harness.ts";
import { loadTarget } from "../served-load.ts";
import { Server } from "../server.ts";
import { quantile } from "../statistics.ts";
import { loadCorpus } from "../workload.ts";

export const durableIngest: Scenario = {
  name: "durable-ingest",
  sentence: "events a second and waits by what an answer waits for, beside a plain append and sync",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "servers started for each size and each kind of answer" },
    sizes: { full: "1,16,100,1000", quick: "1,50", sentence: "events of one request" },
    events: { full: 400_000, quick: 1_000, sentence: "events of the timed part, if not too many" },
    requestsMax: { full: 20_000, quick: 100, sentence: "requests of the timed part at most" },
    warmShare: { full: 0.1, quick: 0.2, sentence: "of that many events are sent before, untimed" },
    connections: { full: 16, quick: 2, sentence: "keep-alive connections, one request each" },
    tenants: { full: 1_000, quick: 20, sentence: "tenants" },
    exponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    shards: { full: 1, quick: 1, sentence: "shard threads of the server" },
    slots: { full: 1_024, quick: 16, sentence: "warm instances a shard" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

type Ack = "disk" | "memory";

/** Of each size, the bytes of its requests, and events a second in memory of the round at hand. */
type Seen = { requestBytes: number; requests: number; rates: Map<string, number> };

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  for (const text of bench.text("sizes").split(",")) {
    const size = Number(text);
    if (!Number.isSafeInteger(size) || size < 1) throw new UsageError(`${text} is no size.`);
    const seen: Seen = { requestBytes: 0, requests: 0, rates: new Map() };
    const variants = (["memory", "disk"] as const).map((ack) => ({
      name: ack,
      run: async (round: number) => runServed(bench, { size, ack, round }, seen),
    }));
    await alternate(bench.number("runs"), variants);
    for (let round = 0; round < bench.number("runs"); round++) runPlain(bench, size, seen);
  }
}

async function runServed(
  bench: Bench,
  { size, ack, round }: { size: number; ack: Ack; round: number },
  seen: Seen,
): Promise<void> {
  bench.progress(`durable-ingest: bodies of ${size}, ${ack}, run ${round + 1}`);
  const timed = Math.min(bench.number("events"), bench.number("requestsMax") * size);
  const warm = Math.ceil(timed * bench.number("warmShare"));
  const settings = {
    route: "fixed" as const,
    events: timed + warm,
    bodyEvents: size,
    connections: bench.number("connections"),
    tenantCount: bench.number("tenants"),
    exponent: bench.number("exponent"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
    secondsMax: 120,
    ack,
  };
  const server = await Server.start({
    shardCount: bench.number("shards"),
    slotCount: bench.number("slots"),
  });
  try {
    const load = await loadTarget(server, settings, warm);
    const [status, storage] = await Promise.all([server.status(), server.storage()]);
    const { result } = load;
    expectEqual("events rejected", result.rejected, 0);
    expectEqual("events accepted", load.accepted, settings.events);
    expectEqual("events the server counted", status.eventCount, load.counted);
    bench.fact(`b${size}.accepted`, load.accepted);
    const put = (name: string, value: number, unit: string): void => {
      bench.record(`${ack}.b${size}.${name}`, value, unit);
    };
    const rate = result.events / result.seconds;
    put("eventsPerSecond", rate, "events/s");
    put("requestP50Ms", result.requestMs.p50, "ms");
    put("requestP99Ms", result.requestMs.p99, "ms");
    put("cpuUsPerEvent", (load.cpuSeconds * 1e6) / result.events, "us");
    put("commits", storage.commitCount, "groups");
    put("commitP50Ms", storage.commitMs.p50, "ms");
    put("commitP99Ms", storage.commitMs.p99, "ms");
    seen.requestBytes = result.bytes / result.requests;
    seen.requests = result.requests;
    tellRatio(bench, { size, ack, round, rate }, seen);
  } finally {
    await server.stop();
  }
}

/** Of the two of a round, whichever came first. */
function tellRatio(
  bench: Bench,
  { size, ack, round, rate }: { size: number; ack: Ack; round: number; rate: number },
  { rates }: Seen,
): void {
  rates.set(`${ack} ${round}`, rate);
  const [disk, memory] = [rates.get(`disk ${round}`), rates.get(`memory ${round}`)];
  if (disk === undefined || memory === undefined) return;
  bench.record(`ratioToMemoryAck.b${size}`, disk / memory, "ratio");
}

/** Bodies of the same bytes, one after the other; a sync for as many as could wait at once. */
function runPlain(bench: Bench, size: number, { requestBytes, requests }: Seen): void {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-bench-"));
  const file = openSync(join(folder, "plain"), "w");
  const body = randomFillSync(Buffer.alloc(Math.round(requestBytes)));
  const together = bench.number("connections");
  const waits = new Float64Array(Math.ceil(requests / together));
  const startMs = performance.now();
  for (let group = 0, sent = 0; sent < requests; group++) {
    const groupMs = performance.now();
    for (let i = 0; i < together && sent < requests; i++, sent++) writeSync(file, body);
    fdatasyncSync(file);
    waits[group] = performance.now() - groupMs;
  }
  const seconds = (performance.now() - startMs) / 1000;
  closeSync(file);
  rmSync(folder, { recursive: true });
  bench.record(`plain.b${size}.eventsPerSecond`, (requests * size) / seconds, "events/s");
  bench.record(`plain.b${size}.bytesPerSecond`, (requests * body.length) / seconds, "bytes/s");
  bench.record(`plain.b${size}.syncP50Ms`, quantile(waits, 0.5), "ms");
  bench.record(`plain.b${size}.syncP99Ms`, quantile(waits, 0.99), "ms");
}
