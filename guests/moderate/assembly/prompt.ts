// What the upstream is told of a message, as parts (src/model/prompt-parts.ts): the policy's
// guidance; what was said before, as far as the policy lets it be read, the oldest first; and the
// message. It is all that the tenant's component remembers or was handed, and nothing else.
//
//   u8 1 | u8 parts | u16 0 | each: u8 kind, u8 0, u16 bytes of name, u32 of text, name, text
//
// It is at most PROMPT_BYTES_MAX bytes: the oldest turns are left out and one is cut; if that is not
// enough, the message loses its middle, where least of what people want to say stands. The turn
// that is answered comes along even if newer ones would push it out. Bytes that are no UTF-8
// become "?", as a host takes none.
//
// It is written to the scratch of the scoring, which is free then: beside a long request the arena
// has no room for it.
import { alloc } from "../../sdk/assembly/arena";
import { cut, decode } from "../../sdk/assembly/text/unicode";
import { conversationAt, findConversation } from "./conversations";
import { contextAgeMs, contextTurns, guidanceAt, guidanceBytes } from "./policy";
import { Request } from "./request";
import { SCRATCH_ADDRESS } from "./scratch";
import { state } from "./state";

/** PROMPT_BYTES_MAX of src/model/limits.ts. */
const PROMPT_BYTES_MAX: u32 = 16384;
const HEAD_BYTES: u32 = 4;
const PART_HEAD_BYTES: u32 = 8;
const VERSION: u8 = 1;
const KIND_POLICY: u8 = 0;
const KIND_TURN: u8 = 1;
const KIND_SUBJECT: u8 = 2;
/** " […] " in the place of what is cut out. */
const MARK: usize = memory.data<u8>([0x20, 0x5b, 0xe2, 0x80, 0xa6, 0x5d, 0x20]);
const MARK_BYTES: u32 = 7;
/** Less of a turn than this, unless it is all of it, says nothing. */
const CUT_BYTES_MIN: u32 = 64;

/** What somebody said: who, and what. */
@unmanaged
class Said {
  name: u32;
  nameBytes: u32;
  text: u32;
  textBytes: u32;

  @inline
  get partBytes(): i32 {
    return <i32>(PART_HEAD_BYTES + this.nameBytes + this.textBytes);
  }
}

/** What was said before: `count` of them from `first` on, the oldest first. */
@unmanaged
class SaidBefore {
  first: u32;
  count: u32;
  /** Number of the one that is answered, or -1. */
  answered: i32;

  @inline
  at(index: u32): Said {
    return changetype<Said>(<usize>this.first + <usize>index * offsetof<Said>());
  }

  add(name: usize, nameBytes: u32, text: usize, textBytes: u32): void {
    const said = this.at(this.count);
    said.name = <u32>name;
    said.nameBytes = nameBytes;
    said.text = <u32>text;
    said.textBytes = textBytes;
    this.count += 1;
  }
}

/** Writes the parts to PROMPT; returns how many bytes they are. */
export function writePrompt(request: Request, turnsBefore: u32): u32 {
  const subject = subjectOf(request);
  const guidance = guidanceBytes();
  const fixed = HEAD_BYTES + (guidance == 0 ? 0 : PART_HEAD_BYTES + guidance);
  const room = <i32>(PROMPT_BYTES_MAX - fixed) - subject.partBytes;
  const before = saidBefore(request, turnsBefore);
  const chosen = alloc(<usize>before.count << 2, 4);
  const count = choose(before, chosen, room);
  store<u8>(PROMPT, VERSION);
  store<u8>(PROMPT, <u8>(count + (guidance == 0 ? 1 : 2)), 1);
  let at = PROMPT + HEAD_BYTES;
  if (guidance != 0) at = writePart(at, KIND_POLICY, 0, 0, guidanceAt(), guidance, guidance);
  let left = max(room, 0);
  for (let index: u32 = 0; index < count; index++) {
    left -= before.at(chosenAt(chosen, index)).partBytes;
  }
  for (let index = count; index > 0; index--) {
    const said = before.at(chosenAt(chosen, index - 1));
    // Only the oldest may have to be cut, by what is missing.
    const textRoom = index == count && left < 0 ? said.textBytes + left : said.textBytes;
    at = writePart(at, KIND_TURN, said.name, said.nameBytes, said.text, said.textBytes, textRoom);
  }
  const kept = room < 0 ? subject.textBytes + room : subject.textBytes;
  at = writePart(
    at, KIND_SUBJECT, subject.name, subject.nameBytes, subject.text, subject.textBytes, kept,
  );
  return <u32>(at - PROMPT);
}

export const PROMPT: usize = SCRATCH_ADDRESS;

export function clearPrompt(bytes: u32): void {
  memory.fill(PROMPT, 0, bytes);
}

