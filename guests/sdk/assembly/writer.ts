// Writes UTF-8 text into a buffer of fixed size: what does not fit is left out, at a code point.
import { alloc } from "./arena";

@unmanaged
export class Writer {
  start: u32;
  length: u32;
  room: u32;

  /** A literal. Static strings are UTF-16; ours have no surrogates. */
  literal(text: string): Writer {
    const from = changetype<usize>(text);
    for (let index: i32 = 0; index < text.length; index++)
      this.unit(<u32>load<u16>(from + (<usize>index << 1)));
    return this;
  }

  bytes(from: usize, count: u32): Writer {
    let kept = min(count, this.room - this.length);
    while (kept < count && kept > 0 && (load<u8>(from + kept) & 0xc0) == 0x80) kept -= 1;
    memory.copy(this.start + this.length, from, kept);
    this.length += kept;
    return this;
  }

  number(value: u64): Writer {
    let digits: u32 = 1;
    for (let rest = value / 10; rest != 0; rest /= 10) digits += 1;
    if (this.length + digits > this.room) return this;
    this.length += digits;
    let at = this.start + this.length;
    while (digits-- > 0) {
      store<u8>(--at, <u8>(0x30 + value % 10));
      value /= 10;
    }
    return this;
  }

  private unit(unit: u32): void {
    const size: u32 = unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
    if (this.length + size > this.room) return;
    const at = this.start + this.length;
    if (size == 1) {
      store<u8>(at, <u8>unit);
    } else if (size == 2) {
      store<u8>(at, <u8>(0xc0 | (unit >> 6)));
      store<u8>(at, <u8>(0x80 | (unit & 0x3f)), 1);
    } else {
      store<u8>(at, <u8>(0xe0 | (unit >> 12)));
      store<u8>(at, <u8>(0x80 | ((unit >> 6) & 0x3f)), 1);
      store<u8>(at, <u8>(0x80 | (unit & 0x3f)), 2);
    }
    this.length += size;
  }
}

/** A writer into `room` fresh bytes of the arena. */
export function openWriter(room: u32): Writer {
  const writer = changetype<Writer>(alloc(offsetof<Writer>(), 4));
  writer.start = <u32>alloc(room, 1);
  writer.length = 0;
  writer.room = room;
  return writer;
}
