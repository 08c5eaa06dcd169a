/**
 * Flips a bit of a store at rest, and looks what a start makes of it. Whatever it is, nobody may be
 * told something wrong as if it were right: either the start fails with words, or the tenants that
 * are not as they were are named, or all are as they were.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { Random } from "#std/random.ts";

export type Fate = "same" | "named" | "refused";

/** What a start makes of a store. */
export type Opened = {
  /** By tenant. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Tenants of whom something is missing. */
  readonly named: ReadonlySet<string>;
  /** Something is missing at the end of the log: of whom, nobody can say. */
  readonly isTorn: boolean;
};

/** Pages of the store: those of a few names are as likely to be hit as those of images. */
const PAGE_BYTES = 32 * 1024;

export function flipAndOpen(
  whole: string,
  copy: string,
  random: Random,
  expected: ReadonlyMap<string, string>,
  open: (path: string) => Opened,
): { fate: Fate; told: string } {
  const bytes = readFileSync(whole);
  const at = usedByte(bytes, random);
  const bit = random.below(8);
  bytes[at]! ^= 1 << bit;
  writeFileSync(copy, bytes);
  const told = `bit ${bit} of byte ${at % PAGE_BYTES} of page ${Math.floor(at / PAGE_BYTES)}`;
  let opened: Opened;
  try {
    opened = open(copy);
  } catch (error) {
    assert(error instanceof Error && error.name !== "AssertionError", `${told}: ${String(error)}`);
    return { fate: "refused", told: `${told}: ${error.message}` };
  }
  const { hashes, named, isTorn } = opened;
  for (const [tenant, hash] of hashes) {
    if (isTorn || named.has(tenant)) continue;
    assert.equal(hash, expected.get(tenant), `${told}: ${tenant} is another, and nobody says so`);
  }
  for (const tenant of expected.keys()) {
    const isThere = hashes.has(tenant) || isTorn || named.has(tenant);
    assert(isThere, `${told}: ${tenant} is gone, and nobody says so`);
  }
  return { fate: isTorn || named.size > 0 ? "named" : "same", told };
}

/** Of any page; not one of the zeros, which are mostly room that nobody reads. */
function usedByte(bytes: Buffer, random: Random): number {
  for (;;) {
    const page = random.below(bytes.length / PAGE_BYTES) * PAGE_BYTES;
    for (let tries = 0; tries < 100; tries++) {
      const at = page + random.below(PAGE_BYTES);
      if (bytes[at] !== 0) return at;
    }
  }
}
