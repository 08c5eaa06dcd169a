/**
 * Inputs from inputs: bits flipped, bytes lost, doubled and swapped, words of the dictionary, parts
 * of other inputs, numbers that lengths and counts dislike, as bytes and as decimals.
 */
import type { Random } from "#std/random.ts";

const EDITS_MAX = 4;
const INPUT_BYTES_MAX = 256 * 1024;
const NUMBERS = [
  0, 1, 2, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256, 4095, 4096, 32_767, 32_768, 65_535, 65_536,
  0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

type Edit = (random: Random, input: Buffer, sources: Sources) => Buffer;

export type Sources = {
  readonly seeds: readonly Uint8Array[];
  readonly dictionary: readonly (string | Uint8Array)[];
};

const flipBit: Edit = (random, input) => {
  const at = random.below(input.length);
  input[at]! ^= 1 << random.below(8);
  return input;
};

const setByte: Edit = (random, input) => {
  input[random.below(input.length)] = random.below(256);
  return input;
};

const remove: Edit = (random, input) => {
  const at = random.below(input.length);
  return Buffer.concat([input.subarray(0, at), input.subarray(at + spanOf(random, input))]);
};

const repeat: Edit = (random, input) => {
  const at = random.below(input.length);
  const part = input.subarray(at, at + spanOf(random, input));
  const times = random.chance(1, 16) ? 1 + random.below(500) : 1 + random.below(3);
  const parts = Array.from({ length: times }, () => part);
  return Buffer.concat([input.subarray(0, at), ...parts, input.subarray(at)]);
};

const truncate: Edit = (random, input) => input.subarray(0, random.below(input.length));

const insertWord: Edit = (random, input, { dictionary }) => {
  if (dictionary.length === 0) return input;
  const word = Buffer.from(dictionary[random.below(dictionary.length)]!);
  const at = random.below(input.length + 1);
  const over = random.chance(1, 2) ? word.length : 0;
  return Buffer.concat([input.subarray(0, at), word, input.subarray(at + over)]);
};

const splice: Edit = (random, input, { seeds }) => {
  const other = seeds[random.below(seeds.length)]!;
  const from = random.below(other.length + 1);
  const part = other.subarray(from, from + spanOf(random, other));
  const at = random.below(input.length + 1);
  const over = random.chance(1, 2) ? part.length : 0;
  return Buffer.concat([input.subarray(0, at), part, input.subarray(at + over)]);
};

const swapEnds: Edit = (random, input, { seeds }) => {
  const other = seeds[random.below(seeds.length)]!;
  const head = input.subarray(0, random.below(input.length + 1));
  return Buffer.concat([head, other.subarray(random.below(other.length + 1))]);
};

/** Where a length or a count may be: another number in 1, 2, 4 or 8 bytes, or one close by. */
const lie: Edit = (random, input) => {
  const width = [1, 2, 4, 8][random.below(4)]!;
  if (input.length < width) return input;
  const at = random.below(input.length - width + 1);
  const number = random.chance(1, 2) ? NUMBERS[random.below(NUMBERS.length)]! : random.u32();
  if (width === 8) {
    if (random.chance(1, 2)) input.writeDoubleLE(number, at);
    else input.writeBigUInt64LE(BigInt(number) << BigInt(random.below(32)), at);
    return input;
  }
  const near = input.readUIntLE(at, width) + random.below(9) - 4;
  const wanted = random.chance(1, 3) ? near : number;
  const modulus = 2 ** (8 * width);
  input.writeUIntLE(((wanted % modulus) + modulus) % modulus, at, width);
  return input;
};

const decimal: Edit = (random, input) => {
  const text = input.toString("latin1");
  const found = [...text.matchAll(/\d+/g)];
  if (found.length === 0) return input;
  const { index, 0: digits } = found[random.below(found.length)]!;
  const other = random.chance(1, 4)
    ? "9".repeat(1 + random.below(400))
    : `${random.chance(1, 8) ? "-" : ""}${NUMBERS[random.below(NUMBERS.length)]}`;
  return Buffer.from(text.slice(0, index) + other + text.slice(index + digits.length), "latin1");
};

const EDITS: readonly Edit[] = [
  flipBit,
  setByte,
  remove,
  repeat,
  truncate,
  insertWord,
  insertWord,
  splice,
  splice,
  swapEnds,
  lie,
  lie,
  decimal,
];

export function mutated(random: Random, input: Uint8Array, sources: Sources): Uint8Array {
  let bytes: Buffer = Buffer.from(input);
  const edits = 1 + random.below(EDITS_MAX);
  for (let edit = 0; edit < edits; edit++) {
    const chosen = bytes.length === 0 ? insertWord : EDITS[random.below(EDITS.length)]!;
    bytes = chosen(random, bytes, sources);
    if (bytes.length > INPUT_BYTES_MAX) bytes = bytes.subarray(0, INPUT_BYTES_MAX);
  }
  return bytes;
}

/** Short as a rule, at times much. */
function spanOf(random: Random, { length }: Uint8Array): number {
  return 1 + random.below(random.chance(1, 4) ? Math.max(1, length) : Math.min(16, length + 1));
}
