import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { Batcher } from "#batcher/batcher.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import * as limits from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { readBatch } from "#testing/batch.ts";
import {
  bytesOf,
  comparable,
  elementsRecord,
  judge,
  linesRecord,
  NOW_MS,
  takeEvents,
} from "#testing/batcher-driver.ts";
import { judgeElement } from "#testing/event-oracle.ts";
import { decimal, mutate, noisyEvent } from "#testing/json-noise.ts";
import { SEED } from "#testing/seed.ts";

const CASE_COUNT = Number(process.env.CASES ?? 40_000);

void test(`the batcher agrees with JSON.parse on ${CASE_COUNT} events (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const batcher = new Batcher();
  const seen = new Map<string, number>();
  for (let done = 0; done < CASE_COUNT; done += 100) {
    const tenant = random.chance(1, 3) ? "acme" : undefined;
    const elements = Array.from({ length: 100 }, () => {
      const bytes = Buffer.from(noisyEvent(random, random.chance(1, 2) ? 0 : 15));
      return random.chance(1, 4) ? mutate(random, bytes) : bytes;
    });
    const answers = judge(batcher, elements, tenant === undefined ? {} : { tenant });
    for (const [i, bytes] of elements.entries()) {
      const expected = judgeElement(bytes, { tenant, nowMs: NOW_MS });
      const label = `SEED=${SEED}, ${tenant}, ${JSON.stringify(Buffer.from(bytes).toString())}`;
      assert.deepEqual(comparable(answers[i]!), comparable(expected), label);
      const outcome = typeof expected === "string" ? expected : "accepted";
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
  }
  // A generator that never reaches an outcome would prove nothing of it.
  const reached = `
    accepted malformedJson notAnObject invalidUtf8 eventEmpty tenantMissing tenantIllegal
    tenantMismatch idInvalid userInvalid conversationInvalid tsInvalid tsInFuture textInvalid
    termsInvalid termInvalid metricsInvalid weightInvalid dataUnsupported`;
  if (CASE_COUNT < 20_000) return;
  for (const outcome of reached.trim().split(/\s+/)) {
    assert.ok((seen.get(outcome) ?? 0) >= 5, `${outcome} came ${seen.get(outcome) ?? 0} times`);
  }
  assert.ok(seen.get("accepted")! > CASE_COUNT / 8, `${seen.get("accepted")} accepted`);
});

void test(`numbers are the doubles JSON.parse makes, to the last bit (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const batcher = new Batcher();
  const fixed = [
    "9007199254740993",
    "9007199254740992.5",
    "9007199254740993.0000000000000000000000000000000000000001",
    "2.2250738585072011e-308",
    "2.4703282292062327208e-324",
    "2.4703282292062328e-324",
    "1.7976931348623158079e308",
    "1.7976931348623157e308",
    "123456789012345678",
    `0.${"0".repeat(320)}5`,
    `${"1".repeat(300)}`,
    `1${"0".repeat(900)}e-900`,
    `0.${"0".repeat(900)}123e901`,
    `9007199254740992${"0".repeat(10)}1${"0".repeat(900)}e-900`,
    `4503599627370497.5${"0".repeat(800)}1`,
    `4503599627370496.5${"0".repeat(800)}1`,
    `4503599627370497.5${"0".repeat(2000)}`,
    "-0",
    "-0.0e5",
    "1e99999999999",
    "1e-99999999999",
    "0e99999999999",
  ];
  const texts = [
    ...fixed,
    ...nearPowersOfTwo(),
    ...Array.from({ length: 20_000 }, () =>
      random.chance(1, 3) ? shortest(random) : decimal(random),
    ),
  ];
  for (let start = 0; start < texts.length; start += 100) {
    const slice = texts.slice(start, start + 100);
    const answers = judge(
      batcher,
      slice.map((text) => bytesOf(`{"tenant":"t","metrics":{"m":${text}}}`)),
    );
    for (const [i, text] of slice.entries()) {
      const answer = answers[i]!;
      const expected = Number(text);
      const got = typeof answer === "string" ? answer : answer.event.metrics[0]!.value;
      assert.ok(
        Object.is(got, Number.isFinite(expected) ? expected : "metricsInvalid"),
        `${text} became ${got}`,
      );
    }
  }
});

/**
 * Exact decimals just below powers of two, where doubles lie twice as close as above: on the
 * midpoint and to either side of it.
 */
function nearPowersOfTwo(): string[] {
  const texts: string[] = [];
  for (let power = -1_080; power <= 1_024; power += 1) {
    for (let below = 1n; below <= 7n; below++) {
      const mantissa = (1n << 56n) - below;
      const shift = power - 56;
      if (shift >= 0) texts.push(String(mantissa << BigInt(shift)));
      else texts.push(`${mantissa * 5n ** BigInt(-shift)}e${shift}`);
    }
  }
  return texts;
}

