/** Random events as JSON text, right and wrong in every way that JSON allows and forbids. */
import type { Random } from "#std/random.ts";

const KEYS = `
  id tenant conversation user tsMs text terms metrics weight specversion time subject data
  data_base64 other`
  .trim()
  .split(/\s+/);
const STRINGS = [
  "",
  " ",
  "a",
  "hello world",
  "acme",
  "t1",
  "t.2:x-y_Z",
  "x".repeat(64),
  "x".repeat(65),
  "y".repeat(128),
  "y".repeat(129),
  "é".repeat(20),
  "é".repeat(21),
  "日本語のテキスト",
  "😀👩‍👩‍👧",
  "\0",
  "tab\there",
  "\u007f",
  "\u0080",
  'quote " and \\ slash /',
  "\u2028\u3000\u00a0\ufeff\u1680\u200a",
  "\u200b",
  "\ud800",
  "a\udc00b",
  "1.0",
  "2026-11-21T10:00:00Z",
  "2026-11-21t10:00:00.123456-03:30",
  "2024-02-29T23:59:60z",
  "2023-02-29T00:00:00Z",
  "0000-03-01T00:00:00+23:59",
  "9999-12-31T23:59:59.999Z",
  "2026-11-21T24:00:00Z",
  "2026-11-21T10:00:00",
];
const NUMBERS = `
  0 -0 1 -1 5 42 1000000 1000001 1e2 1E+2 1.0 0.5 1e-7 1e400 -1e400 1e-400 9007199254740991
  9007199254740993 123456789012345678901234567890 0.1 0.30000000000000004 1795197599806
  1795197599806.5 8.64e15 8640000000000001 179519759980600 2.2250738585072011e-308 4.9e-324
  2.4703282292062328e-324 1.7976931348623157e308 1.7976931348623159e308 0.0000001
  3.141592653589793238462643383279`
  .trim()
  .split(/\s+/);
const WRONG_NUMBERS = `
  01 -01 1. .5 +1 1e 1e+ - NaN Infinity -Infinity 0x10 1_000 --1 1.e5`
  .trim()
  .split(/\s+/);
const SPACES = ["", "", "", "", " ", "\n", "\t", "\r", "  \r\n "];

/** One event, mostly right in itself; `wrongPercent` of its values are of a wrong kind. */
export function noisyEvent(random: Random, wrongPercent: number): string {
  if (random.chance(1, 50)) return space(random) + anyValue(random, 0) + space(random);
  const parts: string[] = [];
  const envelope = random.chance(1, 4);
  if (envelope) parts.push(member(random, "specversion", '"1.0"'));
  const count = random.below(8);
  for (let i = 0; i < count; i++) {
    const key = pick(random, KEYS);
    const value =
      key === "data" && random.chance(2, 3)
        ? object(random, eventMembers(random, wrongPercent))
        : valueOf(random, key, wrongPercent);
    if (key !== "specversion" || envelope) parts.push(member(random, key, value));
  }
  parts.push(...eventMembers(random, wrongPercent));
  return space(random) + object(random, parts) + space(random);
}

/** Bytes flipped, lost, doubled, swapped for what JSON is sensitive to. */
export function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let copy = Buffer.from(bytes);
  const edits = 1 + random.below(3);
  for (let i = 0; i < edits && copy.length > 0; i++) {
    const at = random.below(copy.length);
    const to = Math.min(copy.length, at + 1 + random.below(4));
    const kind = random.below(6);
    if (kind === 0) copy[at] = random.below(256);
    else if (kind === 1) copy = Buffer.concat([copy.subarray(0, at), copy.subarray(to)]);
    else if (kind === 2) copy = Buffer.concat([copy.subarray(0, to), copy.subarray(at)]);
    else if (kind === 3) copy = copy.subarray(0, at);
    else if (kind === 4) copy[at] = '"\\{}[],:0-.eEu'.charCodeAt(random.below(14));
    else {
      const insert = Buffer.from(pick(random, [...WRONG_NUMBERS, "null", "\\u12", "\\x", "\0"]));
      copy = Buffer.concat([copy.subarray(0, at), insert, copy.subarray(at)]);
    }
  }
  return copy;
}

