// What was said before a message, as far as it is read for it: the newest turns, as many as the
// policy says; the turn that it answers, even if that is older; and up to two older ones of the
// same author. Turns that came along are read instead, the newest GIVEN_READ_MAX of them. A message
// that is an edit is read in the place that it has.
//
// Beside them, what the turns of the conversation say of its author and of the two people in it:
// how often, of late, the author was hostile, and others were to the author; and whether these are
// two who have been friendly so far.
import { alloc } from "../../sdk/assembly/arena";
import { contextAgeMs, contextTurns } from "./policy";
import { hashOfName, Request } from "./request";
import {
  MessageScore, RELATION_GIVEN as IS_GIVEN, RELATION_PREVIOUS as IS_PREVIOUS,
  RELATION_REPLIED_TO as IS_REPLIED_TO, RELATION_SAME_AUTHOR as IS_SAME_AUTHOR, scoreMessage,
  TRACE_BYTES, traceOf, WANT_TRACE,
} from "./score";
import { Conversation, HOSTILE_FROM, Turn } from "./turns";
import {
  CONTEXT_TURN_BYTES, ContextTurn, RELATION_GIVEN, RELATION_PREVIOUS, RELATION_REPLIED_TO,
  RELATION_SAME_AUTHOR,
} from "./world.gen";

/** The arena has room for no more beside the longest request. */
const GIVEN_READ_MAX: u32 = 16;
const OLDER_OF_AUTHOR_MAX: u32 = 2;
/** Turns by which two people, who both had a say, are known to be friendly. */
const BANTER_TURNS_MIN: u32 = 3;

@unmanaged
export class Context {
  count: u32;
  /** count x { u32 address of a trace, u32 relations }, the newest first. */
  parents: u32;
  /** ContextTurn each, in the same order. */
  turns: u32;
  /** Hash of the user that is answered. */
  to: u32;
  /** Hostile turns of the author, and of others to the author. */
  hostileBy: u32;
  hostileTo: u32;
  isBanter: bool;
  /** Of the turn that it answers; 0: it is not known. */
  repliedTo: u32;
}

/** `record`: the conversation, or null where none is remembered. */
export function contextOf(
  request: Request, record: Conversation | null, score: MessageScore,
): Context {
  const context = changetype<Context>(alloc(offsetof<Context>()));
  if (record != null) readPeople(context, request, record);
  const turns = contextTurns();
  if (turns == 0) return context;
  if (request.givenCount != 0) readGiven(context, request, min(turns, GIVEN_READ_MAX), score);
  else if (record != null) readTurns(context, request, record, turns);
  return context;
}

function readGiven(context: Context, request: Request, most: u32, score: MessageScore): void {
  const count = min(request.givenCount, most);
  open(context, count);
  const traces = alloc(<usize>count * TRACE_BYTES);
  let partner: u32 = 0;
  let ofAuthor: u32 = 0;
  let ofPartner: u32 = 0;
  let friendly = request.userHash != 0;
  for (let index: u32 = 0; index < count; index++) {
    const given = request.givenAt(request.givenCount - 1 - index);
    const trace = traces + <usize>index * TRACE_BYTES;
    scoreMessage(given.text, given.textLen, WANT_TRACE, changetype<usize>(score));
    traceOf(trace);
    const user = hashOfName(<u32>given.user, given.userLen);
    let relations = IS_GIVEN | IS_PREVIOUS;
    if (user != 0 && user == request.userHash) relations |= IS_SAME_AUTHOR;
    if (request.answers(given.id, given.idLen)) relations |= IS_REPLIED_TO;
    friendly = friendly && user != 0 && score.score0 < HOSTILE_FROM;
    if (user == request.userHash) ofAuthor += 1;
    else if (partner == 0 || partner == user) {
      partner = user;
      ofPartner += 1;
    } else friendly = false;
    const told = add(context, trace, relations);
    told.relation = <u8>RELATION_GIVEN;
    told.toxicity = rounded(<f64>score.score0);
    told.idSome = given.idLen != 0 ? 1 : 0;
    told.idPtr = <u32>given.id;
    told.idLen = given.idLen;
  }
  context.isBanter = friendly && isBanter(ofAuthor, ofPartner);
}

