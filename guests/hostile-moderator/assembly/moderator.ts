// A moderator that judges nothing: its verdicts follow from every byte it ever saw and from the
// classifier's rows, so that any disturbance of its memory shows; and it remembers what was said, so
// that one tenant's words in another's memory would show, too. A text `!spin`, `!trap`, `!grow`,
// `!deep`, `!hog`, `!lie0` to `!lie9` makes it misbehave; what it asks the upstream, and what it does
// wrong about that, review.ts says.
import { alloc, STATE_ADDRESS } from "../../sdk/assembly/arena";
import { messageRow, parameter, replyRow } from "./imports.gen";
import { CONTEXT_TURN_BYTES, ContextTurn, TEXT_SPAN_BYTES, TextSpan, TURN_BYTES, Turn } from "./world.gen";
import { MODERATOR_USAGE_BYTES, ModeratorUsage, VERDICT_BYTES, Verdict } from "./world.gen";
import { misbehave, twist } from "./misdeed";
import { misbehaveJudging, misdeedOf } from "./review";

const HASH: usize = STATE_ADDRESS;
const JUDGED: usize = STATE_ADDRESS + 4;
const EVICTED: usize = STATE_ADDRESS + 8;
const NOW: usize = STATE_ADDRESS + 16;
const POLICY_VERSION: usize = STATE_ADDRESS + 24;
const POLICY_HASH: usize = STATE_ADDRESS + 28;

// Slots of { u32 in use, u32 bytes of name, u32 turns ever, u32 used at, name, turns }.
const CONVERSATIONS: usize = STATE_ADDRESS + 4096;
const CONVERSATION_COUNT: usize = 12;
const CONVERSATION_BYTES: usize = 2048;
const NAME_BYTES_MAX: u32 = 128;
const TURNS_AT: usize = 16 + NAME_BYTES_MAX;
// A ring of { u16 bytes of id, of user, of role, of text, f64 time, u32 score, texts }.
export const KEPT_COUNT: u32 = 4;
const KEPT_BYTES: usize = 472;
export const KEPT_HEAD_BYTES: usize = 24;
const KEPT_TEXT_BYTES_MAX: u32 = 160;

export const CATEGORY_COUNT: u32 = 9;

export { review, reviewCallback } from "./review";

/** It stays where it is: there is nothing that another could read. */
export function exportState(_part: u32): usize {
  return alloc(12, 4);
}

export function importState(_part: usize, bytes: usize): usize {
  const answer = alloc(12, 4);
  if (bytes == 0) return answer;
  store<u8>(answer, 1);
  return answer;
}

export function configure(policy: usize, bytes: usize): void {
  store<u32>(POLICY_VERSION, bytes >= 4 ? load<u32>(policy) : 0);
  store<u32>(POLICY_HASH, hashOf(policy, bytes, 0x811c9dc5));
}

export function judge(request: usize, bytes: usize): usize {
  const idBytes = <u32>load<u16>(request, 14);
  const conversationBytes = <u32>load<u16>(request, 16);
  const userBytes = <u32>load<u16>(request, 18);
  const roleBytes = <u32>load<u16>(request, 20);
  const textBytes = load<u32>(request, 28);
  const id = request + 32;
  const conversation = id + idBytes;
  const user = conversation + conversationBytes;
  const role = user + userBytes;
  const text = role + roleBytes + load<u16>(request, 22) + load<u16>(request, 24);
  misbehave(text, textBytes);
  misbehaveJudging(misdeedOf(text, textBytes));
  store<u32>(HASH, hashOf(request, bytes, load<u32>(HASH)));
  store<u32>(JUDGED, load<u32>(JUDGED) + 1);
  const hash = load<u32>(HASH) ^ load<u32>(POLICY_HASH);
  const found = conversationBytes == 0 ? 0 : find(conversation, conversationBytes);
  const verdict = verdictOf(hash, text, textBytes, found);
  if (conversationBytes != 0 && (load<u32>(request, 8) & 3) == 0) {
    const kept = next(found != 0 ? found : open(conversation, conversationBytes));
    store<f64>(kept, load<f64>(request), 8);
    store<u32>(kept, hash, 16);
    let end = kept + KEPT_HEAD_BYTES;
    end = keep(kept, end, id, idBytes);
    end = keep(kept + 2, end, user, userBytes);
    end = keep(kept + 4, end, role, roleBytes);
    keep(kept + 6, end, text, whole(text, textBytes, KEPT_TEXT_BYTES_MAX));
  }
  return twist(text, textBytes, verdict);
}

