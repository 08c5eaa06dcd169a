/**
 * The hostile guest of guests/hostile/ and how to command it; the numbers are those of its sources.
 */
import { readFileSync } from "node:fs";
import { Random } from "#std/random.ts";
import { writeBatch, type BatchEvent } from "./batch.ts";

export const COMPONENT_PATH = new URL("../../guests/dist/hostile.component.wasm", import.meta.url);

export function hostileComponent(): Uint8Array {
  return readFileSync(COMPONENT_PATH);
}

/** What one batch makes the guest do; see misdeed.ts, and `ARM_…`, `LIE_NOW` in hostile.ts. */
export const COMMANDS = {
  spin: 1,
  grow: 2,
  trap: 3,
  outOfBounds: 4,
  divideByZero: 5,
  recurse: 6,
  hog: 7,
  paint: 8,
  search: 9,
  toil: 10,
  growByNothing: 11,
  armArena: 64,
  armTrending: 65,
  lieNow: 66,
  armPortable: 67,
} as const;

export type Command = keyof typeof COMMANDS;

/** A batch of one event that is a command. */
export function commandBatch(command: Command, argument = 0): Uint8Array {
  return writeBatch([{ weight: commandWeight(command, argument), tsMs: 4, text: "" }], 0);
}

/** Weight of the event that is the command; as JSON it takes arguments below 4,096. */
export function commandWeight(command: Command, argument = 0): number {
  return (1 << 19) | (COMMANDS[command] << 12) | argument;
}

/** No text begins with U+FEFF: jco, the oracle, loses it there. */
const TEXTS = [
  "",
  "hello",
  "naïve ☕",
  "漢字かな交じり",
  "🎉🎉",
  "b\u{feff}om",
  "a\0b",
  "x".repeat(200),
];

/** Ordinary batches, by chance. */
export function randomBatch(random: Random): Uint8Array {
  const events: Partial<BatchEvent>[] = [];
  const count = random.below(12);
  for (let index = 0; index < count; index++) {
    events.push({
      weight: 1 + random.below(5),
      tsMs: random.below(1_000_000),
      id: random.chance(1, 2) ? `e${random.below(100)}` : "",
      user: random.chance(1, 2) ? `u${random.below(9)}` : "",
      text: TEXTS[random.below(TEXTS.length)]!,
    });
  }
  return writeBatch(events, random.below(1_000_000));
}
