// The verdict as the host reads it, and where in the text its scores lie.
import { alloc } from "../../sdk/assembly/arena";
import { Context, rounded } from "./context";
import { CATEGORY_COUNT, Decision } from "./decision";
import { Language } from "./language";
import { FOREIGN_INSULT, FOREIGN_PROFANITY, FOREIGN_SEXUAL } from "./lexicon.gen";
import { ListHit, unblank } from "./list-hit";
import {
  LANE_HATE, LANE_INSULT, LANE_PROFANITY, LANE_SELF_HARM, LANE_SEXUAL, LANE_THREAT, LANE_TOXIC,
} from "./model";
import { Entry, policyVersion } from "./policy";
import { Quote, reasonOf } from "./reason";
import { Request } from "./request";
import { SPAN_BYTES, spansOf, tokenAt, tokenCount } from "./score";
import {
  ACTION_ALLOW, CATEGORY_IDENTITY_ATTACK, CATEGORY_INSULT, CATEGORY_PROFANITY, CATEGORY_SELF_HARM,
  CATEGORY_SEXUAL, CATEGORY_THREAT, CATEGORY_TOXICITY, LANGUAGE_SUPPORT_FULL,
  TextSpan, TEXT_SPAN_BYTES, Verdict, VERDICT_BYTES,
} from "./world.gen";

/** Of all categories, and of one. */
const SPANS_MAX: u32 = 32;
const CATEGORY_SPANS_MAX: u32 = 8;
/** A category that is not flagged has spans from this score on. */
const SHOWN_FROM: f64 = 0.5;
const NO_LANE: u32 = 255;

/** Where spansOf writes. */
@unmanaged
class Found {
  startByte: u32;
  endByte: u32;
  start: u32;
  end: u32;
  startCodePoint: u32;
  endCodePoint: u32;
  weight: f32;
}

export function verdictOf(
  request: Request, decision: Decision, context: Context, language: Language, hit: ListHit,
): Verdict {
  const verdict = changetype<Verdict>(alloc(VERDICT_BYTES));
  verdict.action = <u8>decision.action;
  verdict.proposedAction = <u8>decision.proposedAction;
  verdict.flagged = decision.flagged;
  verdict.scoresPtr = decision.scores;
  verdict.scoresLen = CATEGORY_COUNT;
  verdict.toxicityAlone = decision.toxicityAlone;
  verdict.thresholdsPtr = decision.thresholds;
  verdict.thresholdsLen = CATEGORY_COUNT;
  verdict.severity = decision.severity;
  verdict.contextUsedPtr = context.turns;
  verdict.contextUsedLen = context.count;
  verdict.languagePtr = language.tag;
  verdict.languageLen = language.tagLen;
  verdict.languageSource = <u8>language.source;
  verdict.languageSupport = <u8>language.support;
  verdict.policyVersion = policyVersion();
  const entry = <usize>(hit.action != ACTION_ALLOW ? hit.blocked : hit.allowed);
  if (entry != 0) {
    verdict.listEntrySome = 1;
    verdict.listEntryPtr = <u32>changetype<Entry>(entry).text;
    verdict.listEntryLen = changetype<Entry>(entry).bytes;
  }
  const quote = changetype<Quote>(alloc(offsetof<Quote>()));
  writeSpans(verdict, request, decision, quote);
  // Spans are of the text as it was scored, what is quoted of it as it came.
  unblank(hit);
  const reason = reasonOf(decision, request, hit, verdict, quote);
  verdict.reasonPtr = reason.start;
  verdict.reasonLen = reason.length;
  return verdict;
}

