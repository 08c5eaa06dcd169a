/** Bodies of events: what is found in them, by the splitter and the batcher, and by JSON.parse. */
import { readBody } from "#ingest/body.ts";
import { BodyBudget } from "#model/body-budget.ts";
import { Batcher, type RecordKind } from "#batcher/batcher.ts";
import { cutLines, Splitter } from "#batcher/splitter.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import { BODY_BYTES_MAX, ERRORS_LISTED_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Random } from "#std/random.ts";
import { comparable, NOW_MS, takeEvents } from "#testing/batcher-driver.ts";
import { judgeElement, type OracleAnswer } from "#testing/event-oracle.ts";
import { mutate, noisyEvent } from "#testing/json-noise.ts";
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const SHARDS = 3;
const CHUNK_BYTES = 64 * 1024;
const TENANT = "acme";
const NEWLINE = 0x0a;

const JSON_WORDS = [
  ...`{ } [ ] , : " \\ \\u0000 \\ud800 \\u{1F600} null true false 1e400 -0 1e-400 0x1`.split(" "),
  ..."tenant text id user tsMs terms metrics weight conversation specversion data data_base64"
    .split(" ")
    .map((name) => `"${name}":`),
  '"__proto__":',
  '"constructor":',
  "\n",
  "\r\n",
  "\r",
  "\ufeff",
  "\u2028",
  "\0",
  "acme",
  "[".repeat(70),
  '{"a":'.repeat(70),
  Buffer.from([0xc0, 0x80]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
];

const EVENT = '{"tenant":"acme","id":"1","user":"ada","text":"the boss fight is on!"}';
const CLOUD_EVENT =
  '{"specversion":"1.0","id":"1","source":"/a","type":"t","time":"2026-11-21T10:00:00Z",' +
  '"subject":"c","data":{"tenant":"acme","text":"hello","metrics":{"ms":12.5}}}';

/** First byte: how the body is meant. */
const IS_LINES = 1;
const IS_OF_TENANT = 2;

/** Of an input, what the batcher was given and what it made of it. */
export const eventBodies: FuzzTarget = {
  sentence: "bodies of events as JSON, NDJSON and CloudEvents, against JSON.parse",
  caseCount: 2_000,
  open: (): FuzzSubject => {
    // Tenants that are learnt stay: a new one now and then, so that the table is never full.
    let batcher = new Batcher();
    const splitter = new Splitter(SHARDS);
    let cases = 0;
    return {
      seeds: [
        EVENT,
        CLOUD_EVENT,
        `[${EVENT},${CLOUD_EVENT}]`,
        `${EVENT}\n${CLOUD_EVENT}\n`,
        "[]",
        "{}",
        '{"tenant":"acme","terms":["a","b"],"weight":5}',
        `\n\n${EVENT}\r\n x \n`,
      ].flatMap((text) => [0, 1, 2, 3].map((mode) => Buffer.from(`${String(mode)}${text}`))),
      dictionary: JSON_WORDS,
      generate: (random) => Buffer.concat([Buffer.from([random.below(4)]), noisyBody(random)]),
      mutate: (random, input) =>
        Buffer.concat([input.subarray(0, 1), mutate(random, input.subarray(1))]),
      check: (input) => {
        if (++cases % 1_000 === 0) batcher = new Batcher();
        const mode = input[0] ?? 0;
        const body = Buffer.from(input.subarray(1));
        const tenant = (mode & IS_OF_TENANT) === 0 ? undefined : TENANT;
        if ((mode & IS_LINES) !== 0) return checkLines(batcher, splitter, body, tenant);
        return checkJson(batcher, splitter, body, tenant);
      },
    };
  },
};

function noisyBody(random: Random): Buffer {
  const events = Array.from({ length: 1 + random.below(5) }, () => noisyEvent(random, 10));
  const kind = random.below(3);
  if (kind === 0) return Buffer.from(events[0]!);
  if (kind === 1) return Buffer.from(`[${events.join(random.chance(1, 8) ? ",," : ",")}]`);
  const ends = ["\n", "\r\n", "\n\n"];
  return Buffer.from(events.map((event) => event + ends[random.below(3)]!).join(""));
}

/** Two ways in, which must not differ: as lines of one shard, and as elements of several. */
function checkLines(
  batcher: Batcher,
  splitter: Splitter,
  body: Buffer,
  tenant: string | undefined,
): string {
  const lines = linesOf(body);
  const wanted = lines.map((line) => judgeElement(line, { tenant, nowMs: NOW_MS }));
  const asElements = takeSplit(batcher, splitter, body, "ndjson", tenant);
  assert(typeof asElements !== "number", "no line is malformed for the body");
  compare(asElements, wanted, lines);
  compare(takeLines(batcher, body, tenant), wanted, lines);
  return `lines ${wordsOf(wanted)}`;
}

function checkJson(
  batcher: Batcher,
  splitter: Splitter,
  body: Buffer,
  tenant: string | undefined,
): string {
  const got = takeSplit(batcher, splitter, body, "json", tenant);
  const elements = elementsOf(body);
  if (typeof got === "number") {
    assert(got >= 0 && got <= body.length, `malformed at ${got} of ${body.length}`);
    assert(elements === undefined, "the splitter refuses what JSON.parse takes");
    return "json malformed";
  }
  // What is split and is not JSON as a whole has an element that is not.
  if (elements === undefined) {
    assert(got.length === 0 || got.some((answer) => typeof answer === "string"), "all is right");
    return "json of which some is malformed";
  }
  const wanted = elements.map((element) => judgeElement(element, { tenant, nowMs: NOW_MS }));
  compare(got, wanted, elements);
  return `json ${wordsOf(wanted)}`;
}

/** Those that are no blanks, as an independent reader finds them. */
export function linesOf(body: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  const isMarked = body.subarray(0, 3).equals(Buffer.from("\ufeff"));
  for (let at = isMarked ? 3 : 0; at < body.length;) {
    const newline = body.indexOf(NEWLINE, at);
    const end = newline === -1 ? body.length : newline;
    const line = body.subarray(at, body[end - 1] === 0x0d && end > at ? end - 1 : end);
    if (line.some((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d)) lines.push(line);
    at = end + 1;
  }
  return lines;
}

/** The bytes of each element of an array, or of the one object; undefined: it is no such JSON. */
function elementsOf(body: Buffer): Buffer[] | undefined {
  const isMarked = body.subarray(0, 3).equals(Buffer.from("\ufeff"));
  // As latin1 a byte is a character, and what is not ASCII is only ever in strings.
  const text = body.toString("latin1", isMarked ? 3 : 0);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) return [Buffer.from(text.trim(), "latin1")];
  if (value.length === 0) return [];
  const elements: Buffer[] = [];
  let depth = 0;
  let from = text.indexOf("[") + 1;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
    if ((token === "," && depth === 1) || (token === "]" && depth === 0)) {
      elements.push(Buffer.from(text.slice(from, index).trim(), "latin1"));
      from = index + 1;
    }
  }
  return elements;
}

