/** Options of how the process is watched, and how it ends. */
import type { OptionSpec } from "./option-spec.ts";

const MINUTE_MS = 60_000;

export const OPERATION_OPTIONS = {
  drainMsMax: {
    kind: "integer",
    environment: "NEXUSCORE_DRAIN_MS_MAX",
    flag: "--drain-ms-max",
    unit: "milliseconds",
    default: 25_000,
    min: 100,
    max: 10 * MINUTE_MS,
    reload: true,
    sentence: "What a stop may take: answers that are due, the log, snapshots. Then it is cut.",
  },
  slowRequestMs: {
    kind: "integer",
    environment: "NEXUSCORE_SLOW_REQUEST_MS",
    flag: "--slow-request-ms",
    unit: "milliseconds",
    default: 5_000,
    min: 0,
    max: 10 * MINUTE_MS,
    reload: true,
    sentence: "A request that takes longer is logged, without what is in it; 0: none is.",
  },
  traces: {
    kind: "choice",
    environment: "NEXUSCORE_TRACES",
    flag: "--traces",
    default: "off",
    choices: ["off", "on"],
    sentence: "Spans for OpenTelemetry; they go nowhere unless an SDK is loaded with --import.",
  },
} as const satisfies Record<string, OptionSpec>;
