/** The tokens of a text as the moderator reads them, for tests. */
import { CLASSES } from "../../../scripts/lexicon.ts";
import { openProbe } from "./probe.ts";

export const KINDS = ["word", "mark", "emoji", "number"] as const;
export const SUBJECTS = ["none", "self", "you", "third", "group", "thing"] as const;
const SCOPES = [
  "quoted",
  "reported",
  "negated",
  "reproached",
  "conditional",
  "question",
  "harmless",
] as const;

export type Reading = {
  readonly form: string;
  readonly kind: (typeof KINDS)[number];
  readonly startByte: number;
  readonly endByte: number;
  readonly isDisguised: boolean;
  readonly classes: readonly string[];
  readonly scopes: readonly string[];
  readonly subject: (typeof SUBJECTS)[number];
};

export const probe = await openProbe();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a text where the probe reads it; returns its bytes. */
export function put(text: string): number {
  return encoder.encodeInto(text, new Uint8Array(probe.memory.buffer, probe.textAt(), 65_536))
    .written;
}

/** The first stretch of the text. */
export function readings(text: string): Reading[] {
  probe.read(put(text));
  return Array.from({ length: probe.tokenCount() }, (_, index) =>
    readingAt(probe.tokenAddress(index)),
  );
}

/** Forms of the words, with a space between. */
export function forms(text: string): string {
  return readings(text)
    .filter(({ kind }) => kind !== "mark")
    .map(({ form }) => form)
    .join(" ");
}

/** Of the first word of this form. */
export function readingOf(text: string, form: string): Reading {
  const found = readings(text).find((reading) => reading.form === form);
  if (found === undefined) throw new Error(`${JSON.stringify(text)} has no "${form}"`);
  return found;
}

function readingAt(at: number): Reading {
  const view = new DataView(probe.memory.buffer, at, 48);
  const mask = view.getBigUint64(8, true);
  const scope = view.getUint8(40);
  return {
    form: decoder.decode(
      new Uint8Array(probe.memory.buffer, view.getUint32(32, true), view.getUint16(36, true)),
    ),
    kind: KINDS[view.getUint8(38)]!,
    startByte: view.getUint32(24, true),
    endByte: view.getUint32(28, true),
    isDisguised: (view.getUint8(39) & 1) !== 0,
    classes: CLASSES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) !== 0n),
    scopes: SCOPES.filter((_, bit) => ((scope >> bit) & 1) !== 0),
    subject: SUBJECTS[view.getUint8(41)]!,
  };
}