/** A double of random bits, as it is printed: 17 digits at most, and the hardest to read. */
function shortest(random: Random): string {
  const value = new Float64Array(Uint32Array.of(random.u32(), random.u32()).buffer)[0]!;
  return Number.isFinite(value)
    ? String(value).replace("e+", random.chance(1, 2) ? "e+" : "E")
    : "0";
}

const long = (count: number): string => "x".repeat(count);

void test("bad UTF-8 is refused wherever it stands", () => {
  const batcher = new Batcher();
  const bad = [
    "80",
    "c080",
    "c1bf",
    "c3",
    "e08080",
    "e2 82",
    "eda080",
    "f0808080",
    "f4908080",
    "f8",
  ];
  for (const hex of bad) {
    for (let before = 0; before < 40; before++) {
      const start = Buffer.from(`{"tenant":"t","text":"${long(before)}`);
      const bytes = Buffer.concat([
        start,
        Buffer.from(hex.replace(" ", ""), "hex"),
        Buffer.from('"}'),
      ]);
      assert.deepEqual(judge(batcher, [bytes]), ["invalidUtf8"], `${hex} behind ${before}`);
      assert.deepEqual(judge(batcher, [bytes], { kind: "lines" }), ["invalidUtf8"]);
    }
  }
  assert.deepEqual(judge(batcher, [Buffer.from("c3", "hex")]), ["invalidUtf8"]);
});

