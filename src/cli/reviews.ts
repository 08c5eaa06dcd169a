/** `nexuscore reviews`: what waits for a decision in a tenant, and how the queue stands. */
import type { ReviewItem, ReviewPage, ReviewStats } from "#model/review.ts";
import { Client } from "./client.ts";
import { formatCount, harmless, print, printJson, style, wrap } from "./terminal.ts";

export type ReviewsOptions = {
  readonly url: string;
  readonly tenant: string;
  readonly state: string;
  readonly limit: number;
  readonly json: boolean;
};

export async function reviews({ url, tenant, state, limit, json }: ReviewsOptions): Promise<void> {
  const client = new Client(url);
  const page = await client.reviews(tenant, { state, limit });
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
  for (const item of page.items) lines.push("", ...linesOf(item));
  const more = page.total - page.items.length;
  if (more > 0) lines.push("", `and ${formatCount(more)} more; --limit shows them`);
  return `${lines.join("\n")}\n`;
}

function linesOf(item: ReviewItem): string[] {
  const { id, severity, state, action, categories, user, text, claim, decision } = item;
  const { reportCount, verdictCount, conversation } = item;
  const what = action === undefined ? "reported" : `${action}: ${categories.join(", ")}`;
  const where = conversation === undefined ? "" : ` in ${conversation}`;
  const facts = [state, `${user ?? "somebody"}${where}`];
  if (verdictCount > 1) facts.push(`${formatCount(verdictCount)} times`);
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
