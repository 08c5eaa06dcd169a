/** Options of what a tenant may take, unless it has limits of its own. */
import { QUOTA_CPU_MS_DEFAULT } from "#model/limits.ts";
import type { OptionSpec } from "./option-spec.ts";

export const QUOTA_OPTIONS = {
  quotaEventsPerSecond: {
    kind: "bound",
    environment: "NEXUSCORE_QUOTA_EVENTS_PER_SECOND",
    flag: "--quota-events-per-second",
    default: Infinity,
    reload: true,
    sentence: "Events, and messages to judge, that a tenant may send.",
  },
  quotaBytesPerSecond: {
    kind: "bound",
    environment: "NEXUSCORE_QUOTA_BYTES_PER_SECOND",
    flag: "--quota-bytes-per-second",
    default: Infinity,
    reload: true,
    sentence: "Bytes of them.",
  },
  quotaCpuMsPerSecond: {
    kind: "bound",
    environment: "NEXUSCORE_QUOTA_CPU_MS_PER_SECOND",
    flag: "--quota-cpu-ms-per-second",
    default: QUOTA_CPU_MS_DEFAULT,
    reload: true,
    sentence: "CPU time of its shard that a tenant may take; 1000 is a whole thread.",
  },
  quotaImageBytes: {
    kind: "bound",
    environment: "NEXUSCORE_QUOTA_IMAGE_BYTES",
    flag: "--quota-image-bytes",
    default: Infinity,
    reload: true,
    sentence: "Memory for the state of one tenant. Full: no events of it until it shrinks.",
  },
} as const satisfies Record<string, OptionSpec>;
