// One sentence on what was decided and why: the category, its score and threshold, what it rests on
// and what the conversation changed. Every number in it is one of the verdict, cut to two digits;
// where that would make two look alike that are not, to four. Words of the message are quoted, at
// most 40 characters of them, in one line, without what would turn the text around; none where the
// policy stores no texts.
//
//   Flagged for insult: 0.91 reaches the threshold of 0.65, resting on “complete idiot”.
//   Blocked for threat: 0.94 reaches the threshold of 0.90, resting on the message as a whole; the
//     conversation raised its toxicity from 0.42 to 0.81.
//   Allowed: 0.31 for insult, the nearest to being flagged, is below the threshold of 0.65.
//   Allowed, as the policy only observes; it would be flagged: “entry” is on the block list.
import { openWriter, Writer } from "../../sdk/assembly/writer";
import { decode } from "../../sdk/assembly/text/unicode";
import { CATEGORY_COUNT, Decision } from "./decision";
import { ListHit } from "./list-hit";
import {
  blockAt, Entry, isExempt, isObserveOnly, isStoringNothing, leniency, THRESHOLD_OFF,
} from "./policy";
import { Request } from "./request";
import {
  ACTION_ALLOW, ACTION_BLOCK, CATEGORY_HARMFUL_REPLY, CATEGORY_TOXICITY, LANGUAGE_SUPPORT_LISTS,
  LANGUAGE_SUPPORT_NONE, Verdict,
} from "./world.gen";

const REASON_BYTES_MAX: u32 = 512;
const QUOTED_CHARACTERS_MAX: u32 = 40;
/** What the conversation must change of the toxicity to be mentioned. */
const CHANGE_MIN: f64 = 0.05;

export function reasonOf(
  decision: Decision, request: Request, hit: ListHit, verdict: Verdict, quote: Quote,
): Writer {
  const out = openWriter(REASON_BYTES_MAX);
  const listed = hit.action == decision.proposedAction && hit.blocked != 0;
  const isAllowed = decision.proposedAction == ACTION_ALLOW;
  writeAction(out, decision, listed || isAllowed);
  if (isAllowed) writeAllowed(out, decision, request, verdict);
  else if (listed) writeListed(out, hit);
  else writeFlagged(out, decision, verdict, quote);
  if (!listed) writeChange(out, decision);
  return out.literal(".");
}

/** What a score rests on: the words of a span, by their bytes. */
@unmanaged
export class Quote {
  text: u32;
  bytes: u32;
}

export function writeAction(out: Writer, decision: Decision, isPlain: bool): void {
  const isBlocked = decision.proposedAction == ACTION_BLOCK;
  if (decision.proposedAction == ACTION_ALLOW) out.literal("Allowed");
  else if (isObserveOnly()) {
    out.literal("Allowed, as the policy only observes; it would be ");
    out.literal(isBlocked ? "blocked" : "flagged");
  } else out.literal(isBlocked ? "Blocked" : "Flagged");
  if (!isPlain) writeCategory(out.literal(" for "), decision.lead);
  out.literal(": ");
}

function writeListed(out: Writer, hit: ListHit): void {
  const entry = changetype<Entry>(<usize>hit.blocked);
  writeQuoted(out, entry.text, entry.bytes, QUOTED_CHARACTERS_MAX);
  out.literal(" is on the block list");
}

function writeFlagged(out: Writer, decision: Decision, verdict: Verdict, quote: Quote): void {
  const score = decision.score(decision.lead);
  const blocks = decision.proposedAction == ACTION_BLOCK;
  const lenient = leniency(decision.role);
  const threshold = blocks
    ? min<f64>(blockAt(decision.lead) + lenient, THRESHOLD_OFF)
    : decision.threshold(decision.lead);
  writeNumber(out, score, areAlike(score, threshold));
  out.literal(blocks ? " reaches the threshold for blocking of " : " reaches the threshold of ");
  writeNumber(out, threshold, areAlike(score, threshold));
  if (verdict.languageSupport == LANGUAGE_SUPPORT_LISTS) {
    out.literal(", by the word list of its language alone");
  }
  if (quote.bytes != 0 && isStoringNothing()) {
    // Reasons are kept with their verdicts, and of the text nothing is to be kept.
    out.literal(", resting on the words that its spans mark");
  } else if (quote.bytes != 0) {
    out.literal(", resting on ");
    writeQuoted(out, quote.text, quote.bytes, QUOTED_CHARACTERS_MAX);
  } else if (decision.lead == CATEGORY_HARMFUL_REPLY) {
    out.literal(", resting on what it answers");
  } else {
    out.literal(", resting on the message as a whole");
  }
}

