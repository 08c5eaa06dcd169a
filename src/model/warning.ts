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
] as const;

export type WarningCode = (typeof WARNINGS)[number]["code"];

export const WARNING_METRIC_LIMIT = 0;
