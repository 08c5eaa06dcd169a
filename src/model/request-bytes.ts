/**
 * A message as a tenant's moderator takes it, little-endian, every text UTF-8:
 *
 *    0 f64 time, epoch ms   8 u32 flags: 1 leave no trace, 2 judge only
 *   12 u16 given turns     14 u16 bytes of id      16 u16 of conversation   18 u16 of user
 *   20 u16 of role         22 u16 of replyTo       24 u16 of language       26 u16 0
 *   28 u32 bytes of text
 *   32 id, conversation, user, role, replyTo, language, text, one after the other; then each given
 *      turn, the oldest first: u16 bytes of id, u16 of user, u32 of text, id, user, text
 *
 * The whole is at most JUDGE_BYTES_MAX: of the given turns the newest are kept, and the oldest of
 * these loses its start.
 */
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  GIVEN_TURNS_MAX,
  JUDGE_BYTES_MAX,
  LANGUAGE_BYTES_MAX,
  ROLE_BYTES_MAX,
  TEXT_BYTES_MAX,
  USER_BYTES_MAX,
} from "./limits.ts";
import type { GivenTurn, ModerationRequest } from "./moderation.ts";

export const REQUEST_HEAD_BYTES = 32;
/** Where the byte with the flags is. */
export const FLAGS_AT = 8;
export const FLAG_DO_NOT_STORE = 1;
export const FLAG_JUDGE_ONLY = 2;
const TURN_HEAD_BYTES = 8;
/** Less of a turn than this, unless it is all of it, says nothing. */
const CUT_TEXT_BYTES_MIN = 16;

/** Where the length of a text stands, and the text. */
const TEXTS = [
  { at: 14, name: "id", bytesMax: EVENT_ID_BYTES_MAX },
  { at: 16, name: "conversation", bytesMax: CONVERSATION_BYTES_MAX },
  { at: 18, name: "user", bytesMax: USER_BYTES_MAX },
  { at: 20, name: "role", bytesMax: ROLE_BYTES_MAX },
  { at: 22, name: "replyTo", bytesMax: EVENT_ID_BYTES_MAX },
  { at: 24, name: "language", bytesMax: LANGUAGE_BYTES_MAX },
] as const;

const encoder = new TextEncoder();

/** Writes requests into its bytes, one at a time. */
export class RequestBytes {
  /** Room for the longest text that `encodeInto` is given before it is found to be too long. */
  readonly bytes = new Uint8Array(JUDGE_BYTES_MAX);
  readonly #view = new DataView(this.bytes.buffer);
  #end = 0;

  /**
   * How many of `bytes` the request takes; `nowMs`: the time of one that has none. A text that is
   * over its limit is named instead.
   */
  write(
    request: ModerationRequest,
    nowMs: number,
  ): number | "text" | (typeof TEXTS)[number]["name"] {
    const view = this.#view;
    view.setFloat64(0, request.tsMs ?? nowMs, true);
    view.setUint32(8, request.doNotStore === true ? FLAG_DO_NOT_STORE : 0, true);
    view.setUint16(12, 0, true);
    view.setUint16(26, 0, true);
    this.#end = REQUEST_HEAD_BYTES;
    for (const { at, name, bytesMax } of TEXTS) {
      const byteCount = this.#put(request[name] ?? "", bytesMax);
      if (byteCount === -1) return name;
      view.setUint16(at, byteCount, true);
    }
    const textBytes = this.#put(request.text, TEXT_BYTES_MAX);
    if (textBytes === -1) return "text";
    view.setUint32(28, textBytes, true);
    if (request.context !== undefined) this.#putContext(request.context);
    return this.#end;
  }

  /** Bytes of the text, or -1 if they are too many. Lone surrogates become U+FFFD. */
  #put(text: string, bytesMax: number): number {
    if (text === "") return 0;
    const room = this.bytes.subarray(this.#end, this.#end + bytesMax);
    const { read, written } = encoder.encodeInto(text, room);
    if (read < text.length) return -1;
    this.#end += written;
    return written;
  }

  #putContext(context: readonly GivenTurn[]): void {
    let room = JUDGE_BYTES_MAX - this.#end;
    const turns: { id: Uint8Array; user: Uint8Array; text: Uint8Array }[] = [];
    for (const turn of context.slice(-GIVEN_TURNS_MAX).toReversed()) {
      const id = cutEnd(encoder.encode(turn.id ?? ""), EVENT_ID_BYTES_MAX);
      const user = cutEnd(encoder.encode(turn.user ?? ""), USER_BYTES_MAX);
      const whole = encoder.encode(turn.text);
      room -= TURN_HEAD_BYTES + id.length + user.length;
      if (room < Math.min(whole.length, CUT_TEXT_BYTES_MIN)) break;
      const text = cutStart(whole, Math.min(room, TEXT_BYTES_MAX));
      room -= text.length;
      turns.push({ id, user, text });
    }
    this.#view.setUint16(12, turns.length, true);
    for (const { id, user, text } of turns.toReversed()) {
      this.#view.setUint16(this.#end, id.length, true);
      this.#view.setUint16(this.#end + 2, user.length, true);
      this.#view.setUint32(this.#end + 4, text.length, true);
      this.#end += TURN_HEAD_BYTES;
      for (const bytes of [id, user, text]) {
        this.bytes.set(bytes, this.#end);
        this.#end += bytes.length;
      }
    }
  }
}

/** At most so many of the last bytes, beginning with a whole character. */
function cutStart(bytes: Uint8Array, bytesMax: number): Uint8Array {
  let start = Math.max(0, bytes.length - bytesMax);
  while (start < bytes.length && isWithin(bytes[start]!)) start += 1;
  return bytes.subarray(start);
}

/** At most so many of the first bytes, ending with a whole character. */
function cutEnd(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (bytes.length <= bytesMax) return bytes;
  let end = bytesMax;
  while (end > 0 && isWithin(bytes[end]!)) end -= 1;
  return bytes.subarray(0, end);
}

/** A byte of UTF-8 that begins no character. */
function isWithin(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
