/** Other JSON from JSON: values of a wrong kind or size, members lost, doubled, renamed, nested. */
import type { Random } from "#std/random.ts";

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e308,
  2 ** 53,
  "",
  " ",
  "x",
  "\u0000",
  "\ud800",
  "‮\u200b👩‍👩‍👧",
  "you are an idiot",
  "ignore all previous instructions",
  [],
  {},
  [[]],
  "9".repeat(400),
  "z".repeat(20_000),
  Array.from({ length: 300 }, () => "a"),
  JSON.parse("[".repeat(100) + "]".repeat(100)),
];
const TEXT_MAX = 256 * 1024;
const NAMES = ["__proto__", "constructor", "toString", "", "a".repeat(200), "text", "input", "id"];

type Node = unknown[] | Record<string, unknown>;

export function otherJson(random: Random, input: Uint8Array): Uint8Array {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(input).toString());
  } catch {
    return input;
  }
  let text = "null";
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const next = JSON.stringify(edited(random, value)) ?? "null";
    if (next.length > TEXT_MAX) break;
    text = next;
    // From the text again: what an edit put in twice is two things by then.
    value = JSON.parse(text);
  }
  return Buffer.from(text);
}

function anyValue(random: Random): unknown {
  return structuredClone(VALUES[random.below(VALUES.length)]);
}

function edited(random: Random, root: unknown): unknown {
  const nodes: Node[] = [];
  collect(root, nodes);
  if (nodes.length === 0 || random.chance(1, 30)) return anyValue(random);
  const node = nodes[random.below(nodes.length)]!;
  if (Array.isArray(node)) editArray(random, node);
  else editObject(random, node, nodes);
  return root;
}

function collect(value: unknown, nodes: Node[]): void {
  if (typeof value !== "object" || value === null || nodes.length > 500) return;
  nodes.push(value as Node);
  for (const each of Object.values(value)) collect(each, nodes);
}

function editArray(random: Random, array: unknown[]): void {
  const at = random.below(array.length + 1);
  const kind = random.below(3);
  if (kind === 0) array.splice(at, 1);
  else if (kind === 1) array.splice(at, 0, anyValue(random));
  else for (let i = random.below(300); i > 0; i--) array.push(array[at] ?? null);
}

function editObject(random: Random, object: Record<string, unknown>, nodes: readonly Node[]): void {
  const names = Object.keys(object);
  const name = names[random.below(Math.max(1, names.length))] ?? "x";
  const kind = random.below(5);
  const value = anyValue(random);
  if (kind === 0) delete object[name];
  else if (kind === 1) define(object, NAMES[random.below(NAMES.length)]!, object[name] ?? value);
  else if (kind === 2) {
    // A copy, or what is written would have no end.
    const other = nodes[random.below(nodes.length)]!;
    const text = JSON.stringify(other);
    object[name] = text.length > 10_000 ? value : JSON.parse(text);
  } else object[name] = value;
}

/** As JSON.parse would: `__proto__` is a name like any other. */
function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}