function verdictOf(hash: u32, text: usize, textBytes: u32, found: usize): Verdict {
  const row = messageRow(hash & 0x7ffff) ^ replyRow(hash & 0x1ffff, hash & 1);
  const verdict = changetype<Verdict>(alloc(VERDICT_BYTES, 8));
  verdict.action = <u8>(hash % 3);
  verdict.proposedAction = <u8>((hash >> 2) % 3);
  verdict.flagged = hash & 0x1ff;
  verdict.scoresPtr = numbers(row ^ hash);
  verdict.scoresLen = CATEGORY_COUNT;
  verdict.thresholdsPtr = numbers(~row);
  verdict.thresholdsLen = CATEGORY_COUNT;
  verdict.toxicityAlone = <f64>((reinterpret<u64>(parameter(hash & 0x1ff)) ^ hash) & 0xffffffff) / 4294967296;
  verdict.severity = hash % 101;
  verdict.spansLen = hash % 4;
  verdict.spansPtr = <u32>alloc(verdict.spansLen * <u32>TEXT_SPAN_BYTES, 8);
  for (let index: u32 = 0; index < verdict.spansLen; index++) {
    const span = changetype<TextSpan>(<usize>verdict.spansPtr + index * TEXT_SPAN_BYTES);
    span.category = <u8>((hash >> index) % CATEGORY_COUNT);
    span.start = min(index, textBytes);
    span.end = textBytes;
    span.startCodePoint = min(index, textBytes >> 1);
    span.endCodePoint = textBytes >> 1;
    span.score = <f64>index / 7;
  }
  contextOf(verdict, found);
  verdict.reasonPtr = <u32>text;
  verdict.reasonLen = whole(text, textBytes, 40);
  verdict.languagePtr = <u32>text;
  verdict.languageLen = whole(text, textBytes, 2);
  verdict.languageSource = <u8>((hash >> 5) % 3);
  verdict.languageSupport = <u8>((hash >> 7) % 3);
  verdict.listEntrySome = <u8>((hash >> 9) & 1);
  verdict.listEntryPtr = <u32>text;
  verdict.listEntryLen = whole(text, textBytes, 9);
  verdict.policyVersion = load<u32>(POLICY_VERSION);
  verdict.consult = misdeedOf(text, textBytes) != 0 ? 1 : <u8>((hash >> 11) & 1);
  return verdict;
}

/** All that is kept of the conversation, the newest first. */
function contextOf(verdict: Verdict, found: usize): void {
  if (found == 0) return;
  const count = min(load<u32>(found, 8), KEPT_COUNT);
  verdict.contextUsedLen = count;
  verdict.contextUsedPtr = <u32>alloc(count * <u32>CONTEXT_TURN_BYTES, 8);
  for (let index: u32 = 0; index < count; index++) {
    const kept = keptAt(found, load<u32>(found, 8) - 1 - index);
    const turn = changetype<ContextTurn>(<usize>verdict.contextUsedPtr + index * CONTEXT_TURN_BYTES);
    turn.idLen = load<u16>(kept);
    // The turn may be the one whose place the message takes.
    turn.idPtr = <u32>alloc(turn.idLen, 1);
    memory.copy(turn.idPtr, kept + KEPT_HEAD_BYTES, turn.idLen);
    turn.idSome = turn.idLen > 0 ? 1 : 0;
    turn.ageMs = load<f64>(kept, 8);
    turn.relation = <u8>(load<u32>(kept, 16) & 3);
    turn.toxicity = <f64>load<u32>(kept, 16) / 4294967296;
  }
}

/** Nine doubles from 0 to 1. */
export function numbers(seed: u64): u32 {
  const at = alloc(CATEGORY_COUNT * 8, 8);
  let value = seed;
  for (let index: usize = 0; index < CATEGORY_COUNT; index++) {
    value = value * 6364136223846793005 + 1442695040888963407;
    store<f64>(at + (index << 3), <f64>(value >>> 32) / 4294967296);
  }
  return <u32>at;
}

