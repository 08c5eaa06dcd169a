// What the sketches of distinct users must hold, written from their definitions: slow and plain.

export const RANK_WEIGHTS = [46302, 11912, 4491, 1657, 739, 145, 145, 145];
export const REGISTERS = 1024;

const WORD = (1n << 64n) - 1n;
const PANE_BIAS = 16;
const LEVEL_WIDTHS = [1, 12, 60, 1440];
const LEVELS = [12, 10, 12, 12];

/** Whether a span below `all` that ends with pane `current` holds the pane. */
export function isInSpan(span: number, pane: number, current: number): boolean {
  const width = LEVEL_WIDTHS[span]!;
  const level = (of: number): number => Math.floor((of - PANE_BIAS) / width);
  return level(pane) > level(current) - LEVELS[span]!;
}

/** splitmix64 of a 32-bit hash. */
export function widen(hash: number): bigint {
  let word = ((BigInt(hash >>> 0) + 1n) * 0x9e3779b97f4a7c15n) & WORD;
  word = ((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
  word = ((word ^ (word >> 27n)) * 0x94d049bb133111ebn) & WORD;
  return word ^ (word >> 31n);
}

/** The bit of the bitmap that a hash chooses: register * 8 + rank. */
export function rankBitOf(hash: number): number {
  const word = widen(hash);
  // Ranks from the rarest up share [0, 65536) by their weights.
  let below = 0;
  let rank = RANK_WEIGHTS.length;
  while (Number(word & 0xffffn) >= below) below += RANK_WEIGHTS[--rank]!;
  return Number(word >> 54n) * 8 + rank;
}

/** The portable form of a bitmap with these bits. */
export function rankBits(bits: Iterable<number>): Uint8Array {
  const bytes = new Uint8Array(REGISTERS);
  for (const bit of bits) bytes[bit >> 3]! |= 1 << (bit & 7);
  return bytes;
}

/**
 * The registers of UltraLogLog as the paper defines them: from the set of all k that a register has
 * seen, the largest and the two flags below it. Nothing is packed or shifted out on the way.
 */
export function ultraRegisters(p: number, hashes: Iterable<bigint>): Uint8Array {
  const seen = Array.from({ length: 2 ** p }, () => new Set<number>());
  for (const hash of hashes) {
    const digits = hash.toString(2).padStart(64, "0");
    const rest = digits.slice(p);
    const k = rest.includes("1") ? rest.indexOf("1") : 64 - p;
    seen[Number.parseInt(digits.slice(0, p), 2)]!.add(k);
  }
  return Uint8Array.from(seen, (ks) => {
    if (ks.size === 0) return 0;
    const largest = Math.max(...ks);
    return 4 * (largest + p - 1) + (ks.has(largest - 1) ? 2 : 0) + (ks.has(largest - 2) ? 1 : 0);
  });
}
