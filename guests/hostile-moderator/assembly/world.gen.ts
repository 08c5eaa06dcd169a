// Generated from wit/moderator.wit by scripts/generate.ts; do not edit.
// The world `moderator` as AssemblyScript sees it. Write ./moderator.ts with
//   configure(policyPtr: usize, policyLen: usize): void
//   judge(requestPtr: usize, requestLen: usize): usize
//   review(requestPtr: usize, requestLen: usize): u32
//   reviewCallback(event: u32, waitable: u32, state: u32): u32
//   conversation(idPtr: usize, idLen: usize): usize
//   forget(idPtr: usize, idLen: usize): u32
//   usage(): usize
//   advance(nowMs: f64): void
//   exportState(part: u32): usize
//   importState(partPtr: usize, partLen: usize): usize
// A `usize` result is the address of the record; what it points to may lie in the arena.
import * as guest from "./moderator";
import { reset } from "../../sdk/assembly/arena";
export { cabi_realloc } from "../../sdk/assembly/arena";

// What a prompt is for: each job has an upstream, a queue and budgets of its own.
export const JOB_MODERATION: u32 = 0;
export const JOB_TLDR: u32 = 1;
export const JOB_ROLLING: u32 = 2;

// Why there is no answer. The embedded one stands then.
/** No upstream is configured for the job, or the job is not a moderator's. */
export const FAILURE_OFF: u32 = 0;
/** The tenant's budget of calls, tokens or money is spent. */
export const FAILURE_OVER_BUDGET: u32 = 1;
/** Too many calls wait already. */
export const FAILURE_QUEUE_FULL: u32 = 2;
export const FAILURE_TIMED_OUT: u32 = 3;
/** The upstream fails, or nobody asks it for a while because it did. */
export const FAILURE_UNAVAILABLE: u32 = 4;
/** It refused us for now: too many requests. */
export const FAILURE_RATE_LIMITED: u32 = 5;
/** It refused the request for good: key, model, size. */
export const FAILURE_REFUSED: u32 = 6;
/** It answered something that is not of the job's schema. */
export const FAILURE_MALFORMED: u32 = 7;
/** Nobody is interested any more. */
export const FAILURE_CANCELLED: u32 = 8;
/** The host started anew meanwhile. */
export const FAILURE_INTERRUPTED: u32 = 9;

export const ACTION_ALLOW: u32 = 0;
export const ACTION_FLAG: u32 = 1;
export const ACTION_BLOCK: u32 = 2;

// In this order everywhere: scores, thresholds, bits of a mask.
export const CATEGORY_TOXICITY: u32 = 0;
export const CATEGORY_SEVERE_TOXICITY: u32 = 1;
export const CATEGORY_INSULT: u32 = 2;
export const CATEGORY_PROFANITY: u32 = 3;
export const CATEGORY_THREAT: u32 = 4;
export const CATEGORY_IDENTITY_ATTACK: u32 = 5;
export const CATEGORY_SEXUAL: u32 = 6;
export const CATEGORY_SELF_HARM: u32 = 7;
export const CATEGORY_HARMFUL_REPLY: u32 = 8;

/** Offsets in UTF-16 code units and in code points of the text as it came; the end is exclusive. */
@unmanaged
export class TextSpan {
  category: u8;
  start: u32;
  end: u32;
  startCodePoint: u32;
  endCodePoint: u32;
  score: f64;
}
/** Bytes of one TextSpan, also in a list. Its alignment: 8. */
export const TEXT_SPAN_BYTES: usize = 32;

// Why an earlier message was read.
export const RELATION_PREVIOUS: u32 = 0;
export const RELATION_REPLIED_TO: u32 = 1;
export const RELATION_SAME_AUTHOR: u32 = 2;
export const RELATION_GIVEN: u32 = 3;

@unmanaged
export class ContextTurn {
  idSome: u8;
  idPtr: u32;
  idLen: u32;
  /** Milliseconds before the message that was judged. */
  ageMs: f64;
  relation: u8;
  /** Its own toxicity, as judged when it was said. */
  toxicity: f64;
}
/** Bytes of one ContextTurn, also in a list. Its alignment: 8. */
export const CONTEXT_TURN_BYTES: usize = 40;

export const LANGUAGE_SOURCE_GIVEN: u32 = 0;
export const LANGUAGE_SOURCE_DETECTED: u32 = 1;
export const LANGUAGE_SOURCE_UNKNOWN: u32 = 2;

// What stands behind a verdict: the classifier, word lists alone, or nothing of that language.
export const LANGUAGE_SUPPORT_FULL: u32 = 0;
export const LANGUAGE_SUPPORT_LISTS: u32 = 1;
export const LANGUAGE_SUPPORT_NONE: u32 = 2;