/** Puts the numbers of those that fit to `into`, the newest first; the last may have to be cut. */
function choose(before: SaidBefore, into: usize, room: i32): u32 {
  const most = contextTurns();
  let count: u32 = 0;
  let index = <i32>before.count - 1;
  while (index >= 0 && count < most) {
    if (count == most - 1 && before.answered >= 0 && before.answered < index) {
      index = before.answered;
    }
    const said = before.at(index);
    const bytes = said.partBytes;
    const least = <i32>(PART_HEAD_BYTES + said.nameBytes + CUT_BYTES_MIN);
    if (room < min(bytes, least)) break;
    store<u32>(into + (<usize>count << 2), index);
    count += 1;
    room -= bytes;
    if (room < 0) break;
    index -= 1;
  }
  return count;
}

@inline
function chosenAt(chosen: usize, index: u32): u32 {
  return load<u32>(chosen + (<usize>index << 2));
}

function saidBefore(request: Request, turnsBefore: u32): SaidBefore {
  const before = changetype<SaidBefore>(alloc(offsetof<SaidBefore>()));
  before.answered = -1;
  if (contextTurns() == 0) return before;
  if (request.givenCount != 0) readGiven(before, request);
  else readTurns(before, request, turnsBefore);
  return before;
}

function readGiven(before: SaidBefore, request: Request): void {
  before.first = <u32>alloc(<usize>request.givenCount * offsetof<Said>(), 4);
  for (let index: u32 = 0; index < request.givenCount; index++) {
    const given = request.givenAt(index);
    if (given.textLen == 0) continue;
    if (request.answers(given.id, given.idLen)) before.answered = before.count;
    before.add(given.user, given.userLen, given.text, given.textLen);
  }
}

function readTurns(before: SaidBefore, request: Request, turnsBefore: u32): void {
  const index = findConversation(request.conversation, request.conversationLen);
  if (index == state().conversationCount) return;
  const record = conversationAt(index);
  const count = min(turnsBefore, <u32>record.turnCount);
  before.first = <u32>alloc(<usize>count * offsetof<Said>(), 4);
  let turn = record.first;
  for (let number: u32 = 0; number < count; number++, turn = turn.next) {
    const isRecent = request.tsMs - turn.tsMs <= contextAgeMs();
    // Where texts are not kept there is nothing to tell.
    if (!isRecent || turn.textLen == 0) continue;
    if (request.answers(turn.idAt, turn.idLen)) before.answered = before.count;
    if (turn.userLen != 0) before.add(turn.userAt, turn.userLen, turn.textAt, turn.textLen);
    else before.add(turn.roleAt, turn.roleLen, turn.textAt, turn.textLen);
  }
}

function subjectOf(request: Request): Said {
  const said = changetype<Said>(alloc(offsetof<Said>()));
  const isNamed = request.userLen != 0;
  said.name = isNamed ? request.user : request.role;
  said.nameBytes = isNamed ? request.userLen : request.roleLen;
  said.text = request.text;
  said.textBytes = request.textLen;
  return said;
}

/** `room`: how much of the text may stand. Returns where the next part goes. */
function writePart(
  at: usize, kind: u8, name: usize, nameBytes: u32, text: usize, textBytes: u32, room: u32,
): usize {
  const start = at + PART_HEAD_BYTES;
  memory.copy(start, name, nameBytes);
  mend(start, start + nameBytes);
  const textAt = start + nameBytes;
  const end = writeCut(textAt, text, textBytes, room);
  store<u8>(at, kind);
  store<u16>(at, <u16>nameBytes, 2);
  store<u32>(at, <u32>(end - textAt), 4);
  return end;
}

/** The text, or its start and its end with a mark between them. */
function writeCut(at: usize, text: usize, bytes: u32, room: u32): usize {
  if (bytes <= room) {
    memory.copy(at, text, bytes);
    mend(at, at + bytes);
    return at + bytes;
  }
  const kept = room - MARK_BYTES;
  const left = <u32>cut(text, bytes, kept >> 1);
  let rest = bytes - (kept - left);
  while (rest < bytes && (load<u8>(text + rest) & 0xc0) == 0x80) rest += 1;
  memory.copy(at, text, left);
  memory.copy(at + left, MARK, MARK_BYTES);
  memory.copy(at + left + MARK_BYTES, text + rest, bytes - rest);
  const end = at + left + MARK_BYTES + (bytes - rest);
  mend(at, end);
  return end;
}

/** Makes each byte that is no UTF-8 a "?". */
function mend(at: usize, end: usize): void {
  while (at < end) {
    const decoded = decode(at, end);
    const size = decoded >> 24;
    if (size == 1 && (decoded & 0xffffff) > 0x7f) store<u8>(at, 0x3f);
    at += size;
  }
}
