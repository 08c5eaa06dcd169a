/** Options of what outlives the process. */
import type { OptionSpec } from "./option-spec.ts";

const MIB = 1024 * 1024;

export const DURABILITY_OPTIONS = {
  ack: {
    kind: "choice",
    environment: "NEXUSCORE_ACK",
    flag: "--ack",
    default: "disk",
    choices: ["disk", "memory"],
    reload: true,
    sentence: "Where events are when they are acknowledged; memory is quicker, and says so.",
  },
  logBytesMax: {
    kind: "bytes",
    environment: "NEXUSCORE_LOG_BYTES_MAX",
    flag: "--log-bytes-max",
    default: 2048 * MIB,
    min: 64 * MIB,
    max: 1024 * 1024 * MIB,
    sentence: "Disk for turns that no snapshot holds yet. Full: no events until some do.",
  },
  recoveryMsMax: {
    kind: "integer",
    environment: "NEXUSCORE_RECOVERY_MS_MAX",
    flag: "--recovery-ms-max",
    unit: "milliseconds",
    default: 8_000,
    min: 100,
    max: 600_000,
    sentence: "Work that a start may have to do again; less makes more snapshots.",
  },
  datagramLog: {
    kind: "choice",
    environment: "NEXUSCORE_DATAGRAM_LOG",
    flag: "--datagram-log",
    default: "off",
    choices: ["off", "on"],
    sentence: "Whether what datagrams brought is logged too; off: it is kept with snapshots.",
  },
} as const satisfies Record<string, OptionSpec>;
