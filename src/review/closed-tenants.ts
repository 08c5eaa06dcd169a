/**
 * What comes of a tenant whose deletion has begun, also late: from the API, and from the engine,
 * which may have had it under way. None of it may be written: the step that erases the tenant's
 * rows may have been there already, and they would stay for good.
 */
import { Problem } from "#model/problem.ts";
import type { Command, CommandName } from "./store.ts";

const RETRY_AFTER_SECONDS = 1;

/** Somebody waits for an answer to these, and is told. */
const REFUSED: ReadonlySet<CommandName> = new Set<CommandName>([
  "report",
  "putWebhook",
  "putPolicy",
  "putQuota",
  "putLlmLimits",
]);

/**
 * The command as it is to be run; undefined: there is nothing left of it. Problem: tenantDeleting.
 */
export function withoutClosed(
  command: Command,
  isDeleting: (tenant: string) => boolean,
): Command | undefined {
  switch (command.name) {
    case "takeFlagged":
    case "takeNotReviewed":
      return isDeleting(command.request.verdict.tenant) ? undefined : command;
    case "takeRecent":
      return isDeleting(command.request.tenant) ? undefined : command;
    case "takeFeedback":
      return isDeleting(command.request.feedback.tenant) ? undefined : command;
    case "keepPending": {
      const rows = command.request.rows.filter(({ tenant }) => !isDeleting(tenant));
      return { name: "keepPending", request: { rows } };
    }
    default:
      if (!REFUSED.has(command.name)) return command;
      refuse((command.request as { readonly tenant: string }).tenant, isDeleting);
      return command;
  }
}

function refuse(tenant: string, isDeleting: (tenant: string) => boolean): void {
  if (!isDeleting(tenant)) return;
  throw new Problem("tenantDeleting", `${tenant} is being deleted; try again after it.`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