@unmanaged
export class Verdict {
  action: u8;
  /** What the action would be if the policy did not only observe. */
  proposedAction: u8;
  /** Bit n: category n is over its flag threshold. */
  flagged: u32;
  /** 0 to 1, one a category. */
  scoresPtr: u32;
  scoresLen: u32;
  /** Toxicity of the message alone, without the conversation. */
  toxicityAlone: f64;
  /** The flag thresholds that applied, role and lists considered; above 1: off. */
  thresholdsPtr: u32;
  thresholdsLen: u32;
  /** 0 to 100. */
  severity: u32;
  spansPtr: u32;
  spansLen: u32;
  contextUsedPtr: u32;
  contextUsedLen: u32;
  /** One sentence. */
  reasonPtr: u32;
  reasonLen: u32;
  /** BCP 47 primary tag; "und" where it is unknown. */
  languagePtr: u32;
  languageLen: u32;
  languageSource: u8;
  languageSupport: u8;
  /** The entry of the tenant's block list that was met, or of its allow list that mattered. */
  _padding70: u8;
  _padding71: u8;
  listEntrySome: u8;
  listEntryPtr: u32;
  listEntryLen: u32;
  policyVersion: u32;
  /** The policy wants the upstream asked about this message. */
  consult: u8;
  _padding89: u8;
  _padding90: u8;
  _padding91: u8;
  _padding92: u8;
  _padding93: u8;
  _padding94: u8;
  _padding95: u8;
}
/** Bytes of one Verdict, also in a list. Its alignment: 8. */
export const VERDICT_BYTES: usize = 96;

/** A verdict once more, after the upstream was asked. */
@unmanaged
export class Opinion {
  action: u8;
  proposedAction: u8;
  flagged: u32;
  scoresPtr: u32;
  scoresLen: u32;
  severity: u32;
  reasonPtr: u32;
  reasonLen: u32;
  /** Whether the upstream's answer counted; if not, the rest is what `judge` said. */
  applied: u8;
  _padding29: u8;
  _padding30: u8;
  _padding31: u8;
}
/** Bytes of one Opinion, also in a list. Its alignment: 4. */
export const OPINION_BYTES: usize = 32;

@unmanaged
export class Turn {
  idSome: u8;
  idPtr: u32;
  idLen: u32;
  userSome: u8;
  userPtr: u32;
  userLen: u32;
  roleSome: u8;
  rolePtr: u32;
  roleLen: u32;
  tsMs: f64;
  textPtr: u32;
  textLen: u32;
  toxicity: f64;
  action: u8;
  _padding65: u8;
  _padding66: u8;
  _padding67: u8;
  _padding68: u8;
  _padding69: u8;
  _padding70: u8;
  _padding71: u8;
}
/** Bytes of one Turn, also in a list. Its alignment: 8. */
export const TURN_BYTES: usize = 72;

@unmanaged
export class ModeratorUsage {
  conversationCount: u32;
  turnCount: u32;
  stateBytes: u32;
  /** Conversations that had to leave for want of room, since the tenant began. */
  evictedCount: f64;
  judgedCount: f64;
}
/** Bytes of one ModeratorUsage, also in a list. Its alignment: 8. */
export const MODERATOR_USAGE_BYTES: usize = 32;

/**
 * Sets the policy: its layout is described in guests/moderate/assembly/policy.ts. Empty: the
 * default. The conversations stay, as far as they keep within it.
 */
export function configure(policyPtr: usize, policyLen: usize): void {
  guest.configure(policyPtr, policyLen);
  reset();
}

/**
 * Judges a message and, unless the request says otherwise, remembers it; the layout of a request
 * is described in guests/moderate/assembly/request.ts.
 */
export function judge(requestPtr: usize, requestLen: usize): usize {
  return guest.judge(requestPtr, requestLen);
}
export function post_judge(_result: usize): void { reset(); }

/**
 * Asks the upstream about a message. To be called right after `judge` of the same request, if
 * its verdict says `consult`; other calls of the world may come before it has ended.
 */
export function review(requestPtr: usize, requestLen: usize): u32 {
  const code = guest.review(requestPtr, requestLen);
  reset();
  return code;
}

export function reviewCallback(event: u32, waitable: u32, state: u32): u32 {
  const code = guest.reviewCallback(event, waitable, state);
  reset();
  return code;
}

/** What is remembered of a conversation, the oldest first. */
export function conversation(idPtr: usize, idLen: usize): usize {
  return guest.conversation(idPtr, idLen);
}
export function post_conversation(_result: usize): void { reset(); }

/** Forgets a conversation; whether there was one. */
export function forget(idPtr: usize, idLen: usize): u32 {
  const result = guest.forget(idPtr, idLen);
  reset();
  return result;
}

export function usage(): usize {
  return guest.usage();
}
export function post_usage(_result: usize): void { reset(); }

/** Tells the time: conversations older than the policy keeps them are forgotten. */
export function advance(nowMs: f64): void {
  guest.advance(nowMs);
  reset();
}

/**
 * Part so many of the state, from 0 on, of 32 KiB at most; none: there were no more. Changes
 * nothing, and holds no address of the memory.
 */
export function exportState(part: u32): usize {
  return guest.exportState(part);
}
export function post_exportState(_result: usize): void { reset(); }

/**
 * Takes the parts in, in order, into a component on which nothing was called before; then no
 * bytes: that was all. An error says what is wrong, and the host throws this instance away.
 */
export function importState(partPtr: usize, partLen: usize): usize {
  return guest.importState(partPtr, partLen);
}
export function post_importState(_result: usize): void { reset(); }
