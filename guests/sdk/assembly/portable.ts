// The state of a tenant on its way to another version of the component (`portable` in the WIT): in
// parts, each of which fits the arena whatever the state is, so nothing has to be given up.
//
//    0 u32 magic "NXP1"       12 u32 bytes of the whole section, zeros at its end included
//    4 u16 kind of section    16 u32 where in the section the part begins
//    6 u16 its version        20 u32 number of the part
//    8 u32 FNV-1a of all but  24 the bytes, without the zeros at the section's end
//      the first 12 bytes,
//      kind and version first
//
// Part 0 is of kind 0, and says { u16 version of this form, u16 world, u32 number of parts }. The
// sections follow; one that is all zero is left out. What a section holds, and in which version, is
// the business of the module whose structure it is: another layout is another version, and the
// reader of the one before stays. No address is in any of them.
//
// A part is believed once its sum is right and its section is of the size it must have: the sum
// finds what was damaged, not what was forged. An error leaves zeros, as if nothing had been tried.
import { alloc, STATE_ADDRESS } from "./arena";
import { openWriter, Writer } from "./writer";

const MAGIC: u32 = 0x3150584e;
const FORM_VERSION: u16 = 1;
const HEAD_BYTES: u32 = 24;
const KIND_HEADER: u16 = 0;
const HEADER_BYTES: u32 = 8;
/** Of one part. Small enough for the arena, twice. */
const CONTENT_BYTES_MAX: u32 = 8192;
const ERROR_BYTES_MAX: u32 = 240;
const FNV_START: u32 = 0x811c9dc5;
const FNV_PRIME: u32 = 0x01000193;
/** No part has that number: a walk that only counts. */
const NONE: u32 = 0xffffffff;

export const WORLD_SUMMARIZER: u16 = 1;
export const WORLD_MODERATOR: u16 = 2;

/** A walk over all sections of a state, in order, that stops at one part. In the arena. */
@unmanaged
export class Walk {
  wanted: u32;
  /** Number of the next part. */
  next: u32;
  // The part that is wanted, once it was met.
  kind: u16;
  version: u16;
  total: u32;
  from: u32;
  content: u32;
  bytes: u32;

  /** A section of so many bytes at `at`; what lies there is read before the call ends. */
  section(kind: u16, version: u16, at: usize, total: u32): void {
    const used = withoutZeros(at, total);
    const first = this.next;
    this.next += (used + CONTENT_BYTES_MAX - 1) / CONTENT_BYTES_MAX;
    if (this.wanted < first || this.wanted >= this.next) return;
    this.kind = kind;
    this.version = version;
    this.total = total;
    this.from = (this.wanted - first) * CONTENT_BYTES_MAX;
    this.content = <u32>at + this.from;
    this.bytes = min(used - this.from, CONTENT_BYTES_MAX);
  }
}

/** Begins the walk for a part; the caller then tells it of all sections. */
export function openWalk(part: u32): Walk {
  const walk = changetype<Walk>(alloc(offsetof<Walk>()));
  walk.wanted = part == 0 ? NONE : part;
  walk.next = 1;
  return walk;
}

/** The answer of `export-state`: an option of a list of bytes. */
export function tellPart(walk: Walk, part: u32, world: u16): usize {
  const answer = alloc(12, 4);
  if (part == 0) {
    const header = alloc(HEADER_BYTES);
    store<u16>(header, FORM_VERSION);
    store<u16>(header, world, 2);
    store<u32>(header, walk.next, 4);
    walk.kind = KIND_HEADER;
    walk.version = FORM_VERSION;
    walk.total = HEADER_BYTES;
    walk.content = <u32>header;
    walk.bytes = HEADER_BYTES;
  } else if (walk.bytes == 0) return answer;
  const bytes = HEAD_BYTES + walk.bytes;
  const at = alloc(bytes);
  store<u32>(at, MAGIC);
  store<u16>(at, walk.kind, 4);
  store<u16>(at, walk.version, 6);
  store<u32>(at, walk.total, 12);
  store<u32>(at, walk.from, 16);
  store<u32>(at, part, 20);
  memory.copy(at + HEAD_BYTES, walk.content, walk.bytes);
  store<u32>(at, sumOf(at, bytes), 8);
  store<u8>(answer, 1);
  store<u32>(answer, <u32>at, 4);
  store<u32>(answer, bytes, 8);
  return answer;
}

/** A part as it came. */
@unmanaged
export class Part {
  private magic: u32;
  kind: u16;
  version: u16;
  private sum: u32;
  /** Of the section. */
  total: u32;
  from: u32;
  private number: u32;

  @inline
  get content(): usize {
    return changetype<usize>(this) + HEAD_BYTES;
  }

  /** Whether it is the section from its first byte on. */
  @inline
  get isFirst(): bool {
    return this.from == 0;
  }
}