void test(`UTF-8 is judged as TextDecoder does (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const batcher = new Batcher();
  const units = ["a", "é", "日", "😀", "\u{10ffff}", "\ud7ff", "\ue000"].map((text) =>
    Buffer.from(text),
  );
  for (let round = 0; round < 50; round++) {
    const elements = Array.from({ length: 100 }, () => {
      const text = Buffer.concat(
        Array.from({ length: random.below(30) }, () => units[random.below(7)]!),
      );
      if (text.length > 0 && random.chance(2, 3))
        text[random.below(text.length)] = 0x80 | random.u32();
      return Buffer.concat([Buffer.from('{"tenant":"t","text":"x'), text, Buffer.from('"}')]);
    });
    const answers = judge(batcher, elements);
    for (const [i, bytes] of elements.entries()) {
      const oracle = judgeElement(bytes, { tenant: undefined, nowMs: NOW_MS });
      assert.deepEqual(answers[i], oracle, bytes.toString("hex"));
    }
  }
});

void test("a fixed tenant is the tenant of all, and none other may be named", () => {
  const batcher = new Batcher();
  const lines = ['{"text":"a"}', '{"text":"a","tenant":"acme"}', '{"text":"a","tenant":"acm"}'];
  const answers = judge(batcher, lines.map(bytesOf), { tenant: "acme" });
  assert.deepEqual(
    answers.map((answer) => (typeof answer === "string" ? answer : answer.tenant)),
    ["acme", "acme", "tenantMismatch"],
  );
  assert.equal(batcher.tenantCount, 1);
});

void test("lines: CRLF, blank lines, no last newline, a byte order mark", () => {
  const batcher = new Batcher();
  batcher.tenantAdd("t");
  const text = '\ufeff{"text":"a"}\r\n\r\n \t\r\n\n{"text":"b"}\n{"text":5}\r\n{"text":"c"}';
  const bytes = bytesOf(text);
  batcher.input.set(bytes);
  batcher.parse("lines", bytes.length, 0, 1, 0, NOW_MS);
  assert.equal(batcher.elementCount, 4);
  assert.equal(batcher.errorIndex(0), 2);
  const texts = [...takeEvents(batcher)].map(([key, { event }]) => [key, event.text]);
  assert.deepEqual(texts, [
    ["1/0", "a"],
    ["1/1", "b"],
    ["1/3", "c"],
  ]);
  // In the middle of a request it is no mark but a stray character.
  batcher.parse("lines", bytes.length, 0, 1, 7, NOW_MS);
  assert.equal(batcher.errorIndex(0), 7);
  assert.equal(batcher.errorIndex(1), 9);
});

void test("an empty record is no events", () => {
  const batcher = new Batcher();
  for (const kind of ["lines", "elements"] as const) {
    batcher.parse(kind, 0, -1, 1, 0, NOW_MS);
    assert.equal(batcher.elementCount, 0);
    assert.equal(batcher.full, false);
    assert.equal(batcher.group(NOW_MS), 0);
  }
});

void test("an element that was left out is too large; its index is its own or the next", () => {
  const batcher = new Batcher();
  const record = Buffer.concat([
    elementsRecord([bytesOf('{"tenant":"t","text":"a"}')], 4),
    Buffer.from(Uint32Array.of(17, 0xffffffff).buffer),
    Buffer.from(Uint32Array.of(0xffffffff, 0xffffffff).buffer),
  ]);
  batcher.input.set(record);
  batcher.parse("elements", record.length, -1, 1, 20, NOW_MS);
  assert.equal(batcher.acceptedCount, 1);
  assert.deepEqual([batcher.errorIndex(0), batcher.errorIndex(1)], [17, 22]);
  assert.equal(EVENT_ERRORS[batcher.errorCode(1)]!.code, "eventTooLarge");
});

void test("a torn record of elements is a bug and says so", () => {
  const batcher = new Batcher();
  const record = elementsRecord([bytesOf('{"tenant":"t","text":"a"}')]);
  batcher.input.set(record);
  for (const byteCount of [4, 8, 20]) {
    assert.throws(() => batcher.parse("elements", byteCount, -1, 1, 0, NOW_MS), /torn/);
  }
});

void test("a full arena stops the parse between two events; nothing is lost or doubled", () => {
  const batcher = new Batcher({ arenaBytesMax: 64 * 1024 });
  const tenant = batcher.tenantAdd("t");
  const lines = Array.from({ length: 900 }, (_, i) =>
    i % 9 === 8 ? "broken" : `{"id":${i},"text":"${long(i % 240)}x"}`,
  );
  const record = bytesOf(lines.join("\n"));
  for (const kind of ["lines", "elements"] as const) {
    const bytes = kind === "lines" ? record : elementsRecord(lines.map(bytesOf));
    let offset = 0;
    let elements = 0;
    let rejected = 0;
    let stops = 0;
    const ids: string[] = [];
    while (offset < bytes.length) {
      batcher.input.set(bytes.subarray(offset));
      batcher.parse(kind, bytes.length - offset, tenant, 3, elements, NOW_MS);
      for (let i = 0; i < batcher.errorCount; i++) assert.equal(batcher.errorIndex(i) % 9, 8);
      offset += batcher.consumedBytes;
      elements += batcher.elementCount;
      rejected += batcher.rejectedCount;
      assert.equal(batcher.full, offset < bytes.length);
      if (batcher.full) stops += 1;
      for (const [key, { event }] of takeEvents(batcher)) {
        assert.equal(key, `3/${event.id}`);
        ids.push(event.id);
      }
    }
    assert.ok(stops >= 2);
    assert.equal(elements, 900);
    assert.equal(rejected, 100);
    assert.equal(new Set(ids).size, 800);
  }
});

void test("groups keep the order of arrival and are cut at BATCH_BYTES_MAX", () => {
  const batcher = new Batcher();
  const random = new Random(5);
  const arrived = new Map<string, string[]>();
  for (let request = 0; request < 20; request++) {
    const lines = Array.from({ length: 300 }, (_, i) => {
      const tenant = `t${random.below(3) === 0 ? random.below(200) : 0}`;
      arrived.set(tenant, [...(arrived.get(tenant) ?? []), `${request}/${i}`]);
      return `{"tenant":"${tenant}","text":"${long(random.below(400))}.","id":"${request}/${i}"}`;
    });
    const record = linesRecord(lines.map(bytesOf));
    batcher.input.set(record);
    batcher.parse("lines", record.length, -1, request, 0, NOW_MS);
    assert.equal(batcher.acceptedCount, 300);
  }
  assert.equal(batcher.eventCount, 6000);
  const grouped = new Map<string, string[]>();
  const sizes = new Map<string, number[]>();
  for (let batch = 0, count = batcher.group(NOW_MS); batch < count; batch++) {
    const tenant = batcher.tenantName(batcher.batchTenant(batch));
    const start = batcher.batchByteOffset(batch);
    const { events } = readBatch(
      batcher.memory.slice(start, start + batcher.batchByteCount(batch)),
    );
    sizes.set(tenant, [...(sizes.get(tenant) ?? []), batcher.batchByteCount(batch)]);
    for (const [k, { id }] of events.entries()) {
      assert.equal(id, `${batcher.eventOrigin(batch, k)}/${batcher.eventIndex(batch, k)}`);
      grouped.set(tenant, [...(grouped.get(tenant) ?? []), id]);
    }
  }
  assert.deepEqual(grouped, arrived);
  const cuts = sizes.get("t0")!;
  assert.ok(cuts.length > 10);
  for (const size of cuts) assert.ok(size <= limits.BATCH_BYTES_MAX);
  // All but the last are filled up to what the next event would have needed.
  for (const size of cuts.slice(0, -1)) assert.ok(size > limits.BATCH_BYTES_MAX - 600);
  for (const [tenant, list] of sizes) if (tenant !== "t0") assert.equal(list.length, 1);
});

void test("a step forgets the step before it", () => {
  const batcher = new Batcher();
  const event = bytesOf('{"tenant":"t","text":"a"}');
  for (let step = 0; step < 3; step++) {
    assert.equal(typeof judge(batcher, [event])[0], "object");
    assert.equal(batcher.group(NOW_MS), 0);
  }
});

void test("100,000 tenants keep their names and numbers, and no more are taken", () => {
  // With this seed numbers 9777 and 98040 have one hash, all 32 bits of it.
  const batcher = new Batcher({ tenantCountMax: 100_000, hashSeed: 1 });
  for (let i = 0; i < 100_000; i++) assert.equal(batcher.tenantAdd(`tenant:${i}`), i);
  assert.equal(batcher.tenantAdd("tenant:100000"), -1);
  assert.equal(batcher.tenantAdd("tenant:77"), 77);
  assert.equal(batcher.tenantCount, 100_000);
  for (let i = 0; i < 100_000; i += 7) {
    assert.equal(batcher.tenantFind(`tenant:${i}`), i);
    assert.equal(batcher.tenantName(i), `tenant:${i}`);
  }
  assert.equal(batcher.tenantFind(Buffer.from("tenant:99999")), 99_999);
  for (const name of ["", "nobody", "é", long(65)]) assert.equal(batcher.tenantFind(name), -1);
  const answers = judge(batcher, [
    bytesOf('{"tenant":"tenant:99999","text":"a"}'),
    bytesOf('{"tenant":"one-more","text":"a"}'),
  ]);
  assert.deepEqual(
    answers.map((answer) => (typeof answer === "string" ? answer : answer.tenant)),
    ["tenant:99999", "tenantLimit"],
  );
});

void test("the limit on tenants moves, and a wrong event makes no tenant", () => {
  const batcher = new Batcher({ tenantCountMax: 10 });
  batcher.setTenantCountMax(1);
  const line = (tenant: string): Uint8Array => bytesOf({ tenant, text: "a" });
  assert.deepEqual(judge(batcher, [bytesOf({ tenant: "a", text: 5 })]), ["textInvalid"]);
  assert.equal(batcher.tenantCount, 0);
  judge(batcher, [line("a")]);
  assert.deepEqual(judge(batcher, [line("b")]), ["tenantLimit"]);
  batcher.setTenantCountMax(1000);
  for (let i = 0; i < 9; i++) assert.equal(typeof judge(batcher, [line(`n${i}`)])[0], "object");
  assert.deepEqual(judge(batcher, [line("b")]), ["tenantLimit"]);
});

void test("a tenant's flags lift the check of the future, or refuse its events", () => {
  const batcher = new Batcher();
  const future = bytesOf({ tenant: "t", text: "a", tsMs: NOW_MS * 2 });
  batcher.tenantAdd("t");
  assert.deepEqual(judge(batcher, [future]), ["tsInFuture"]);
  batcher.tenantFlagsSet(0, 1);
  assert.equal(batcher.tenantFlags(0), 1);
  const oracle = judgeElement(future, { tenant: undefined, nowMs: NOW_MS, eventClock: true });
  assert.deepEqual(judge(batcher, [future]), [oracle]);
  batcher.tenantFlagsSet(0, 3);
  assert.deepEqual(judge(batcher, [future]), ["tenantQuarantined"]);
});

void test("errors beyond ERRORS_LISTED_MAX are counted, not listed", () => {
  const batcher = new Batcher();
  const record = bytesOf("x\n".repeat(250));
  batcher.input.set(record);
  batcher.parse("lines", record.length, -1, 1, 1000, NOW_MS);
  assert.equal(batcher.rejectedCount, 250);
  assert.equal(batcher.errorCount, limits.ERRORS_LISTED_MAX);
  assert.equal(batcher.errorIndex(99), 1099);
});

void test("the generated constants are up to date", () => {
  const script = fileURLToPath(import.meta.resolve("../../scripts/batcher-constants.ts"));
  execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" });
});

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPILER = join(ROOT, "node_modules/assemblyscript/bin/asc.js");

void test(
  "batcher/dist/batcher.wasm is what its source builds to",
  { skip: existsSync(COMPILER) ? false : "assemblyscript is not installed" },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "batcher-"));
    try {
      const outFile = join(folder, "batcher.wasm");
      const args = [COMPILER, "--config", "batcher/asconfig.json", "--outFile", outFile];
      execFileSync(process.execPath, args, { cwd: ROOT, stdio: "pipe" });
      const built = readFileSync(outFile);
      const committed = readFileSync(join(ROOT, "batcher/dist/batcher.wasm"));
      assert.ok(built.equals(committed), "Build anew: asc --config batcher/asconfig.json");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
