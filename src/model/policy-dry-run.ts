/**
 * What a policy would have made of verdicts that were given. It stands on their scores: thresholds,
 * block list entries that were met, and leniencies are told; what would need the texts again (new
 * list entries, other roles, more or less context) is not, and is named in `notReplayed`. The
 * upstream is not asked: where it was, its answer is in the scores.
 */
import { DRY_RUN_EXAMPLES_MAX } from "./limits.ts";
import { type Action, CATEGORIES, type Category, eachCategory } from "./moderation.ts";
import type { PastVerdict } from "./policy-store.ts";
import type { Policy } from "./policy.ts";

export type DryRunExample = {
  readonly id: string;
  readonly asOfMs: number;
  readonly from: Action;
  readonly to: Action;
  /** Categories that are flagged then and were not, or the other way round. */
  readonly categories: readonly Category[];
};

export type DryRun = {
  readonly verdictCount: number;
  readonly changedCount: number;
  /** Verdicts whose terms the new policy treats otherwise, in a way that scores do not tell. */
  readonly unknownCount: number;
  readonly actions: {
    readonly before: Readonly<Record<Action, number>>;
    readonly after: Readonly<Record<Action, number>>;
  };
  readonly categories: Readonly<
    Record<Category, { readonly flaggedBefore: number; readonly flaggedAfter: number }>
  >;
  readonly examples: readonly DryRunExample[];
  readonly notReplayed: readonly (typeof NOT_REPLAYED)[number][];
  /** A dry run costs no call of a language model, whatever the policy says of one. */
  readonly upstreamAsked: false;
};

/** What of a policy cannot be tried on scores. */
export const NOT_REPLAYED = ["allowList", "blockList", "roles", "context", "consult"] as const;

export type DryRunOptions = {
  readonly policy: Policy;
  readonly current: Policy;
  /** The policy of a version, as far as it is still known. */
  readonly policyOf: (version: number) => Policy | undefined;
};

/**
 * Actions are those proposed: whether both policies only observe or not, the question is what they
 * would do.
 */
export function dryRun(past: readonly PastVerdict[], options: DryRunOptions): DryRun {
  const before = { allow: 0, flag: 0, block: 0 };
  const after = { allow: 0, flag: 0, block: 0 };
  const categories = eachCategory(() => ({ flaggedBefore: 0, flaggedAfter: 0 }));
  const examples: DryRunExample[] = [];
  let changedCount = 0;
  let unknownCount = 0;
  for (const verdict of past) {
    const replayed = replay(verdict, options);
    if (replayed === undefined) {
      unknownCount += 1;
      continue;
    }
    const { id, asOfMs, proposedAction: from } = verdict;
    const { action: to, flagged } = replayed;
    before[from] += 1;
    after[to] += 1;
    const changed = CATEGORIES.filter((category) => {
      const was = reaches(verdict.scores[category], verdict.thresholds[category]);
      if (was) categories[category].flaggedBefore += 1;
      if (flagged(category)) categories[category].flaggedAfter += 1;
      return was !== flagged(category);
    });
    if (from === to && changed.length === 0) continue;
    changedCount += 1;
    if (examples.length < DRY_RUN_EXAMPLES_MAX) {
      examples.push({ id, asOfMs, from, to, categories: changed });
    }
  }
  return {
    verdictCount: past.length,
    changedCount,
    unknownCount,
    actions: { before, after },
    categories,
    examples,
    notReplayed: notReplayed(options),
    upstreamAsked: false,
  };
}

type Replayed = { readonly action: Action; readonly flagged: (category: Category) => boolean };

/** Undefined: scores alone do not tell. */
function replay(verdict: PastVerdict, { policy, policyOf }: DryRunOptions): Replayed | undefined {
  const { scores, thresholds, listEntry, policyVersion } = verdict;
  const then = policyOf(policyVersion);
  if (then === undefined) return undefined;
  const leniency = leniencyOf(thresholds, then);
  // Nothing was on for this author: an exempt role, as it stays.
  if (leniency === undefined) return { action: "allow", flagged: () => false };
  if (isHeldUp(verdict, then)) return undefined;
  const flagged = (category: Category): boolean => {
    const { flagAt } = policy.categories[category];
    return flagAt !== null && reaches(scores[category], flagAt + leniency);
  };
  if (listEntry !== undefined) {
    const entry = policy.blockList.find(({ term }) => term === listEntry);
    const wasAllowed = then.allowList.some(({ term }) => term === listEntry);
    const isAllowed = policy.allowList.some(({ term }) => term === listEntry);
    // Its words did not count, or do not any more: the scores would be others.
    if (wasAllowed !== isAllowed) return undefined;
    if (entry?.action === "block") return { action: "block", flagged };
    if (entry !== undefined) {
      const action = actionOf(scores, policy, leniency);
      return { action: action === "allow" ? "flag" : action, flagged };
    }
  }
  return { action: actionOf(scores, policy, leniency), flagged };
}

/**
 * Whether it was judged worse before the upstream was asked, which lowers an action by one step at
 * most: then its scores call for less than was done.
 */
function isHeldUp(verdict: PastVerdict, then: Policy): boolean {
  const { scores, thresholds, listEntry, proposedAction } = verdict;
  if (proposedAction === "allow") return false;
  if (CATEGORIES.some((category) => reaches(scores[category], thresholds[category]))) return false;
  return !then.blockList.some(({ term }) => term === listEntry);
}

/** What was added to the thresholds for the author's role; undefined: none applied at all. */
function leniencyOf(thresholds: PastVerdict["thresholds"], then: Policy): number | undefined {
  let isOn = false;
  for (const category of CATEGORIES) {
    const { flagAt } = then.categories[category];
    const threshold = thresholds[category];
    if (flagAt === null) continue;
    isOn = true;
    if (threshold !== null && threshold < 1) return roundedAway(threshold - flagAt);
  }
  return isOn ? undefined : 0;
}

/** Thresholds come back as 32 bit numbers: the difference of equal ones must be nothing. */
function roundedAway(difference: number): number {
  return Math.round(difference * 1e6) / 1e6;
}

function actionOf(scores: PastVerdict["scores"], policy: Policy, leniency: number): Action {
  let action: Action = "allow";
  for (const category of CATEGORIES) {
    const { flagAt, blockAt } = policy.categories[category];
    if (blockAt !== null && reaches(scores[category], blockAt + leniency)) return "block";
    if (flagAt !== null && reaches(scores[category], flagAt + leniency)) action = "flag";
  }
  return action;
}

/** As a moderator compares: thresholds are 32 bit numbers there. */
function reaches(score: number, threshold: number | null): boolean {
  return threshold !== null && score >= Math.fround(threshold);
}

function notReplayed({ policy, current }: DryRunOptions): DryRun["notReplayed"] {
  return NOT_REPLAYED.filter(
    (name) => JSON.stringify(policy[name]) !== JSON.stringify(current[name]),
  );
}
