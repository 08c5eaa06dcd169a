/**
 * What a tenant's component hands over to be asked: parts, not a prompt. Little-endian, UTF-8:
 *
 *   0 u8 version, 1    1 u8 parts    2 u16 0
 *   4 each part, unaligned: u8 kind, u8 0, u16 bytes of name, u32 bytes of text, name, text
 *
 * The host writes the prompt of them (src/llm/fence.ts), so no component, whoever wrote it, can
 * leave the fence out; and all of it is of one tenant, because a component has nothing else.
 */
import { PROMPT_BYTES_MAX, PROMPT_PARTS_MAX } from "./limits.ts";

export const PART_KINDS = [
  /** What the tenant wants judged, or told, and how; the tenant's own words. */
  "policy",
  /** A message before the one in question; its name is who said it. */
  "turn",
  /** The message in question. */
  "subject",
  /** A line of the record with its numbers, to be told; its name is its id. */
  "fact",
  /** The summary so far. */
  "summary",
  /** What was said since. */
  "delta",
] as const;
export type PartKind = (typeof PART_KINDS)[number];

export type PromptPart = { readonly kind: PartKind; readonly name: string; readonly text: string };

const VERSION = 1;
const HEAD_BYTES = 4;
const PART_HEAD_BYTES = 8;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined: the bytes are no parts; the component that wrote them broke the contract. */
export function readPromptParts(bytes: Uint8Array): readonly PromptPart[] | undefined {
  if (bytes.length < HEAD_BYTES || bytes.length > PROMPT_BYTES_MAX) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint8(1);
  if (view.getUint8(0) !== VERSION || count === 0 || count > PROMPT_PARTS_MAX) return undefined;
  if (view.getUint16(2) !== 0) return undefined;
  const parts: PromptPart[] = [];
  let at = HEAD_BYTES;
  while (parts.length < count) {
    if (at + PART_HEAD_BYTES > bytes.length) return undefined;
    const kind = PART_KINDS[view.getUint8(at)];
    const nameBytes = view.getUint16(at + 2, true);
    const textBytes = view.getUint32(at + 4, true);
    const nameAt = at + PART_HEAD_BYTES;
    const end = nameAt + nameBytes + textBytes;
    if (kind === undefined || view.getUint8(at + 1) !== 0 || end > bytes.length) return undefined;
    const part = readPart(kind, bytes.subarray(nameAt, end), nameBytes);
    if (part === undefined) return undefined;
    parts.push(part);
    at = end;
  }
  return at === bytes.length ? parts : undefined;
}

/** For the host's own parts and for tests; a component writes the same in AssemblyScript. */
export function writePromptParts(parts: readonly PromptPart[]): Buffer {
  const chunks = [Buffer.from([VERSION, parts.length, 0, 0])];
  for (const { kind, name, text } of parts) {
    const head = Buffer.alloc(PART_HEAD_BYTES);
    head.writeUInt8(PART_KINDS.indexOf(kind), 0);
    head.writeUInt16LE(Buffer.byteLength(name), 2);
    head.writeUInt32LE(Buffer.byteLength(text), 4);
    chunks.push(head, Buffer.from(name), Buffer.from(text));
  }
  return Buffer.concat(chunks);
}

/** `bytes`: of the name, then of the text. */
function readPart(kind: PartKind, bytes: Uint8Array, nameBytes: number): PromptPart | undefined {
  const both = decode(bytes);
  if (both === undefined) return undefined;
  // As a rule a character is a byte, and one look is enough.
  if (both.length === bytes.length) {
    return { kind, name: both.slice(0, nameBytes), text: both.slice(nameBytes) };
  }
  const name = decode(bytes.subarray(0, nameBytes));
  const text = decode(bytes.subarray(nameBytes));
  return name === undefined || text === undefined ? undefined : { kind, name, text };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