function writeAllowed(out: Writer, decision: Decision, request: Request, verdict: Verdict): void {
  const score = decision.score(decision.lead);
  const threshold = decision.threshold(decision.lead);
  if (verdict.languageSupport == LANGUAGE_SUPPORT_NONE) {
    out.literal("nothing here knows its language, and no entry of the block list is in it");
  } else if (isExempt(decision.role)) {
    out.literal("the role ");
    writeQuoted(out, request.role, request.roleLen, QUOTED_CHARACTERS_MAX);
    out.literal(" is exempt");
    if (score == 0) return;
    writeNumber(out.literal("; its highest score is "), score, false);
    writeCategory(out.literal(" for "), decision.lead);
  } else if (highest(decision) == 0) {
    out.literal("no category has any score");
  } else if (threshold > 1) {
    writeNumber(out.literal("its highest score, "), score, false);
    writeCategory(out.literal(" for "), decision.lead);
    out.literal(", is of a category that is off");
  } else {
    writeNumber(out, score, areAlike(score, threshold));
    writeCategory(out.literal(" for "), decision.lead);
    out.literal(", the nearest to being flagged, is below the threshold of ");
    writeNumber(out, threshold, areAlike(score, threshold));
  }
}

/** What the conversation changed. */
function writeChange(out: Writer, decision: Decision): void {
  const together = decision.score(CATEGORY_TOXICITY);
  const alone = decision.toxicityAlone;
  if (Math.abs(together - alone) < CHANGE_MIN) return;
  out.literal(together > alone ? "; the conversation raised" : "; the conversation lowered");
  writeNumber(out.literal(" its toxicity from "), alone, false);
  writeNumber(out.literal(" to "), together, false);
}

function highest(decision: Decision): f64 {
  let most: f64 = 0;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    most = max(most, decision.score(category));
  }
  return most;
}

export function writeCategory(out: Writer, category: u32): void {
  switch (category) {
    case 0: out.literal("toxicity"); break;
    case 1: out.literal("severe toxicity"); break;
    case 2: out.literal("insult"); break;
    case 3: out.literal("profanity"); break;
    case 4: out.literal("threat"); break;
    case 5: out.literal("identity attack"); break;
    case 6: out.literal("sexual content"); break;
    case 7: out.literal("self-harm"); break;
    default: out.literal("harmful reply");
  }
}

/** Whether two numbers that are not the same look the same with two digits. */
export function areAlike(left: f64, right: f64): bool {
  return left != right && cutTo(left, 100) == cutTo(right, 100);
}

@inline
function cutTo(value: f64, unit: f64): u32 {
  // 0.29 is 28.999... hundredths.
  return <u32>(value * unit + 0.0001);
}

export function writeNumber(out: Writer, value: f64, isExact: bool): void {
  const unit: u32 = isExact ? 10000 : 100;
  const cut = cutTo(value, <f64>unit);
  out.number(cut / unit).literal(".");
  for (let digit = unit / 10; digit > 0; digit /= 10) out.number((cut / digit) % 10);
}

/** In quotation marks and one line; what is too long ends in "…". */
export function writeQuoted(
  out: Writer, text: usize, bytes: u32, charactersMax: u32,
): void {
  out.literal("“");
  const end = text + bytes;
  let count: u32 = 0;
  let isSpaced = true;
  while (text < end) {
    const decoded = decode(text, end);
    const character = decoded & 0xffffff;
    const size = decoded >> 24;
    if (isSpace(character)) {
      if (!isSpaced) out.literal(" ");
      count += isSpaced ? 0 : 1;
      isSpaced = true;
    } else if (!isUnseen(character)) {
      if (character == 0xfffd && size == 1) out.literal("\ufffd");
      else out.bytes(text, size);
      count += 1;
      isSpaced = false;
    }
    text += size;
    if (count < charactersMax - 1 || text >= end || isLast(text, end)) continue;
    out.literal("…");
    break;
  }
  out.literal("”");
}

function isLast(text: usize, end: usize): bool {
  return text + (decode(text, end) >> 24) >= end;
}

@inline
function isSpace(character: u32): bool {
  return character <= 0x20 || character == 0xa0 || character == 0x2028 || character == 0x2029;
}

/** Controls, and what turns the direction of a text or takes no room. */
function isUnseen(character: u32): bool {
  if (character < 0xa0) return character >= 0x7f;
  if (character >= 0x200b && character <= 0x200f && character != 0x200d) return true;
  if (character >= 0x202a && character <= 0x202e) return true;
  return (character >= 0x2060 && character <= 0x206f) || character == 0xfeff || character == 0xad;
}
