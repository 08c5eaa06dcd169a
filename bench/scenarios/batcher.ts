/**
 * What turning JSON into batches costs an event: the split on the I/O thread, the parse and the
 * grouping in the shard, all Wasm, beside JSON.parse of the same lines in the same round. Every
 * round measures every part once, each for `milliseconds`; the first round warms up and is not
 * counted.
 *
 *   parseNsPerEvent           NDJSON of one tenant's route, ASCII text
 *   parseJapaneseNsPerEvent   the same with text of three bytes a character
 *   parseNamedNsPerEvent      every line names one of 1,000 tenants
 *   splitNsPerEvent           NDJSON to four shards by the tenant in each line; splitArray: a JSON
 *                             array
 *   groupNsPerEvent.N         laying out 20,000 events of N tenants as batches
 *   jsonParseNsPerEvent       Buffer to string to JSON.parse, one line at a time: objects, no
 *                             batches
 */
import { Batcher } from "#batcher/batcher.ts";
import { Splitter } from "#batcher/splitter.ts";
import { Random } from "#std/random.ts";
import { allocatedBytes } from "../allocation.ts";
import { type Bench, expectEqual, type Scenario } from "../harness.ts";
import { seededTexts } from "../workload.ts";

export const batcher: Scenario = {
  name: "batcher",
  sentence: "from JSON to batches: split, parse and group, beside JSON.parse in the same run",
  parameters: {
    runs: { full: 9, quick: 1, sentence: "rounds, after one to warm up" },
    events: { full: 20_000, quick: 300, sentence: "different events" },
    milliseconds: { full: 150, quick: 1, sentence: "time of each part in a round, at least" },
    seed: { full: 7, quick: 7, sentence: "of everything drawn" },
  },
  run,
};

const RECORD_BYTES = 64 * 1024;
const SHARDS = 4;
const TENANTS_NAMED = 1_000;
const TENANTS_GROUPED = [1, 100, 10_000, 100_000];
const NOW_MS = 1_795_197_600_000;
const JAPANESE = "今日の試合は本当にすごかった、";
/** An arena is cleared before it is full, as a step of the shard ends. */
const STEP_EVENTS = 10_000;

type Part = {
  readonly name: string;
  readonly events: number;
  /** Does all its events once; returns a count that follows from the seed. */
  readonly body: () => number;
};

async function run(bench: Bench): Promise<void> {
  const random = new Random(bench.number("seed"));
  const count = bench.number("events");
  const plain = makeEvents(random, count, 0);
  const named = makeEvents(random, count, TENANTS_NAMED);
  const parts: Part[] = [
    parsePart("parseNsPerEvent", plain, true),
    parsePart("parseJapaneseNsPerEvent", makeEvents(random, count, 0, JAPANESE), true),
    parsePart("parseNamedNsPerEvent", named, false),
    splitPart("splitNsPerEvent", named, "ndjson"),
    splitPart("splitArrayNsPerEvent", named, "json"),
    jsonPart("jsonParseNsPerEvent", plain),
    ...TENANTS_GROUPED.map((tenants) => groupPart(makeEvents(random, count, tenants), tenants)),
  ];
  for (let round = 0; round <= bench.number("runs"); round++) {
    bench.progress(`batcher: round ${round}`);
    for (const part of parts) measurePart(bench, part, round > 0);
  }
}

function measurePart(bench: Bench, { name, events, body }: Part, counts: boolean): void {
  const milliseconds = bench.number("milliseconds");
  const allocatedBefore = allocatedBytes();
  const startMs = performance.now();
  let elapsedMs = 0;
  let repeats = 0;
  do {
    bench.fact(name, body());
    repeats += 1;
    elapsedMs = performance.now() - startMs;
  } while (elapsedMs < milliseconds);
  if (!counts) return;
  bench.record(name, (elapsedMs * 1e6) / repeats / events, "ns");
  const allocated = (allocatedBytes() - allocatedBefore) / repeats / events;
  const allocatedName = name.replace("NsPerEvent", "AllocatedBytesPerEvent");
  if (Number.isFinite(allocated)) bench.record(allocatedName, allocated, "bytes");
}

function makeEvents(random: Random, count: number, tenants: number, phrase?: string): string[] {
  const texts = seededTexts(random, count);
  return texts.map((text, index) => {
    return JSON.stringify({
      id: `m${index}`,
      ...(tenants > 0 && { tenant: `tenant-${random.below(tenants)}` }),
      user: `u${random.below(5000)}`,
      conversation: "general",
      tsMs: NOW_MS - random.below(60_000),
      text: phrase ?? text,
    });
  });
}

function parsePart(name: string, events: readonly string[], fixedTenant: boolean): Part {
  const batcher = new Batcher();
  const tenant = fixedTenant ? batcher.tenantAdd("acme") : -1;
  const records = cutRecords(events);
  const body = (): number => {
    let accepted = 0;
    for (const bytes of records) {
      batcher.input.set(bytes);
      batcher.parse("lines", bytes.length, tenant, 1, 0, NOW_MS);
      accepted += batcher.acceptedCount;
      if (batcher.eventCount > STEP_EVENTS) batcher.clear();
    }
    expectEqual(`${name}: events accepted`, accepted, events.length);
    return accepted;
  };
  return { name, events: events.length, body };
}

function splitPart(name: string, events: readonly string[], format: "json" | "ndjson"): Part {
  const splitter = new Splitter(SHARDS);
  const text = format === "json" ? `[${events.join(",")}]` : events.join("\n");
  const bytes = Buffer.from(text);
  const body = (): number => {
    const { elementCount, chunkCount } = splitter.split(bytes, format, -1);
    expectEqual(`${name}: events found`, elementCount, events.length);
    return chunkCount;
  };
  return { name, events: events.length, body };
}

function jsonPart(name: string, events: readonly string[]): Part {
  const lines = events.map((event) => Buffer.from(event));
  const body = (): number => {
    let characters = 0;
    for (const line of lines) {
      characters += (JSON.parse(line.toString("utf8")) as { text: string }).text.length;
    }
    return characters;
  };
  return { name, events: events.length, body };
}

function groupPart(events: readonly string[], tenants: number): Part {
  const batcher = new Batcher();
  for (const bytes of cutRecords(events)) {
    batcher.input.set(bytes);
    batcher.parse("lines", bytes.length, -1, 1, 0, NOW_MS);
  }
  expectEqual("events that wait to be grouped", batcher.eventCount, events.length);
  const body = (): number => batcher.group(NOW_MS);
  return { name: `groupNsPerEvent.${tenants}`, events: events.length, body };
}

/** Whole lines, together at least RECORD_BYTES. */
function cutRecords(events: readonly string[]): Uint8Array[] {
  const records: Uint8Array[] = [];
  let lines: string[] = [];
  let byteCount = 0;
  for (const event of events) {
    lines.push(event);
    byteCount += Buffer.byteLength(event) + 1;
    if (byteCount < RECORD_BYTES) continue;
    records.push(Buffer.from(`${lines.join("\n")}\n`));
    lines = [];
    byteCount = 0;
  }
  if (lines.length > 0) records.push(Buffer.from(`${lines.join("\n")}\n`));
  return records;
}
