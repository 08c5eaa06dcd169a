// From scores to what is done.
//
// A score reaches a threshold, or it does not: the thresholds are the policy's, plus the leniency
// of the author's role. The block list decides beside them; whoever is exempt is flagged by neither.
// The category that the reason names is the one furthest over its threshold, of those that call for
// the most; `toxicity` and `severeToxicity` only where no other does.
//
// Severity, 0 to 100, is how bad it is, not what the tenant makes of it: 100 times the highest of
// score x weight, with the weights below, so a certain threat is 95 and a certain swear-word 35.
// For what is 20 and more it rises by 4 for each earlier hostile turn of the author, up to 12, and
// by 2 for each that was said to the author, up to 6. A word of the block list makes it 50 at
// least, one that is blocked 80.
import { alloc } from "../../sdk/assembly/arena";
import { Context, rounded } from "./context";
import { ListHit } from "./list-hit";
import {
  blockAt, flagAt, isExempt, isObserveOnly, leniency, roleNamed, THRESHOLD_OFF,
} from "./policy";
import { Request } from "./request";
import { ACT_GROUP, ACT_YOU } from "./signals";
import { MessageScore, ReplyScore } from "./score";
import {
  ACTION_ALLOW, ACTION_BLOCK, ACTION_FLAG, CATEGORY_HARMFUL_REPLY, CATEGORY_IDENTITY_ATTACK,
  CATEGORY_INSULT, CATEGORY_PROFANITY, CATEGORY_SELF_HARM, CATEGORY_SEVERE_TOXICITY,
  CATEGORY_SEXUAL, CATEGORY_THREAT, CATEGORY_TOXICITY,
} from "./world.gen";

export const CATEGORY_COUNT: u32 = 9;
/** Of a word of another language's list, and what follows from an insult. */
const LISTED_SCORE: f64 = 0.75;
const LISTED_TOXICITY: f64 = 0.7;
const FOREIGN_PROFANITY: u32 = 1;
const FOREIGN_SEXUAL: u32 = 2;
const FOREIGN_INSULT: u32 = 4;

const WEIGHTS: usize = memory.data<f64>([0.7, 1, 0.65, 0.35, 0.95, 0.95, 0.6, 0.8, 0.6], 8);
const SEVERITY_OF_FLAGGED_WORD: u32 = 50;
const SEVERITY_OF_BLOCKED_WORD: u32 = 80;
const SEVERITY_ESCALATING: u32 = 20;

@unmanaged
export class Decision {
  toxicityAlone: f64;
  action: u32;
  proposedAction: u32;
  flagged: u32;
  severity: u32;
  /** The category that the reason names. */
  lead: u32;
  /** What the block list calls for. */
  listed: u32;
  /** What earlier hostile turns, of the author and to the author, add to the severity. */
  history: u32;
  /** Address of the author's role in the policy, 0: it is not known. */
  role: u32;
  /** f64 a category; and the address of each. */
  scores: u32;
  thresholds: u32;
  /** From which score on it is blocked. */
  blockThresholds: u32;

  @inline
  score(category: u32): f64 {
    return load<f64>(<usize>this.scores + (<usize>category << 3));
  }

  @inline
  threshold(category: u32): f64 {
    return load<f64>(<usize>this.thresholds + (<usize>category << 3));
  }

  @inline
  blockThreshold(category: u32): f64 {
    return load<f64>(<usize>this.blockThresholds + (<usize>category << 3));
  }

  @inline
  setThresholds(category: u32, flag: f64, block: f64): void {
    store<f64>(<usize>this.thresholds + (<usize>category << 3), flag);
    store<f64>(<usize>this.blockThresholds + (<usize>category << 3), block);
  }

  @inline
  setScore(category: u32, score: f64): void {
    store<f64>(<usize>this.scores + (<usize>category << 3), rounded(score));
  }

  @inline
  raise(category: u32, score: f64): void {
    this.setScore(category, max(this.score(category), score));
  }

  @inline
  isFlagged(category: u32): bool {
    return ((this.flagged >> category) & 1) != 0;
  }
}

export function openDecision(): Decision {
  const decision = changetype<Decision>(alloc(offsetof<Decision>()));
  decision.scores = <u32>alloc(CATEGORY_COUNT << 3);
  decision.thresholds = <u32>alloc(CATEGORY_COUNT << 3);
  decision.blockThresholds = <u32>alloc(CATEGORY_COUNT << 3);
  return decision;
}

/**
 * The scores of the classifier, which knows English; `share`: what they count in a message that is
 * rather of another language, else 1.
 */
