// What is remembered of one conversation: a header, its id, then its turns in the order in which
// they were said, each a header, the 96 bytes that judging its answers will need (score.ts), and
// its id, user, role and text. All that a tenant remembers of a person is here.
//
// A conversation keeps to the policy: so many turns, so many bytes of text; the oldest leave. Where
// texts are not to be kept, a turn has neither text nor name, but a hash by which it is known who
// said it, and what it scored. A message whose id is known takes the place of the one before: it
// was edited.
import { equalBytes } from "../../sdk/assembly/sketches/bytes";
import { cut } from "../../sdk/assembly/text/unicode";
import { contextBytes, contextTurns, isStoringNothing } from "./policy";
import { Request } from "./request";
import { padded, state } from "./state";
import { TRACE_BYTES } from "./score";

/** Turns that are kept, but for a policy that reads none: so that authors and answers are known. */
const KEPT_TIMES: u32 = 2;
/** A record is at most so long, whatever the policy. */
export const RECORD_BYTES_MAX: u32 = 24576;
/** A turn of this toxicity is held against its author, a little, for as long as it is kept. */
export const HOSTILE_FROM: f32 = 0.6;

@unmanaged
export class Turn {
  bytes: u16;
  textLen: u16;
  idLen: u8;
  userLen: u8;
  roleLen: u8;
  action: u8;
  tsMs: f64;
  /** Hash of the user, and of whom it was said to; 0: it is not known. */
  user: u32;
  to: u32;
  toxicity: f32;
  /** Number of the message, if the upstream's answer about it may change what it scored, else 0. */
  awaited: u32;

  @inline
  get trace(): usize {
    return changetype<usize>(this) + offsetof<Turn>();
  }

  @inline
  get idAt(): usize {
    return this.trace + TRACE_BYTES;
  }

  @inline
  get userAt(): usize {
    return this.idAt + this.idLen;
  }

  @inline
  get roleAt(): usize {
    return this.userAt + this.userLen;
  }

  @inline
  get textAt(): usize {
    return this.roleAt + this.roleLen;
  }

  @inline
  get next(): Turn {
    return changetype<Turn>(changetype<usize>(this) + this.bytes);
  }
}

/** Bytes of a turn without its texts. */
const TURN_HEAD_BYTES: u32 = <u32>offsetof<Turn>() + TRACE_BYTES;

@unmanaged
export class Conversation {
  /** Bytes that the record has, and those it uses. */
  capacity: u16;
  used: u16;
  textBytes: u16;
  turnCount: u8;
  idLen: u8;

  @inline
  get idAt(): usize {
    return changetype<usize>(this) + offsetof<Conversation>();
  }

  @inline
  get first(): Turn {
    return changetype<Turn>(this.idAt + padded(this.idLen, 8));
  }

  @inline
  get end(): usize {
    return changetype<usize>(this) + this.used;
  }

  @inline
  hasId(id: usize, bytes: u32): bool {
    return <u32>this.idLen == bytes && equalBytes(this.idAt, id, bytes);
  }

  /** Address of the turn of that number, or the end. */
  turnAt(index: u32): usize {
    let turn = this.first;
    while (index-- > 0) turn = turn.next;
    return changetype<usize>(turn);
  }

  /** How many turns were said before one of its own. */
  numberOf(turn: Turn): u32 {
    let number: u32 = 0;
    for (let each = this.first; each != turn; each = each.next) number += 1;
    return number;
  }

  /** Number of the turn with that id, or how many there are. */
  find(id: usize, bytes: u32): u32 {
    const count = <u32>this.turnCount;
    if (bytes == 0) return count;
    let turn = this.first;
    for (let index: u32 = 0; index < count; index++) {
      if (<u32>turn.idLen == bytes && equalBytes(turn.idAt, id, bytes)) return index;
      turn = turn.next;
    }
    return count;
  }

  /** The time of the newest turn; 0: there is none. */
  get newestMs(): f64 {
    if (this.turnCount == 0) return 0;
    return changetype<Turn>(this.turnAt(<u32>this.turnCount - 1)).tsMs;
  }

