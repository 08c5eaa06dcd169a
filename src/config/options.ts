/** Every option, once: types, flags, environment, help and the printed defaults come from here. */
import { TENANT_COUNT_MAX } from "#model/limits.ts";
import { availableParallelism } from "node:os";
import { ACCESS_OPTIONS } from "./access-options.ts";
import { BACKUP_OPTIONS } from "./backup-options.ts";
import { DURABILITY_OPTIONS } from "./durability-options.ts";
import { CONNECTION_OPTIONS } from "./connection-options.ts";
import { LLM_OPTIONS } from "./llm-options.ts";
import { OPERATION_OPTIONS } from "./operation-options.ts";
import { QUOTA_OPTIONS } from "./quota-options.ts";
import type { OptionSpec } from "./option-spec.ts";

const KIB = 1024;
const GIB = KIB ** 3;

export const OPTIONS = {
  httpHost: {
    kind: "text",
    environment: "NEXUSCORE_HTTP_HOST",
    flag: "--http-host",
    default: "127.0.0.1",
    sentence: "Address that HTTP listens on; 0.0.0.0 opens it to the network, which needs a key.",
  },
  httpPort: {
    kind: "integer",
    environment: "NEXUSCORE_HTTP_PORT",
    flag: "--http-port",
    default: 7070,
    min: 0,
    max: 65_535,
    sentence: "Port of HTTP; 0 takes a free one.",
  },
  udpHost: {
    kind: "text",
    environment: "NEXUSCORE_UDP_HOST",
    flag: "--udp-host",
    default: "127.0.0.1",
    sentence: "Address that event datagrams are taken on; anybody who reaches it can send.",
  },
  udpPort: {
    kind: "integer",
    environment: "NEXUSCORE_UDP_PORT",
    flag: "--udp-port",
    default: 7071,
    min: 0,
    max: 65_535,
    sentence: "UDP port of event datagrams; 0 takes a free one.",
  },
  kernelStage: {
    kind: "choice",
    environment: "NEXUSCORE_KERNEL_STAGE",
    flag: "--kernel-stage",
    default: "auto",
    choices: ["auto", "off"],
    sentence: "Whether eBPF aggregates event datagrams where it may, or always user space.",
  },
  kernelSlotBits: {
    kind: "integer",
    environment: "NEXUSCORE_KERNEL_SLOT_BITS",
    flag: "--kernel-slot-bits",
    unit: "log2 of slots",
    default: 0,
    min: 0,
    max: 22,
    sentence: "Size of the tables that sum event datagrams; 0 goes by memory and CPUs.",
  },
  kernelTelemetry: {
    kind: "choice",
    environment: "NEXUSCORE_KERNEL_TELEMETRY",
    flag: "--kernel-telemetry",
    default: "basic",
    choices: ["off", "basic", "all"],
    sentence:
      "What eBPF tells of our threads; all adds system calls and page faults, at some cost.",
  },
  turnMs: {
    kind: "integer",
    environment: "NEXUSCORE_TURN_MS",
    flag: "--turn-ms",
    unit: "milliseconds",
    default: 100,
    min: 10,
    max: 1_000,
    sentence: "How often tenants are given what was aggregated of event datagrams.",
  },
  busyTurnMs: {
    kind: "integer",
    environment: "NEXUSCORE_BUSY_TURN_MS",
    flag: "--busy-turn-ms",
    unit: "milliseconds",
    default: 1_000,
    min: 10,
    max: 5_000,
    sentence: "The same under load, where more is summed first; a question does not wait for it.",
  },
  dataDir: {
    kind: "text",
    environment: "NEXUSCORE_DATA_DIR",
    flag: "--data-dir",
    default: "./.nexuscore",
    sentence:
      "Folder for tenants, policies and the review queue; :memory: keeps them while it runs.",
  },
  ...DURABILITY_OPTIONS,
  ...BACKUP_OPTIONS,
  webhookTargets: {
    kind: "choice",
    environment: "NEXUSCORE_WEBHOOK_TARGETS",
    flag: "--webhook-targets",
    default: "loopback",
    choices: ["https", "loopback", "any"],
    sentence: "Where webhooks may go: https in public, this machine, too, or anywhere.",
  },
  shardCount: {
    kind: "integer",
    environment: "NEXUSCORE_SHARD_COUNT",
    flag: "--shard-count",
    unit: "threads",
    default: (): number => availableParallelism(),
    defaultWords: "one a core",
    min: 1,
    max: 256,
    sentence: "Threads that run tenants.",
  },
  slotCount: {
    kind: "integer",
    environment: "NEXUSCORE_SLOT_COUNT",
    flag: "--slot-count",
    unit: "instances a shard",
    default: 1024,
    min: 1,
    max: 16_384,
    sentence: "Component instances that hold the tenants in use, like lines of a cache.",
  },
  imageBytesMax: {
    kind: "bytes",
    environment: "NEXUSCORE_IMAGE_BYTES_MAX",
    flag: "--image-bytes-max",
    default: 4 * GIB,
    min: 1024 * KIB,
    max: 1024 * GIB,
    sentence:
      "Memory for the state of all tenants. Full: no events until some shrink; questions go on.",
  },
  tenantCountMax: {
    kind: "integer",
    environment: "NEXUSCORE_TENANT_COUNT_MAX",
    flag: "--tenant-count-max",
    unit: "tenants",
    default: TENANT_COUNT_MAX,
    min: 1,
    max: TENANT_COUNT_MAX,
    sentence: "Tenants that are taken; a new one beyond is refused.",
  },
  ...ACCESS_OPTIONS,
  ...CONNECTION_OPTIONS,
  ...QUOTA_OPTIONS,
  ...LLM_OPTIONS,
  ...OPERATION_OPTIONS,
  logLevel: {
    kind: "choice",
    environment: "NEXUSCORE_LOG_LEVEL",
    flag: "--log-level",
    default: "info",
    choices: ["debug", "info", "warn", "error", "silent"],
    reload: true,
    sentence: "Least level that is logged.",
  },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;

export type Config = {
  readonly [Name in OptionName]: (typeof OPTIONS)[Name]["kind"] extends
    | "integer"
    | "bytes"
    | "decimal"
    | "bound"
    ? number
    : string;
};

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

export function optionSpec(name: OptionName): OptionSpec {
  return OPTIONS[name];
}

export function isOptionName(text: string): text is OptionName {
  return Object.hasOwn(OPTIONS, text);
}

export function defaultOf(name: OptionName): number | string {
  const { default: value } = optionSpec(name);
  return typeof value === "function" ? value() : value;
}

/** What a value may be, in words: the end of every message about a wrong one. */
export function allowedWords(name: OptionName): string {
  const spec = optionSpec(name);
  const { kind, choices = [], min, max } = spec;
  switch (kind) {
    case "choice":
      return `one of ${choices.join(", ")}`;
    case "list":
      return `some of ${choices.join(", ")}, with commas between them`;
    case "text":
      return spec.mayBeEmpty === true ? "a line of text" : "a text that is not empty";
    case "url":
      return "an address such as http://127.0.0.1:8080/v1";
    case "object":
      return 'a JSON object such as {"seed": 1}';
    case "decimal":
      return "a number from 0 on";
    case "bound":
      return "a number from 0 on, or unlimited";
    case "bytes":
      return `512MiB, 4GiB or bytes from ${min} to ${max}`;
    case "integer":
      return `an integer from ${min} to ${max}`;
  }
}

/** As it may be written in a file, or after a flag. */
export function writtenValue(value: number | string): number | string {
  return value === Infinity ? UNLIMITED : value;
}

export const UNLIMITED = "unlimited";
