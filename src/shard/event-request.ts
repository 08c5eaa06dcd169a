/**
 * Events of a batch (guests/sdk/assembly/batch.ts) as messages to judge (model/request-bytes.ts):
 * the same texts in another order, copied without being read.
 */
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import { REQUEST_HEAD_BYTES } from "#model/request-bytes.ts";

const EVENT_HEAD_BYTES = 32;
const PREFIX_BYTES = 4;
/** As many as events have, and a prefix for each; heads are equally long. */
const BYTES_MAX = BATCH_BYTES_MAX + (BATCH_BYTES_MAX / EVENT_HEAD_BYTES) * PREFIX_BYTES;

export class EventRequests {
  /** Of each message: u32 bytes, then these. */
  readonly bytes = Buffer.from(new ArrayBuffer(BYTES_MAX));
  end = 0;
  readonly #view = new DataView(this.bytes.buffer);

  /** Appends the event at this offset of a memory; false: it has no text. */
  append(memory: DataView, bytes: Uint8Array, offset: number): boolean {
    const textBytes = memory.getUint32(offset + 24, true);
    if (textBytes === 0) return false;
    const idBytes = memory.getUint16(offset + 16, true);
    const userBytes = memory.getUint16(offset + 18, true);
    const conversationBytes = memory.getUint16(offset + 20, true);
    const view = this.#view;
    const at = this.end + PREFIX_BYTES;
    this.bytes.fill(0, at, at + REQUEST_HEAD_BYTES);
    view.setFloat64(at, memory.getFloat64(offset + 8, true), true);
    view.setUint16(at + 14, idBytes, true);
    view.setUint16(at + 16, conversationBytes, true);
    view.setUint16(at + 18, userBytes, true);
    view.setUint32(at + 28, textBytes, true);
    const id = offset + EVENT_HEAD_BYTES;
    const user = id + idBytes;
    const conversation = user + userBytes;
    const text = conversation + conversationBytes;
    this.end = at + REQUEST_HEAD_BYTES;
    this.#put(bytes, id, user);
    this.#put(bytes, conversation, text);
    this.#put(bytes, user, conversation);
    this.#put(bytes, text, text + textBytes);
    view.setUint32(at - PREFIX_BYTES, this.end - at, true);
    return true;
  }

  #put(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) this.bytes[this.end + at - from] = bytes[at]!;
    this.end += to - from;
  }
}

/** Texts of the message at this offset; undefined: it has none of them. */
export function textsOf(
  bytes: Buffer,
  offset: number,
): {
  readonly messageId: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  readonly text: string;
} {
  const id = offset + REQUEST_HEAD_BYTES;
  const conversation = id + bytes.readUInt16LE(offset + 14);
  const user = conversation + bytes.readUInt16LE(offset + 16);
  const text = user + bytes.readUInt16LE(offset + 18);
  const textOf = (from: number, to: number): string | undefined =>
    from === to ? undefined : bytes.toString("utf8", from, to);
  return {
    messageId: textOf(id, conversation),
    conversation: textOf(conversation, user),
    user: textOf(user, text),
    text: bytes.toString("utf8", text, text + bytes.readUInt32LE(offset + 28)),
  };
}
