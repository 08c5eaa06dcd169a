/** The host's own Wasm module that reads guests' memories: scanner/dist/scanner.wasm. */
import { readFileSync } from "node:fs";

/** Of the pages in `mask`, bit 0 being `firstPage`, those that hold a byte other than zero. */
export type NonZeroPages = (firstPage: number, mask: number) => number;

const PATH = new URL("../../scanner/dist/scanner.wasm", import.meta.url);
let compiled: WebAssembly.Module | undefined;

/** A function for one memory; the module is compiled once a thread. */
export function scannerOf(memory: WebAssembly.Memory): NonZeroPages {
  compiled ??= new WebAssembly.Module(readFileSync(PATH));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports["nonZeroPages"] as NonZeroPages;
}
