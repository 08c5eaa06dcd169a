/**
 * The host's own Wasm module that reads and writes guests' memories: scanner/scanner.wat, which
 * says how an image is packed. One instance a slot; what is packed lies in one memory a thread.
 */
import { readFileSync } from "node:fs";

export type Scanner = {
  /** Of the pages in `mask`, bit 0 being `firstPage`, those that hold a byte other than zero. */
  readonly nonZeroPages: (firstPage: number, mask: number) => number;
  /** Packs the pages of a mask, of some of them all lines; returns the bytes. */
  readonly pack: (low: number, high: number, wholeLow: number, wholeHigh: number) => number;
  /** Writes what lies packed over the memory. */
  readonly unpack: () => void;
  /** Makes the pages of a mask zero. */
  readonly clear: (low: number, high: number) => void;
};

const PATH = new URL("../../scanner/dist/scanner.wasm", import.meta.url);
const PACKED_PAGES = 4;
const HEADER_BYTES = 16;
const PAGE_BYTES = 4096;
const MASK_BYTES = 8;

const memory = new WebAssembly.Memory({ initial: PACKED_PAGES, maximum: PACKED_PAGES });
let compiled: WebAssembly.Module | undefined;

/** Where `pack` writes and `unpack` reads, from the first byte on. */
export const packedBytes = Buffer.from(memory.buffer);

/** The functions for one memory; the module is compiled once a thread. */
export function scannerOf(guest: WebAssembly.Memory): Scanner {
  compiled ??= new WebAssembly.Module(readFileSync(PATH));
  const imports = { guest: { memory: guest }, image: { memory } };
  return new WebAssembly.Instance(compiled, imports).exports as Scanner;
}

/** Bytes that so many pages take packed, at most. */
export function packedBytesMax(pageCount: number): number {
  return HEADER_BYTES + ((pageCount * MASK_BYTES + 15) & ~15) + pageCount * PAGE_BYTES;
}
