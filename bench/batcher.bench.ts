/**
 * What the batcher costs an event, beside JSON.parse on the same lines in the same run:
 * `node bin/runtime.mjs bench/batcher.bench.ts [SECONDS]`. Prints medians of several rounds.
 */
import { Batcher } from "#batcher/batcher.ts";
import { Splitter } from "#batcher/splitter.ts";
import { Random } from "#std/random.ts";

const SEED = 7;
const RECORD_BYTES = 64 * 1024;
const ROUND_COUNT = 9;
const TENANT_COUNTS = [1, 100, 10_000, 100_000];
const NOW_MS = 1_795_197_600_000;
const WORDS =
  "stream goal great the a of new match late again who can we see live chat nice play win".split(
    " ",
  );

const seconds = Number(process.argv[2] ?? 3);
const random = new Random(SEED);
print(`seed ${SEED}, medians of ${ROUND_COUNT} rounds`);
const fixed = makeEvents(20_000, 0);
benchParse("parse, fixed tenant, ASCII", fixed, true);
benchParse(
  "parse, fixed tenant, Japanese",
  makeEvents(20_000, 0, "今日の試合は本当にすごかった、"),
  true,
);
benchParse("parse, tenant in line, 1000", makeEvents(20_000, 1_000), false);
benchSplit("split array, by tenant", makeEvents(20_000, 1_000), "json", -1);
benchSplit("split array, fixed", makeEvents(20_000, 1_000), "json", 0);
benchSplit("split lines, by tenant", makeEvents(20_000, 1_000), "ndjson", -1);
benchJsonParse("JSON.parse a line", fixed);
for (const tenantCount of TENANT_COUNTS) benchGroup(tenantCount);

function makeEvents(count: number, tenantCount: number, phrase?: string): string[] {
  return Array.from({ length: count }, (_, index) => {
    let text = phrase ?? "";
    while (text.length < 60 && phrase === undefined)
      text += `${WORDS[random.below(WORDS.length)]!} `;
    return JSON.stringify({
      id: `m${index}`,
      ...(tenantCount > 0 && { tenant: `tenant-${random.below(tenantCount)}` }),
      user: `u${random.below(5000)}`,
      conversation: "general",
      tsMs: NOW_MS - random.below(60_000),
      text,
    });
  });
}

function benchParse(label: string, events: string[], fixedTenant: boolean): void {
  const batcher = new Batcher();
  const tenant = fixedTenant ? batcher.tenantAdd("acme") : -1;
  const records = cutRecords(events);
  const eventCount = records.reduce((sum, { lineCount }) => sum + lineCount, 0);
  const byteCount = records.reduce((sum, { bytes }) => sum + bytes.length, 0);
  measure(label, eventCount, byteCount, () => {
    for (const { bytes } of records) {
      batcher.input.set(bytes);
      batcher.parse("lines", bytes.length, tenant, 1, 0, NOW_MS);
      if (batcher.rejectedCount > 0) throw new Error("The benchmark's events are wrong.");
      if (batcher.eventCount > 10_000) batcher.clear();
    }
  });
}

function benchSplit(
  label: string,
  events: string[],
  format: "json" | "ndjson",
  fixedShard: number,
): void {
  const splitter = new Splitter(4);
  const text = format === "json" ? `[${events.join(",")}]` : events.join("\n");
  const body = Buffer.from(text);
  measure(label, events.length, body.length, () => {
    if (splitter.split(body, format, fixedShard).elementCount !== events.length) {
      throw new Error("The benchmark's body is wrong.");
    }
  });
}

function benchJsonParse(label: string, events: string[]): void {
  const lines = events.map((event) => Buffer.from(event));
  const byteCount = lines.reduce((sum, line) => sum + line.length, 0);
  let hash = 0;
  measure(label, events.length, byteCount, () => {
    for (const line of lines) {
      const event = JSON.parse(line.toString("utf8")) as { text: string };
      hash += event.text.length;
    }
  });
  if (hash === 0) throw new Error("Nothing was parsed.");
}

function benchGroup(tenantCount: number): void {
  const batcher = new Batcher();
  const records = cutRecords(makeEvents(20_000, tenantCount));
  for (const { bytes } of records) {
    batcher.input.set(bytes);
    batcher.parse("lines", bytes.length, -1, 1, 0, NOW_MS);
  }
  let batchCount = 0;
  const label = `group, ${tenantCount} tenants`;
  measure(label, batcher.eventCount, 0, () => (batchCount = batcher.group(NOW_MS)));
  print(`  ${batcher.eventCount} events in ${batchCount} batches`);
}

function cutRecords(events: string[]): { bytes: Uint8Array; lineCount: number }[] {
  const records: { bytes: Uint8Array; lineCount: number }[] = [];
  let lines: string[] = [];
  let byteCount = 0;
  for (const event of events) {
    lines.push(event);
    byteCount += Buffer.byteLength(event) + 1;
    if (byteCount < RECORD_BYTES) continue;
    records.push({ bytes: Buffer.from(`${lines.join("\n")}\n`), lineCount: lines.length });
    lines = [];
    byteCount = 0;
  }
  return records;
}

/** Medians of rounds of equal time; the first round warms up and is not counted. */
function measure(label: string, operationCount: number, byteCount: number, body: () => void): void {
  const roundMs = (seconds * 1000) / (ROUND_COUNT + 1) / 10;
  const samples: number[] = [];
  for (let round = 0; round <= ROUND_COUNT; round++) {
    const startMs = performance.now();
    let repeats = 0;
    let elapsedMs = 0;
    do {
      body();
      repeats += 1;
      elapsedMs = performance.now() - startMs;
    } while (elapsedMs < roundMs);
    if (round > 0) samples.push((elapsedMs * 1e6) / repeats / operationCount);
  }
  const ns = samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
  const speed =
    byteCount === 0 ? "" : `, ${((byteCount / operationCount / ns) * 1000).toFixed(0)} MB/s`;
  print(`${label}: ${ns.toFixed(1)} ns an event${speed}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