function takeSplit(
  batcher: Batcher,
  splitter: Splitter,
  body: Buffer,
  format: "json" | "ndjson",
  tenant: string | undefined,
): OracleAnswer[] | number {
  const split = splitter.split(body, format, tenant === undefined ? -1 : 1);
  if (split.malformedAtByte !== undefined) return split.malformedAtByte;
  const answers: OracleAnswer[] = [];
  for (let chunk = 0; chunk < split.chunkCount; chunk++) {
    const start = split.chunkByteOffset(chunk);
    const record = split.memory.slice(start, start + split.chunkByteCount(chunk));
    takeRecord(batcher, "elements", record, { tenant, firstIndex: 0, answers });
  }
  answers.length = split.elementCount;
  return answers;
}

function takeLines(batcher: Batcher, body: Buffer, tenant: string | undefined): OracleAnswer[] {
  const answers: OracleAnswer[] = [];
  for (let at = 0; at < body.length;) {
    const { end, tooLarge } = cutLines(body, at, CHUNK_BYTES);
    if (tooLarge) answers.push("eventTooLarge");
    else {
      const firstIndex = answers.length;
      takeRecord(batcher, "lines", body.subarray(at, end), { tenant, firstIndex, answers });
    }
    at = end;
  }
  return answers;
}

type Taking = {
  readonly tenant: string | undefined;
  readonly firstIndex: number;
  readonly answers: OracleAnswer[];
};

function takeRecord(
  batcher: Batcher,
  kind: RecordKind,
  record: Uint8Array,
  { tenant, firstIndex, answers }: Taking,
): void {
  const number = tenant === undefined ? -1 : batcher.tenantAdd(tenant);
  for (let at = 0, index = firstIndex; at < record.length;) {
    const rest = record.subarray(at);
    batcher.input.set(rest);
    batcher.parse(kind, rest.length, number, 9, index, NOW_MS);
    assert.equal(batcher.acceptedCount + batcher.rejectedCount, batcher.elementCount);
    for (let error = 0; error < batcher.errorCount; error++) {
      answers[batcher.errorIndex(error)] = EVENT_ERRORS[batcher.errorCode(error)]!.code;
    }
    // Beyond those that are listed an error is counted only.
    const isAllListed = batcher.errorCount === batcher.rejectedCount;
    const events = takeEvents(batcher);
    for (const [key, event] of events) answers[Number(key.slice(2))] = event;
    assert(
      isAllListed || batcher.errorCount === ERRORS_LISTED_MAX,
      "errors are listed up to a bound",
    );
    assert(batcher.consumedBytes > 0 || batcher.full, "it gets on");
    index += batcher.elementCount;
    if (kind === "lines") answers.length = index;
    at += batcher.consumedBytes;
  }
}