/** Of every category that is flagged or likely; the quote is the strongest of the lead's. */
function writeSpans(verdict: Verdict, request: Request, decision: Decision, quote: Quote): void {
  let found: usize = 0;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const lane = laneOf(category);
    if (lane == NO_LANE) continue;
    if (!decision.isFlagged(category) && decision.score(category) < SHOWN_FROM) continue;
    if (found == 0) {
      found = alloc(CATEGORY_SPANS_MAX * SPAN_BYTES, 4);
      verdict.spansPtr = <u32>alloc(<usize>SPANS_MAX * TEXT_SPAN_BYTES);
    }
    const room = min(SPANS_MAX - verdict.spansLen, CATEGORY_SPANS_MAX);
    let count = verdict.languageSupport == LANGUAGE_SUPPORT_FULL ? spansOf(lane, found, room) : 0;
    if (count == 0) count = listedSpans(category, request, found, room);
    tell(verdict, request, decision, category, found, count, quote);
  }
}

function tell(
  verdict: Verdict, request: Request, decision: Decision, category: u32, found: usize, count: u32,
  quote: Quote,
): void {
  let most: f32 = -1;
  for (let index: u32 = 0; index < count; index++) {
    const one = changetype<Found>(found + <usize>index * SPAN_BYTES);
    const span = changetype<TextSpan>(
      <usize>verdict.spansPtr + <usize>verdict.spansLen * TEXT_SPAN_BYTES,
    );
    verdict.spansLen += 1;
    span.category = <u8>category;
    span.start = one.start;
    span.end = one.end;
    span.startCodePoint = one.startCodePoint;
    span.endCodePoint = one.endCodePoint;
    span.score = rounded(decision.score(category) * <f64>one.weight);
    if (category != decision.lead || one.weight <= most) continue;
    most = one.weight;
    quote.text = request.text + one.startByte;
    quote.bytes = one.endByte - one.startByte;
  }
}

/** The words of the text's last stretch that are on another language's list. */
function listedSpans(category: u32, request: Request, into: usize, room: u32): u32 {
  const classes: u64 =
    category == CATEGORY_PROFANITY ? FOREIGN_PROFANITY
    : category == CATEGORY_SEXUAL ? FOREIGN_SEXUAL
    : category == CATEGORY_INSULT || category == CATEGORY_TOXICITY ? FOREIGN_INSULT
    : 0;
  let count: u32 = 0;
  for (let index: u32 = 0; index < tokenCount() && count < room; index++) {
    const token = tokenAt(index);
    if ((token.classes & classes) == 0) continue;
    const found = changetype<Found>(into + <usize>count * SPAN_BYTES);
    count += 1;
    found.startByte = token.start;
    found.endByte = token.end;
    found.startCodePoint = codePoints(request.text, token.start);
    found.endCodePoint = codePoints(request.text, token.end);
    found.start = found.startCodePoint + pairs(request.text, token.start);
    found.end = found.endCodePoint + pairs(request.text, token.end);
    found.weight = 1;
  }
  return count;
}

/** Characters in so many bytes. */
function codePoints(text: usize, bytes: u32): u32 {
  let count: u32 = 0;
  for (let at: u32 = 0; at < bytes; at++) if ((load<u8>(text + at) & 0xc0) != 0x80) count += 1;
  return count;
}

/** Of these, those that take two code units in UTF-16. */
function pairs(text: usize, bytes: u32): u32 {
  let count: u32 = 0;
  for (let at: u32 = 0; at < bytes; at++) if (load<u8>(text + at) >= 0xf0) count += 1;
  return count;
}

function laneOf(category: u32): u32 {
  if (category == CATEGORY_TOXICITY) return LANE_TOXIC;
  if (category == CATEGORY_INSULT) return LANE_INSULT;
  if (category == CATEGORY_PROFANITY) return LANE_PROFANITY;
  if (category == CATEGORY_THREAT) return LANE_THREAT;
  if (category == CATEGORY_IDENTITY_ATTACK) return LANE_HATE;
  if (category == CATEGORY_SEXUAL) return LANE_SEXUAL;
  return category == CATEGORY_SELF_HARM ? LANE_SELF_HARM : NO_LANE;
}
