/** `nexuscore reviews`: what waits for a decision in a tenant, and how the queue stands. */
import type {
  NotReviewed,
  NotReviewedPage,
  ReviewItem,
  ReviewPage,
  ReviewStats,
} from "#model/review.ts";
import { Client } from "./client.ts";
import { formatCount, harmless, print, printJson, style, wrap } from "./terminal.ts";

export type ReviewsOptions = {
  readonly url: string;
  readonly tenant: string;
  readonly state: string;
  /** Only items that a language model was to judge, and did not. */
  readonly degraded: boolean;
  /** All such messages instead, whether they are items or not. */
  readonly notReviewed: boolean;
  readonly limit: number;
  readonly json: boolean;
};

export async function reviews(options: ReviewsOptions): Promise<void> {
  const { url, tenant, state, degraded, notReviewed, limit, json } = options;
  const client = new Client(url);
  if (notReviewed) {
    const page = await client.notReviewed(tenant, limit);
    if (json) for (const message of page.messages) printJson(message);
    else print(renderNotReviewed(tenant, page));
    return;
  }
  const page = await client.reviews(tenant, { state, limit, degraded });
  if (json) {
    for (const item of page.items) printJson(item);
    return;
  }
  print(renderReviews(tenant, page, await client.reviewStats(tenant)));
}

const INDENT = "  ";

/** 80 columns wide, the worst first. */
export function renderReviews(tenant: string, page: ReviewPage, stats: ReviewStats): string {
  const { pending, claimed, appealed, decided } = stats.states;
  const counts = [
    `${formatCount(pending)} pending`,
    `${formatCount(claimed)} claimed`,
    `${formatCount(appealed)} appealed`,
    `${formatCount(decided)} decided`,
  ];
  const lines = [wrap(`${tenant}: ${counts.join(", ")}`, "")];
  if (stats.lostCount > 0) {
    lines.push(`${formatCount(stats.lostCount)} found no room in the queue.`);
  }
  if (stats.notReviewedCount > 0) {
    const count = stats.notReviewedCount;
    const those = count === 1 ? "1 was" : `${formatCount(count)} were`;
    const way = `--not-reviewed shows ${count === 1 ? "it" : "them"}`;
    lines.push(`${those} not judged by the language model; ${way}`);
  }
  for (const item of page.items) lines.push("", ...linesOf(item));
  const more = page.total - page.items.length;
  if (more > 0) lines.push("", `and ${formatCount(more)} more; --limit shows them`);
  return `${lines.join("\n")}\n`;
}

/** 80 columns wide, the newest first. */
export function renderNotReviewed(tenant: string, { total, messages }: NotReviewedPage): string {
  const lines = [wrap(`${tenant}: ${formatCount(total)} not judged by the language model`, "")];
  for (const message of messages) lines.push("", ...notReviewedLines(message));
  const more = total - messages.length;
  if (more > 0) lines.push("", `and ${formatCount(more)} more; --limit shows them`);
  return `${lines.join("\n")}\n`;
}

function notReviewedLines({ id, outcome, asOfMs, text, verdict }: NotReviewed): string[] {
  const head = `${style("bold", id)}  ${outcome}  ${new Date(asOfMs).toISOString()}`;
  if (verdict === undefined) return [head, wrap("(it was to leave no trace)", INDENT)];
  const { action, user, conversation } = verdict;
  const where = conversation === undefined ? "" : ` in ${conversation}`;
  return [
    head,
    wrap(harmless(`${action}, ${user ?? "somebody"}${where}`), INDENT),
    wrap(text === undefined ? "(text not kept)" : `“${harmless(text)}”`, INDENT),
  ];
}

function linesOf(item: ReviewItem): string[] {
  const { id, severity, state, action, categories, user, text, claim, decision } = item;
  const { reportCount, verdictCount, conversation, degraded } = item;
  const what = action === undefined ? "reported" : `${action}: ${categories.join(", ")}`;
  const where = conversation === undefined ? "" : ` in ${conversation}`;
  const facts = [state, `${user ?? "somebody"}${where}`];
  if (verdictCount > 1) facts.push(`${formatCount(verdictCount)} times`);
  if (degraded) facts.push("not judged by the language model");
  if (reportCount > 0) facts.push(`${formatCount(reportCount)} reports`);
  if (claim !== undefined) facts.push(`${claim.moderator} has it`);
  if (decision !== undefined) facts.push(`${decision.decision} by ${decision.moderator}`);
  return [
    `${style("bold", id)}  severity ${severity}`,
    wrap(what, INDENT),
    wrap(harmless(facts.join(", ")), INDENT),
    wrap(text === undefined ? "(text not kept)" : `“${harmless(text)}”`, INDENT),
  ];
}