function eventMembers(random: Random, wrongPercent: number): string[] {
  const keys = KEYS.slice(0, 9).filter(() => random.chance(1, 2));
  return keys.map((key) => member(random, key, valueOf(random, key, wrongPercent)));
}

function valueOf(random: Random, key: string, wrongPercent: number): string {
  if (random.chance(wrongPercent, 100)) return anyValue(random, 0);
  if (random.chance(1, 16)) return "null";
  switch (key) {
    case "tsMs":
      return pick(random, ["0", "1795197599806", "1795197599806.5", "1e12", pick(random, NUMBERS)]);
    case "weight":
      return String(1 + random.below(1_000_000));
    case "terms":
      return array(
        random,
        Array.from({ length: random.below(5) }, () => quoted(random, pick(random, STRINGS))),
      );
    case "metrics":
      return object(
        random,
        Array.from({ length: random.below(random.chance(1, 20) ? 20 : 4) }, (_, i) =>
          member(random, pick(random, ["a", "b", `m${i}`]), pick(random, NUMBERS)),
        ),
      );
    case "tenant":
      return quoted(random, pick(random, ["acme", "t1", "t.2:x-y_Z"]));
    default:
      return quoted(
        random,
        random.chance(3, 4) ? pick(random, ["a", "hello world", "é日😀"]) : pick(random, STRINGS),
      );
  }
}

function anyValue(random: Random, depth: number): string {
  const kind = random.below(depth > 3 ? 4 : 6);
  if (kind === 0) return quoted(random, pick(random, STRINGS));
  if (kind === 1) return pick(random, NUMBERS);
  if (kind === 2) return random.chance(1, 8) ? pick(random, WRONG_NUMBERS) : decimal(random);
  if (kind === 3) return pick(random, ["true", "false", "null"]);
  const parts = Array.from({ length: random.below(4) }, () => anyValue(random, depth + 1));
  if (kind === 4) return array(random, parts);
  return object(
    random,
    parts.map((part) => member(random, pick(random, [...KEYS, "k", "é"]), part)),
  );
}

/** Any number that JSON can write. */
export function decimal(random: Random): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => random.below(10)).join("");
  const whole = random.chance(1, 4) ? "0" : `${1 + random.below(9)}${digits(random.below(22))}`;
  const fraction = random.chance(1, 2) ? `.${digits(1 + random.below(22))}` : "";
  const exponent = random.chance(1, 2)
    ? `${pick(random, ["e", "E", "e+", "e-", "E-"])}${random.below(random.chance(1, 2) ? 30 : 345)}`
    : "";
  return (random.chance(1, 4) ? "-" : "") + whole + fraction + exponent;
}

function member(random: Random, key: string, value: string): string {
  return quoted(random, key) + space(random) + ":" + space(random) + value;
}

function object(random: Random, members: string[]): string {
  return `{${space(random)}${members.join(space(random) + "," + space(random))}${space(random)}}`;
}

function array(random: Random, items: string[]): string {
  return `[${space(random)}${items.join(space(random) + "," + space(random))}${space(random)}]`;
}

/** A JSON string; at times with more escapes than it needs. */
function quoted(random: Random, text: string): string {
  if (!random.chance(1, 5)) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, i) => {
    const unit = text.charCodeAt(i);
    if (!random.chance(1, 3) && unit >= 0x30 && unit < 0x7f && unit !== 0x5c) return text[i]!;
    const hex = unit.toString(16).padStart(4, "0");
    return `\\u${random.chance(1, 2) ? hex : hex.toUpperCase()}`;
  });
  return `"${units.join("")}"`;
}

function space(random: Random): string {
  return pick(random, SPACES);
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}