function compare(
  got: readonly OracleAnswer[],
  wanted: readonly OracleAnswer[],
  elements: readonly Buffer[],
): void {
  assert.equal(got.length, wanted.length, "as many events as an independent reader finds");
  const errors = wanted.filter((answer) => typeof answer === "string");
  for (const [index, answer] of wanted.entries()) {
    // Beyond so many errors of a record are counted only.
    if (got[index] === undefined && errors.length > ERRORS_LISTED_MAX) continue;
    const label = `event ${index}: ${elements[index]!.toString().slice(0, 200)}`;
    assert.deepEqual(comparable(got[index]!), comparable(answer), label);
  }
}

function wordsOf(answers: readonly OracleAnswer[]): string {
  const words = answers.map((answer) => (typeof answer === "string" ? answer : "ok"));
  return [...new Set(words)].toSorted().join(" ");
}

type Coding = "gzip" | "deflate" | "br" | "zstd";

const CODINGS: readonly [Coding, (bytes: Buffer) => Buffer, (bytes: Buffer) => Buffer][] = [
  ["gzip", (bytes) => zlib.gzipSync(bytes), (bytes) => zlib.gunzipSync(bytes, BOUNDED)],
  ["deflate", (bytes) => zlib.deflateSync(bytes), (bytes) => zlib.inflateSync(bytes, BOUNDED)],
  ["br", (bytes) => zlib.brotliCompressSync(bytes), (b) => zlib.brotliDecompressSync(b, BOUNDED)],
  ["zstd", (bytes) => zlib.zstdCompressSync(bytes), (b) => zlib.zstdDecompressSync(b, BOUNDED)],
];
const BOUNDED = { maxOutputLength: BODY_BYTES_MAX };
const PART_BYTES = 777;

/** First byte: which coding; the second: how the body is cut on its way. */
export const compressedBodies: FuzzTarget = {
  sentence: "compressed bodies, bombs among them, against the decoder for whole buffers",
  caseCount: 80,
  open: (): FuzzSubject => {
    const budget = new BodyBudget();
    const plain = [EVENT, `${EVENT}\n`.repeat(500), "\0".repeat(100_000), ""].map((text) =>
      Buffer.from(text),
    );
    const bomb = Buffer.alloc(BODY_BYTES_MAX + 1);
    return {
      seeds: CODINGS.flatMap(([, pack], coding) =>
        [...plain, bomb].map((bytes) => Buffer.concat([Buffer.from([coding, 3]), pack(bytes)])),
      ),
      dictionary: [
        Buffer.from([0x1f, 0x8b, 8, 0]),
        Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
        Buffer.from([0x50, 0x2a, 0x4d, 0x18]),
        Buffer.from([0x78, 0x9c]),
        zlib.gzipSync("a second member"),
        zlib.zstdCompressSync("a second frame"),
      ],
      check: async (input) => {
        const [encoding, , unpack] = CODINGS[(input[0] ?? 0) % CODINGS.length]!;
        const cut = 1 + ((input[1] ?? 0) % 8) * PART_BYTES;
        const packed = input.subarray(2);
        const parts = Array.from({ length: Math.ceil(packed.length / cut) }, (_, part) =>
          packed.subarray(part * cut, (part + 1) * cut),
        );
        const headers = { encoding, contentLength: undefined };
        let body: Buffer;
        try {
          body = await readBody(Readable.from(parts, { objectMode: false }), headers, budget);
        } catch (error) {
          assert(error instanceof Problem, `${String(error)}`);
          assert.equal(budget.bytes, 0, "what is refused is not held");
          return `${encoding} ${error.code}`;
        }
        const { length } = body;
        assert(length <= BODY_BYTES_MAX);
        assert.equal(budget.bytes, length);
        budget.give(length);
        let whole: Buffer | undefined;
        try {
          whole = unpack(Buffer.from(packed));
        } catch {
          // Codings may end before the input does; the two decoders see to the rest differently.
        }
        if (whole !== undefined) assert(whole.equals(body), "both decoders give the same");
        return `${encoding} ${length === 0 ? "nothing" : "bytes"} ${whole === undefined}`;
      },
    };
  },
};