// How far an import is; zeros when none is under way. A static, as the state is not there yet.
@unmanaged
class Progress {
  /** Parts that came, and how many there will be. */
  next: u32;
  count: u32;
  /** Bytes of the part at hand, without its head. */
  bytes: u32;
}

const PROGRESS: usize = memory.data(offsetof<Progress>(), 8);

@inline
function progress(): Progress {
  return changetype<Progress>(PROGRESS);
}

/** Bytes of the part at hand. */
@inline
export function contentBytes(): u32 {
  return progress().bytes;
}

/** Whether nothing has come yet: only a new component may be given a state. */
@inline
export function isFirstPart(): bool {
  return progress().next == 0;
}

/**
 * The next part, checked; null: it is the header, which is done with, or the end, or it is refused,
 * which `error` says.
 */
export function openPart(at: usize, bytes: usize, world: u16, error: Writer): Part | null {
  const it = progress();
  if (bytes == 0) {
    if (it.next == 0 || it.next != it.count)
      error.literal("The state ends after ").number(it.next).literal(" of ").number(it.count)
        .literal(" parts.");
    return null;
  }
  const part = changetype<Part>(at);
  if (!isSound(part, <u32>bytes)) {
    error.literal("Part ").number(it.next).literal(" is damaged, or not the next of a state.");
    return null;
  }
  it.bytes = <u32>bytes - HEAD_BYTES;
  it.next += 1;
  if (part.kind != KIND_HEADER) return part;
  const header = part.content;
  if (load<u16>(header) != FORM_VERSION) {
    error.literal("The state is of form ").number(load<u16>(header)).literal("; known is 1.");
  } else if (load<u16>(header, 2) != world) error.literal("The state is of another world.");
  it.count = load<u32>(header, 4);
  return null;
}

function isSound(part: Part, bytes: u32): bool {
  const it = progress();
  const at = changetype<usize>(part);
  if (bytes <= HEAD_BYTES || bytes > HEAD_BYTES + CONTENT_BYTES_MAX) return false;
  if (load<u32>(at) != MAGIC || load<u32>(at, 8) != sumOf(at, bytes)) return false;
  if (load<u32>(at, 20) != it.next) return false;
  if (part.from > part.total || bytes - HEAD_BYTES > part.total - part.from) return false;
  const isHeader = part.kind == KIND_HEADER;
  return isHeader == (it.next == 0) && (!isHeader || bytes == HEAD_BYTES + HEADER_BYTES);
}

/** For what went wrong with a part. */
export function openError(): Writer {
  return openWriter(ERROR_BYTES_MAX);
}

/**
 * The answer of `import-state`: a result of nothing, or of a text. After an error, and after the
 * last part, nothing is under way any more; after an error the state is empty.
 */
export function tellImported(error: Writer, isEnd: bool): usize {
  const answer = alloc(12, 4);
  if (isEnd || error.length != 0) memory.fill(PROGRESS, 0, offsetof<Progress>());
  if (error.length == 0) return answer;
  memory.fill(STATE_ADDRESS, 0, (<usize>memory.size() << 16) - STATE_ADDRESS);
  store<u8>(answer, 1);
  store<u32>(answer, error.start, 4);
  store<u32>(answer, error.length, 8);
  return answer;
}

export function refuseKind(error: Writer, part: Part): void {
  error.literal("Section ").number(part.kind).literal(" is not known.");
}

export function refuseVersion(error: Writer, part: Part): void {
  error.literal("Version ").number(part.version).literal(" of section ").number(part.kind)
    .literal(" is not known.");
}

/** Whether the section is of the size it must have here; else says so. */
export function hasSize(error: Writer, part: Part, bytes: u32): bool {
  if (part.total == bytes) return true;
  error.literal("Section ").number(part.kind).literal(" has ").number(part.total)
    .literal(" bytes where ").number(bytes).literal(" are wanted.");
  return false;
}

/** Puts the part where it belongs in a section of so many zero bytes at `to`. */
export function place(error: Writer, part: Part, to: usize, bytes: u32): void {
  if (hasSize(error, part, bytes)) memory.copy(to + part.from, part.content, contentBytes());
}

/** A section of one part as it was, zeros at its end included; in the arena. */
export function wholeOf(part: Part): usize {
  const whole = alloc(part.total, 16);
  memory.copy(whole + part.from, part.content, contentBytes());
  return whole;
}

/** Bytes up to the last that is not zero. */
function withoutZeros(at: usize, bytes: u32): u32 {
  while (bytes >= 16 && !v128.any_true(v128.load(at + bytes - 16))) bytes -= 16;
  while (bytes > 0 && load<u8>(at + bytes - 1) == 0) bytes -= 1;
  return bytes;
}

function sumOf(at: usize, bytes: u32): u32 {
  let sum = (FNV_START ^ load<u32>(at, 4)) * FNV_PRIME;
  for (let index: u32 = 12; index < bytes; index++)
    sum = (sum ^ <u32>load<u8>(at + index)) * FNV_PRIME;
  return sum;
}