  /** Takes out the turn at that address. */
  remove(at: usize): void {
    const turn = changetype<Turn>(at);
    this.textBytes -= turn.textLen;
    this.turnCount -= 1;
    state().turnCount -= 1;
    this.close(at, turn.bytes);
  }

  /** Puts zeros for a turn of so many bytes at `at`; the record has the room. */
  open(at: usize, bytes: u32): void {
    memory.copy(at + bytes, at, this.end - at);
    memory.fill(at, 0, bytes);
    this.used += <u16>bytes;
  }

  /** Forgets what of a turn is not to be kept: its text and the name of its user. */
  strip(at: usize): void {
    const turn = changetype<Turn>(at);
    const before = <u32>turn.bytes;
    const bytes = turnBytes(turn.idLen, 0, turn.roleLen, 0);
    this.textBytes -= turn.textLen;
    memory.copy(turn.userAt, turn.roleAt, turn.roleLen);
    turn.userLen = 0;
    turn.textLen = 0;
    turn.bytes = <u16>bytes;
    memory.fill(turn.textAt, 0, at + bytes - turn.textAt);
    if (bytes != before) this.close(at + bytes, before - bytes);
  }

  private close(at: usize, bytes: u32): void {
    const end = this.end;
    memory.copy(at, at + bytes, end - at - bytes);
    memory.fill(end - bytes, 0, bytes);
    this.used -= <u16>bytes;
  }

  /**
   * Lets the oldest turns go until one of so many bytes, with so much text, fits. Returns the
   * number that the turn number `index` has after that, or -1 if it went as well.
   */
  makeRoom(bytes: u32, textBytes: u32, index: i32): i32 {
    const turns = turnsKept();
    while (this.turnCount != 0 && index >= 0) {
      const isFull =
        <u32>this.turnCount + 1 > turns ||
        <u32>this.textBytes + textBytes > contextBytes() ||
        <u32>this.used + bytes > RECORD_BYTES_MAX;
      if (!isFull) break;
      // The turn to come is older than all others: it is its own that is the oldest.
      if (index == 0) return -1;
      this.remove(changetype<usize>(this.first));
      index -= 1;
    }
    return index;
  }
}

/** Turns that a conversation keeps, at most. */
@inline
export function turnsKept(): u32 {
  return contextTurns() * KEPT_TIMES;
}

export function conversationBytes(idLen: u32): u32 {
  return <u32>offsetof<Conversation>() + padded(idLen, 8);
}

/** What a turn of this request would keep. */
@unmanaged
export class Draft {
  request: Request;
  textLen: u32;
  userLen: u32;
  bytes: u32;
}

export function draft(into: Draft, request: Request): void {
  const isBare = isStoringNothing();
  into.request = request;
  into.textLen = isBare ? 0 : <u32>cut(request.text, request.textLen, contextBytes());
  into.userLen = isBare ? 0 : request.userLen;
  into.bytes = turnBytes(request.idLen, into.userLen, request.roleLen, into.textLen);
}

/** Writes all of a turn but its trace and scores to zeroed room. */
export function writeTurn(at: usize, from: Draft): Turn {
  const request = from.request;
  const turn = changetype<Turn>(at);
  turn.bytes = <u16>from.bytes;
  turn.textLen = <u16>from.textLen;
  turn.idLen = <u8>request.idLen;
  turn.userLen = <u8>from.userLen;
  turn.roleLen = <u8>request.roleLen;
  turn.tsMs = request.tsMs;
  turn.user = request.userHash;
  memory.copy(turn.idAt, request.id, request.idLen);
  memory.copy(turn.userAt, request.user, from.userLen);
  memory.copy(turn.roleAt, request.role, request.roleLen);
  memory.copy(turn.textAt, request.text, from.textLen);
  return turn;
}

@inline
function turnBytes(idLen: u32, userLen: u32, roleLen: u32, textLen: u32): u32 {
  return padded(TURN_HEAD_BYTES + idLen + userLen + roleLen + textLen, 8);
}