export function takeScores(
  decision: Decision, message: MessageScore, reply: ReplyScore, share: f64,
): void {
  const alone = <f64>message.score0 * share;
  const toxicity = <f64>reply.combined * share;
  // What the conversation takes from toxicity is banter, play or objection, and then it is no
  // insult, threat or attack either.
  const left = (toxicity < alone ? toxicity / alone : 1) * share;
  const insult = <f64>message.score2 * left;
  const threat = <f64>message.score4 * left;
  const identityAttack = <f64>message.score1 * left;
  decision.toxicityAlone = rounded(alone);
  decision.setScore(CATEGORY_TOXICITY, toxicity);
  decision.setScore(CATEGORY_INSULT, insult);
  decision.setScore(CATEGORY_PROFANITY, <f64>message.score3 * share);
  decision.setScore(CATEGORY_THREAT, threat);
  decision.setScore(CATEGORY_IDENTITY_ATTACK, identityAttack);
  decision.setScore(CATEGORY_SEXUAL, <f64>message.score5 * share);
  decision.setScore(CATEGORY_SELF_HARM, <f64>message.score6 * share);
  decision.setScore(CATEGORY_HARMFUL_REPLY, <f64>reply.unsafe * share);
  // Severe is what is toxic and a threat, an attack on who somebody is, or a slur at somebody.
  const isAimed = message.slurCount != 0 && (message.acts & (ACT_YOU | ACT_GROUP)) != 0;
  const worst = max(max(threat, identityAttack), isAimed ? insult : 0);
  decision.setScore(CATEGORY_SEVERE_TOXICITY, min(toxicity, worst));
}

/** Of a language that has a list of words: these alone, and what follows from an insult. */
export function takeListed(decision: Decision, foreign: u32): void {
  if ((foreign & FOREIGN_PROFANITY) != 0) decision.raise(CATEGORY_PROFANITY, LISTED_SCORE);
  if ((foreign & FOREIGN_SEXUAL) != 0) decision.raise(CATEGORY_SEXUAL, LISTED_SCORE);
  if ((foreign & FOREIGN_INSULT) == 0) return;
  decision.raise(CATEGORY_INSULT, LISTED_SCORE);
  decision.raise(CATEGORY_TOXICITY, LISTED_TOXICITY);
  decision.toxicityAlone = max(decision.toxicityAlone, LISTED_TOXICITY);
}

export function decide(decision: Decision, request: Request, hit: ListHit, context: Context): void {
  const role = roleNamed(request.role, request.roleLen);
  decision.role = <u32>role;
  const lenient = leniency(role);
  const exempt = isExempt(role);
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const flag = exempt ? THRESHOLD_OFF : effective(flagAt(category), lenient);
    const block = exempt ? THRESHOLD_OFF : effective(blockAt(category), lenient);
    decision.setThresholds(category, flag, block);
  }
  decision.listed = exempt ? ACTION_ALLOW : hit.action;
  decision.history = min(4 * context.hostileBy, 12) + min(2 * context.hostileTo, 6);
  const action = max(reached(decision), decision.listed);
  decision.proposedAction = action;
  decision.action = isObserveOnly() ? ACTION_ALLOW : action;
  decision.severity = severityOf(decision);
}

/** What its scores call for by its thresholds; which are reached, and which category leads. */
export function reached(decision: Decision): u32 {
  let action = ACTION_ALLOW;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const score = decision.score(category);
    const block = decision.blockThreshold(category);
    if (score < decision.threshold(category) && score < block) continue;
    decision.flagged |= <u32>1 << category;
    action = max(action, score >= block ? ACTION_BLOCK : ACTION_FLAG);
  }
  decision.lead = leadOf(decision, action);
  return action;
}

/** Above 1: never. */
@inline
function effective(threshold: f64, lenient: f64): f64 {
  if (threshold > 1) return THRESHOLD_OFF;
  const sum = threshold + lenient;
  return sum > 1 ? THRESHOLD_OFF : rounded(sum);
}

function leadOf(decision: Decision, action: u32): u32 {
  let lead: u32 = CATEGORY_TOXICITY;
  let most: f64 = -1;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const score = decision.score(category);
    const threshold = decision.threshold(category);
    let worth: f64 = 0;
    if (decision.flagged == 0) {
      worth = threshold > 1 ? score / 4 : score / max(threshold, 0.01);
    } else {
      if (!decision.isFlagged(category)) continue;
      const blocks = score >= decision.blockThreshold(category);
      if (action == ACTION_BLOCK && !blocks) continue;
      const isGeneral = category == CATEGORY_TOXICITY || category == CATEGORY_SEVERE_TOXICITY;
      worth = (isGeneral ? 0 : 2) + score - min(threshold, 1);
    }
    if (worth <= most) continue;
    most = worth;
    lead = category;
  }
  return lead;
}

export function severityOf(decision: Decision): u32 {
  let most: f64 = 0;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    most = max(most, decision.score(category) * load<f64>(WEIGHTS + (<usize>category << 3)));
  }
  let severity = <u32>(most * 100 + 0.5);
  if (decision.listed == ACTION_FLAG) severity = max(severity, SEVERITY_OF_FLAGGED_WORD);
  if (decision.listed == ACTION_BLOCK) severity = max(severity, SEVERITY_OF_BLOCKED_WORD);
  if (severity >= SEVERITY_ESCALATING) severity += decision.history;
  return min(severity, 100);
}
