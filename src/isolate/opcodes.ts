/**
 * Walks a function body and admits only instructions whose whole effect is on the memory, the
 * locals and the operand stack: MVP, sign extension, saturating conversions, multi-value,
 * memory.copy and memory.fill, and fixed-width SIMD. Everything else is refused by name:
 *
 *   - threads, exceptions, garbage collection, tail calls, typed references, relaxed SIMD (whose
 *     results depend on the machine), more than one memory;
 *   - what keeps state where an image does not look: global.set, table.set and kin, data.drop,
 *     elem.drop.
 *
 * V8 validates types and indices afterwards; here only the shape of the code matters.
 * Source: WebAssembly core specification 3.0, "Binary Format / Instructions".
 */
import { AdmissionError } from "./admission-error.ts";
import type { WasmReader } from "./wasm-reader.ts";

/** Walks one body up to its end; `onMemoryGrow` gets the offset of every `memory.grow`. */
export function walkBody(reader: WasmReader, onMemoryGrow: (offset: number) => void): void {
  const localGroupCount = reader.u32();
  for (let group = 0; group < localGroupCount; group++) {
    reader.skipLeb(32);
    readValueType(reader);
  }
  while (!reader.done) {
    const offset = reader.at;
    if (walkInstruction(reader) === MEMORY_GROW) onMemoryGrow(offset);
  }
}

/** A value type, which may be a number or a vector, not a reference. */
export function readValueType(reader: WasmReader): string {
  const byte = reader.byte();
  const name = VALUE_TYPES.get(byte);
  if (name !== undefined) return name;
  throw notAllowed(`a value of type 0x${byte.toString(16)}`, reader);
}

const VALUE_TYPES: ReadonlyMap<number, string> = new Map([
  [0x7f, "i32"],
  [0x7e, "i64"],
  [0x7d, "f32"],
  [0x7c, "f64"],
  [0x7b, "v128"],
]);

const MEMORY_GROW = 0x40;

function walkInstruction(reader: WasmReader): number {
  const opcode = reader.byte();
  if (opcode >= 0x45 && opcode <= 0xc4) return opcode; // Arithmetic: no immediates.
  if (opcode >= 0x28 && opcode <= 0x3e) walkMemoryArgument(reader);
  else if (opcode === 0xfc) walkMiscellaneous(reader);
  else if (opcode === 0xfd) walkSimd(reader);
  else walkControl(reader, opcode);
  return opcode;
}

function walkControl(reader: WasmReader, opcode: number): void {
  switch (opcode) {
    case 0x00: // unreachable
    case 0x01: // nop
    case 0x05: // else
    case 0x0b: // end
    case 0x0f: // return
    case 0x1a: // drop
    case 0x1b: // select
      return;
    case 0x02: // block
    case 0x03: // loop
    case 0x04: // if
    case 0x41: // i32.const
      return reader.skipLeb(opcode === 0x41 ? 32 : 33);
    case 0x0c: // br
    case 0x0d: // br_if
    case 0x10: // call
    case 0x20: // local.get
    case 0x21: // local.set
    case 0x22: // local.tee
    case 0x23: // global.get
      return reader.skipLeb(32);
    case 0x0e: // br_table
      reader.vector(() => reader.skipLeb(32));
      return reader.skipLeb(32);
    case 0x11: // call_indirect
      reader.skipLeb(32);
      return expectZero(reader, "a second table");
    case 0x1c: // select with types
      reader.vector(() => readValueType(reader));
      return;
    case 0x3f: // memory.size
    case MEMORY_GROW:
      return expectZero(reader, "a second memory");
    case 0x42: // i64.const
      return reader.skipLeb(64);
    case 0x43: // f32.const
      return reader.skip(4);
    case 0x44: // f64.const
      return reader.skip(8);
    case 0x24:
      throw hiddenState("global.set", reader);
    case 0x26:
      throw hiddenState("table.set", reader);
    default:
      throw notAllowed(REFUSED.get(opcode) ?? `opcode 0x${opcode.toString(16)}`, reader);
  }
}

const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x06, "an exception (try)"],
  [0x07, "an exception (catch)"],
  [0x08, "an exception (throw)"],
  [0x09, "an exception (rethrow)"],
  [0x0a, "an exception (throw_ref)"],
  [0x12, "a tail call (return_call)"],
  [0x13, "a tail call (return_call_indirect)"],
  [0x14, "a typed reference (call_ref)"],
  [0x15, "a tail call (return_call_ref)"],
  [0x18, "an exception (delegate)"],
  [0x19, "an exception (catch_all)"],
  [0x1f, "an exception (try_table)"],
  [0x25, "a reference (table.get)"],
  [0xd0, "a reference (ref.null)"],
  [0xd1, "a reference (ref.is_null)"],
  [0xd2, "a reference (ref.func)"],
  [0xfb, "garbage collection (0xfb)"],
  [0xfe, "threads (0xfe)"],
]);

/** Alignment and offset. Bit 6 of the alignment would say: a memory index follows. */
function walkMemoryArgument(reader: WasmReader): void {
  if (reader.u32() >= 0x40) throw notAllowed("a second memory", reader);
  reader.skipLeb(32);
}

function walkMiscellaneous(reader: WasmReader): void {
  const opcode = reader.u32();
  if (opcode <= 7) return; // Saturating conversions.
  if (opcode === 9) throw hiddenState("data.drop", reader);
  if (opcode === 13) throw hiddenState("elem.drop", reader);
  if (opcode === 12 || (opcode >= 14 && opcode <= 17)) throw hiddenState("a table change", reader);
  if (opcode !== 10 && opcode !== 11) {
    throw notAllowed(opcode === 8 ? "memory.init" : `opcode 0xfc ${opcode}`, reader);
  }
  expectZero(reader, "a second memory");
  if (opcode === 10) expectZero(reader, "a second memory");
}

function walkSimd(reader: WasmReader): void {
  const opcode = reader.u32();
  if (opcode >= 0x100) throw notAllowed("relaxed SIMD", reader);
  if (opcode <= 0x0b || opcode === 0x5c || opcode === 0x5d) walkMemoryArgument(reader);
  else if (opcode === 0x0c || opcode === 0x0d) reader.skip(16);
  else if (opcode >= 0x15 && opcode <= 0x22) reader.skip(1);
  else if (opcode >= 0x54 && opcode <= 0x5b) {
    walkMemoryArgument(reader);
    reader.skip(1);
  }
}

/** An index that must be 0, in its shortest form. */
function expectZero(reader: WasmReader, otherwise: string): void {
  if (reader.byte() !== 0) throw notAllowed(otherwise, reader);
}

function notAllowed(what: string, reader: WasmReader): AdmissionError {
  return new AdmissionError(
    "feature",
    `The core module uses ${what} before byte ${reader.at}. Allowed are MVP, sign extension, ` +
      "saturating conversions, multi-value, memory.copy, memory.fill and fixed-width SIMD.",
  );
}

function hiddenState(what: string, reader: WasmReader): AdmissionError {
  return new AdmissionError(
    "hiddenState",
    `The core module uses ${what} before byte ${reader.at}, which changes state outside its ` +
      "memory. Keep all state in the memory.",
  );
}
