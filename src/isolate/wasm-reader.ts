/** Reads the binary encodings that core modules and components share. Nothing is trusted. */
import { AdmissionError } from "./admission-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class WasmReader {
  readonly bytes: Uint8Array;
  /** Next byte to read. */
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw this.malformed("it ends too early");
    return this.bytes[this.at++]!;
  }

  skip(count: number): void {
    if (count > this.end - this.at) throw this.malformed("it ends too early");
    this.at += count;
  }

  /** An unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.malformed("a number is longer than 32 bits");
  }

  /** A signed LEB128 of at most 33 bits. */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - 2 ** (shift + 7);
    }
    throw this.malformed("a number is longer than 33 bits");
  }

  /** Passes over a LEB128 of at most `bits`; V8 checks its value. */
  skipLeb(bits: 32 | 33 | 64): void {
    for (let count = 0; count < Math.ceil(bits / 7); count++) if (this.byte() < 0x80) return;
    throw this.malformed(`a number is longer than ${bits} bits`);
  }

  name(): string {
    const count = this.u32();
    const start = this.at;
    this.skip(count);
    try {
      return utf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw this.malformed("a name is not UTF-8");
    }
  }

  /** The next `count` bytes as a reader of their own. */
  part(count: number): WasmReader {
    const start = this.at;
    this.skip(count);
    return new WasmReader(this.bytes, start, this.at);
  }

  /** Reads a count, then calls `item` that often. */
  vector<T>(item: () => T): T[] {
    const count = this.u32();
    // An item takes at least a byte: a larger count is a lie, found before anything is allocated.
    if (count > this.end - this.at) throw this.malformed("a list is longer than the file");
    return Array.from({ length: count }, item);
  }

  malformed(what: string): AdmissionError {
    return new AdmissionError(
      "malformed",
      `Byte ${this.at} of the component: ${what}. Build it with wit-component or jco.`,
    );
  }
}
