/**
 * When the upstream is asked, and what its answer makes of a verdict, written down plainly from the
 * rules in docs/moderation.md.
 */
import type { Opinion } from "#model/consultation.ts";
import { type Action, CATEGORIES, type VerdictReport } from "#model/moderation.ts";
import type { Policy } from "#model/policy.ts";

/** What of a message its verdict does not tell. */
export type About = {
  readonly policy: Policy;
  /** Of the author's role. */
  readonly leniency: number;
  readonly isExempt: boolean;
  /** What the entry of the block list that was met calls for. */
  readonly listed: Action;
  /** What earlier hostile turns add to the severity. */
  readonly history: number;
};

const ACTIONS: readonly Action[] = ["allow", "flag", "block"];
const WEIGHTS = [0.7, 1, 0.65, 0.35, 0.95, 0.95, 0.6, 0.8, 0.6];
const OFF = 2;

export function isAsked(report: VerdictReport, about: About): boolean {
  const { mode, below, above } = about.policy.consult;
  if (mode === "never" || about.isExempt || about.listed === "block") return false;
  if (mode === "all") return true;
  return CATEGORIES.some((_, category) => {
    const threshold = report.thresholds[category]!;
    const score = tenThousandths(report.scores[category]!);
    return (
      threshold <= 1 &&
      score >= Math.max(tenThousandths(threshold) - tenThousandths(below), 0) &&
      score <= tenThousandths(threshold) + tenThousandths(above)
    );
  });
}

/** All of an opinion but its reason. */
export function mergedWith(
  report: VerdictReport,
  upstream: readonly number[],
  about: About,
): Omit<Opinion, "reason"> {
  const { weight } = about.policy.consult;
  const scores = report.scores.map((score, category) =>
    toFourDigits((1 - weight) * score + weight * Math.fround(upstream[category]!)),
  );
  let flagged = 0;
  let called = 0;
  for (const [category, name] of CATEGORIES.entries()) {
    const { blockAt } = about.policy.categories[name];
    const block = about.isExempt ? OFF : lenient(blockAt, about.leniency);
    const score = scores[category]!;
    if (score < report.thresholds[category]! && score < block) continue;
    flagged |= 1 << category;
    called = Math.max(called, score >= block ? 2 : 1);
  }
  const lowest = Math.max(ACTIONS.indexOf(report.proposedAction) - 1, 0);
  const proposed = Math.max(called, ACTIONS.indexOf(about.listed), lowest);
  return {
    action: about.policy.observeOnly ? "allow" : ACTIONS[proposed]!,
    proposedAction: ACTIONS[proposed]!,
    flagged,
    scores,
    severity: severityOf(scores, about),
    applied: true,
  };
}

function lenient(threshold: number | null, leniency: number): number {
  const sum = tenThousandths(threshold ?? OFF) + tenThousandths(leniency);
  return sum > 10_000 ? OFF : Math.max(sum, 0) / 10_000;
}

function severityOf(scores: readonly number[], { listed, history }: About): number {
  const most = Math.max(...scores.map((score, category) => score * WEIGHTS[category]!));
  const floor = listed === "block" ? 80 : listed === "flag" ? 50 : 0;
  const severity = Math.max(Math.floor(most * 100 + 0.5), floor);
  return Math.min(severity >= 20 ? severity + history : severity, 100);
}

function toFourDigits(value: number): number {
  return Math.min(Math.max(Math.floor(value * 10_000 + 0.5), 0), 10_000) / 10_000;
}

function tenThousandths(value: number): number {
  return Math.round(value * 10_000);
}