function readTurns(context: Context, request: Request, record: Conversation, most: u32): void {
  const before = record.find(request.id, request.idLen);
  const addresses = alloc(<usize>before << 2, 4);
  let turn = record.first;
  for (let index: u32 = 0; index < before; index++) {
    store<u32>(addresses + (<usize>index << 2), <u32>changetype<usize>(turn));
    turn = turn.next;
  }
  open(context, min(before, most + 1 + OLDER_OF_AUTHOR_MAX));
  let newest: u32 = 0;
  let older: u32 = 0;
  for (let index = before; index > 0; index--) {
    const turn = changetype<Turn>(<usize>load<u32>(addresses + (<usize>(index - 1) << 2)));
    if (!isRecent(request, turn)) continue;
    let relations: u32 = 0;
    if (newest < most) {
      relations = IS_PREVIOUS;
      newest += 1;
    }
    if (turn.user != 0 && turn.user == request.userHash) {
      if (relations != 0 || older++ < OLDER_OF_AUTHOR_MAX) relations |= IS_SAME_AUTHOR;
    }
    if (changetype<usize>(turn) == <usize>context.repliedTo) relations |= IS_REPLIED_TO;
    if (relations != 0) tell(add(context, turn.trace, relations), request, turn, relations);
  }
}

function tell(told: ContextTurn, request: Request, turn: Turn, relations: u32): void {
  told.relation = <u8>(
    (relations & IS_REPLIED_TO) != 0 ? RELATION_REPLIED_TO
    : (relations & IS_SAME_AUTHOR) != 0 ? RELATION_SAME_AUTHOR
    : RELATION_PREVIOUS
  );
  told.ageMs = max<f64>(request.tsMs - turn.tsMs, 0);
  told.toxicity = rounded(<f64>turn.toxicity);
  if (turn.idLen == 0) return;
  // The turn may move or go before the host has read the verdict.
  const id = alloc(turn.idLen, 1);
  memory.copy(id, turn.idAt, turn.idLen);
  told.idSome = 1;
  told.idPtr = <u32>id;
  told.idLen = turn.idLen;
}

/** What all turns before the message tell of the people in it. */
function readPeople(context: Context, request: Request, record: Conversation): void {
  const before = record.find(request.id, request.idLen);
  const author = request.userHash;
  let partner: u32 = 0;
  let ofAuthor: u32 = 0;
  let ofPartner: u32 = 0;
  let friendly = author != 0;
  let last: u32 = 0;
  let turn = record.first;
  for (let index: u32 = 0; index < before; index++, turn = turn.next) {
    if (!isRecent(request, turn)) continue;
    if (request.answers(turn.idAt, turn.idLen)) {
      context.repliedTo = <u32>changetype<usize>(turn);
    }
    const isHostile = turn.toxicity >= HOSTILE_FROM;
    if (author != 0 && isHostile) {
      if (turn.user == author) context.hostileBy += 1;
      else if (turn.to == author) context.hostileTo += 1;
    }
    if (turn.user == author) ofAuthor += 1;
    else if (partner == 0 || partner == turn.user) {
      partner = turn.user;
      ofPartner += 1;
    } else friendly = false;
    friendly = friendly && !isHostile && turn.user != 0;
    last = turn.user;
  }
  context.isBanter = friendly && isBanter(ofAuthor, ofPartner);
  if (context.repliedTo != 0) context.to = changetype<Turn>(<usize>context.repliedTo).user;
  else context.to = last;
}

@inline
function isBanter(ofAuthor: u32, ofPartner: u32): bool {
  return min(ofAuthor, ofPartner) > 0 && ofAuthor + ofPartner >= BANTER_TURNS_MIN;
}

@inline
function isRecent(request: Request, turn: Turn): bool {
  return request.tsMs - turn.tsMs <= contextAgeMs();
}

function open(context: Context, most: u32): void {
  context.parents = <u32>alloc(<usize>most << 3);
  context.turns = <u32>alloc(<usize>most * CONTEXT_TURN_BYTES);
}

function add(context: Context, trace: usize, relations: u32): ContextTurn {
  const parent = <usize>context.parents + (<usize>context.count << 3);
  store<u32>(parent, <u32>trace);
  store<u32>(parent, relations, 4);
  const turn = <usize>context.turns + <usize>context.count * CONTEXT_TURN_BYTES;
  context.count += 1;
  return changetype<ContextTurn>(turn);
}

/** To four digits: what is told, compared and kept. */
export function rounded(score: f64): f64 {
  if (!(score > 0)) return 0;
  return score >= 1 ? 1 : Math.floor(score * 10000 + 0.5) / 10000;
}
