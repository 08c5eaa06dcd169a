/**
 * What of an accepted event did not count. The code is the contract; a shard reports its number,
 * which is its index here, so entries are only ever appended.
 */
import { METRIC_NAMES_MAX } from "./limits.ts";

export const WARNINGS = [
  {
    code: "metricLimit",
    message:
      `A metric was not counted: its tenant has ${METRIC_NAMES_MAX} metrics of other names ` +
      "already. The rest of the event counts.",
  },
  {
    code: "messageFlagged",
    message: "The tenant's policy flags this message; it counts all the same.",
  },
  {
    code: "messageBlocked",
    message: "The tenant's policy blocks this message: it is not counted, and should not be shown.",
  },
] as const;

export type WarningCode = (typeof WARNINGS)[number]["code"];

export const WARNING_METRIC_LIMIT = 0;
export const WARNING_MESSAGE_FLAGGED = 1;
export const WARNING_MESSAGE_BLOCKED = 2;