export function conversation(id: usize, bytes: usize): usize {
  const list = alloc(8, 4);
  const found = find(id, <u32>bytes);
  if (found == 0) return list;
  const ever = load<u32>(found, 8);
  const count = min(ever, KEPT_COUNT);
  const turns = alloc(count * TURN_BYTES, 8);
  store<u32>(list, <u32>turns);
  store<u32>(list, count, 4);
  for (let index: u32 = 0; index < count; index++) {
    const kept = keptAt(found, ever - count + index);
    const turn = changetype<Turn>(turns + index * TURN_BYTES);
    let at = <u32>(kept + KEPT_HEAD_BYTES);
    turn.idPtr = at;
    turn.idLen = load<u16>(kept);
    turn.idSome = turn.idLen > 0 ? 1 : 0;
    turn.userPtr = at += turn.idLen;
    turn.userLen = load<u16>(kept, 2);
    turn.userSome = turn.userLen > 0 ? 1 : 0;
    turn.rolePtr = at += turn.userLen;
    turn.roleLen = load<u16>(kept, 4);
    turn.roleSome = turn.roleLen > 0 ? 1 : 0;
    turn.textPtr = at + turn.roleLen;
    turn.textLen = load<u16>(kept, 6);
    turn.tsMs = load<f64>(kept, 8);
    turn.toxicity = <f64>load<u32>(kept, 16) / 4294967296;
    turn.action = <u8>(load<u32>(kept, 16) % 3);
  }
  return list;
}

export function forget(id: usize, bytes: usize): u32 {
  const found = find(id, <u32>bytes);
  if (found == 0) return 0;
  memory.fill(found, 0, CONVERSATION_BYTES);
  return 1;
}

export function usage(): usize {
  const usage = changetype<ModeratorUsage>(alloc(MODERATOR_USAGE_BYTES, 8));
  for (let index: usize = 0; index < CONVERSATION_COUNT; index++) {
    const slot = CONVERSATIONS + index * CONVERSATION_BYTES;
    if (load<u32>(slot) == 0) continue;
    usage.conversationCount += 1;
    usage.turnCount += min(load<u32>(slot, 8), KEPT_COUNT);
    usage.stateBytes += <u32>CONVERSATION_BYTES;
  }
  usage.evictedCount = <f64>load<u32>(EVICTED);
  usage.judgedCount = <f64>load<u32>(JUDGED);
  return changetype<usize>(usage);
}

export function advance(nowMs: f64): void {
  store<f64>(NOW, nowMs);
}

export function find(name: usize, bytes: u32): usize {
  for (let index: usize = 0; index < CONVERSATION_COUNT; index++) {
    const slot = CONVERSATIONS + index * CONVERSATION_BYTES;
    if (load<u32>(slot) == 0 || load<u32>(slot, 4) != bytes) continue;
    if (memory.compare(slot + 16, name, bytes) == 0) return slot;
  }
  return 0;
}

/** The slot that was used longest ago becomes the conversation's. */
function open(name: usize, bytes: u32): usize {
  let oldest = CONVERSATIONS;
  for (let index: usize = 0; index < CONVERSATION_COUNT; index++) {
    const slot = CONVERSATIONS + index * CONVERSATION_BYTES;
    if (load<u32>(slot, 12) < load<u32>(oldest, 12)) oldest = slot;
  }
  if (load<u32>(oldest) != 0) store<u32>(EVICTED, load<u32>(EVICTED) + 1);
  memory.fill(oldest, 0, CONVERSATION_BYTES);
  store<u32>(oldest, 1);
  store<u32>(oldest, bytes, 4);
  memory.copy(oldest + 16, name, min(bytes, NAME_BYTES_MAX));
  return oldest;
}

/** Room for the conversation's next turn. */
function next(slot: usize): usize {
  const kept = keptAt(slot, load<u32>(slot, 8));
  memory.fill(kept, 0, KEPT_BYTES);
  store<u32>(slot, load<u32>(slot, 8) + 1, 8);
  store<u32>(slot, load<u32>(JUDGED), 12);
  return kept;
}

export function keptAt(slot: usize, number: u32): usize {
  return slot + TURNS_AT + <usize>(number % KEPT_COUNT) * KEPT_BYTES;
}

function keep(lengthAt: usize, end: usize, bytes: usize, count: u32): usize {
  store<u16>(lengthAt, <u16>count);
  memory.copy(end, bytes, count);
  return end + count;
}

/** At most so many bytes of a text, and whole characters. */
export function whole(text: usize, bytes: u32, bytesMax: u32): u32 {
  if (bytes <= bytesMax) return bytes;
  let count = bytesMax;
  while (count > 0 && (load<u8>(text + count) & 0xc0) == 0x80) count--;
  return count;
}

function hashOf(bytes: usize, count: usize, seed: u32): u32 {
  let hash = seed;
  for (let at: usize = 0; at < count; at++) hash = (hash ^ load<u8>(bytes + at)) * 16777619;
  return hash;
}
