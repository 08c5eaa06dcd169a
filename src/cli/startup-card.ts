/** What `serve` says once it takes events: to people in 80 columns, to logs in one line. */
import { isLoopbackHost } from "#config/access-checks.ts";
import type { Config } from "#config/options.ts";
import type { RecoverySummary, StorageStats } from "#model/storage.ts";
import { IN_MEMORY } from "#review/database.ts";
import { spanWords } from "./ages.ts";
import type { Application } from "./application.ts";
import { llmWords } from "./llm-settings.ts";
import { formatBytes, formatCount, style, wrap } from "./terminal.ts";
import { urlHost } from "./url.ts";
import { VERSION } from "./version.ts";

/** What of it the card needs; tests make one. */
export type CardFacts = Pick<Application, "url" | "udp" | "store" | "llm"> & {
  readonly storage: StorageStats;
  readonly keyCount: number;
  /** Nobody is asked for a key. */
  readonly isOpen: boolean;
};

export function factsOf(application: Application): CardFacts {
  const { url, udp, store, llm, engine, guard } = application;
  const keyCount = guard.access.keys.countOpen(Date.now());
  return { url, udp, store, llm, storage: engine.storage(), keyCount, isOpen: guard.isOpen };
}

const NAME_COLUMNS = 12;
const LOST_SHOWN = 3;

export function startupCard(facts: CardFacts, config: Config): string {
  const { url, storage, isOpen, keyCount } = facts;
  const recovery = recoveryOf(storage);
  const entries: [name: string, text: string][] = [
    ["API", isLoopbackHost(config.httpHost) ? url : `${url}, listening on ${config.httpHost}`],
    ["Reference", `${url}/docs`],
    ["Keys", keyWords(facts, config)],
    ["Engine", engineWords(config)],
    ["State", stateWords(storage)],
    ...(recovery === undefined
      ? []
      : [["Recovered", recoveredWords(recovery)] as [string, string]]),
    ["Reviews", storeWords(facts.store)],
    ["Datagrams", datagramWords(facts.udp, config)],
    ["Quotas", quotaWords(config)],
    ["Model", llmWords(facts.llm, config)],
  ];
  const lost = recovery === undefined ? [] : lostLines(recovery);
  const key =
    isOpen || keyCount === 0 ? "" : ' -H "authorization: Bearer $NEXUSCORE_KEY" \\\n     ';
  return `${style("bold", `NexusCore ${VERSION}`)} takes events.

${entries.map(([name, text]) => entryLine(name, text)).join("\n")}
${lost.map((line) => `\n${style("yellow", line)}`).join("")}
  Try it:
    curl${key} -H 'content-type: application/json' \\
      -d '{"user":"ada","text":"the boss fight is on!"}' \\
      ${url}/v1/tenants/acme/events
    curl${key} ${url}/v1/tenants/acme/trending

  Ctrl-C stops it: what was taken is answered and kept, within ${spanWords(config.drainMsMax)}.`;
}

/** The same for a log. */
export function startupFields(facts: CardFacts, config: Config): Record<string, unknown> {
  const { url, storage, udp, store, llm, keyCount, isOpen } = facts;
  const { shardCount, tenantCountMax, imageBytesMax } = config;
  return {
    url,
    httpHost: config.httpHost,
    version: VERSION,
    shardCount,
    tenantCountMax,
    imageBytesMax,
    keys: isOpen ? "off" : keyCount,
    ack: storage.ack,
    state: storage.path ?? IN_MEMORY,
    recovery: recoveryOf(storage),
    datagrams: datagramWords(udp, config),
    store: storeWords(store),
    languageModel: llmWords(llm, config),
  };
}

function entryLine(name: string, text: string): string {
  const indent = " ".repeat(2 + NAME_COLUMNS);
  const body = wrap(text, indent).slice(indent.length);
  return `  ${name.padEnd(NAME_COLUMNS)}${text.startsWith("http") ? style("cyan", body) : body}`;
}

/** Who is let in, and how to change it. */
function keyWords({ keyCount, isOpen }: CardFacts, { httpHost, oidcIssuer }: Config): string {
  if (isOpen) {
    const who = isLoopbackHost(httpHost)
      ? "everybody on this machine"
      : `all who reach ${httpHost}`;
    const way = "nexuscore key create --role admin --tenants '*'";
    return `none, open to ${who}; the first key closes it: ${way}`;
  }
  const keys = keyCount === 1 ? "1 key" : `${formatCount(keyCount)} keys`;
  return oidcIssuer === "" ? keys : `${keys}, and tokens of ${oidcIssuer}`;
}

function engineWords({ shardCount, tenantCountMax, imageBytesMax }: Config): string {
  const shards = shardCount === 1 ? "1 shard" : `${shardCount} shards`;
  return `${shards}, ${formatCount(tenantCountMax)} tenants, ${formatBytes(imageBytesMax)}`;
}

function stateWords({ path, ack, state, detail, logBytesMax }: StorageStats): string {
  if (path === undefined) return "in memory, until the process ends";
  const promise =
    ack === "disk"
      ? "on disk before the answer"
      : "on disk soon after the answer (ack memory: a crash loses milliseconds)";
  const log = `log of ${formatBytes(logBytesMax)} at most`;
  const isWell = state === "ok" || state === "recovering";
  const health = isWell ? "" : `; the disk is ${state}${detail === undefined ? "" : `: ${detail}`}`;
  return `${path}, ${promise}, ${log}${health}`;
}

/** Undefined: there was nothing. */
function recoveryOf({ recovery }: StorageStats): RecoverySummary | undefined {
  if (recovery === undefined || "progress" in recovery) return undefined;
  return recovery.summary.tenants === 0 && recovery.summary.lostCount === 0
    ? undefined
    : recovery.summary;
}

function recoveredWords({ tenants, readySeconds, ...rest }: RecoverySummary): string {
  const { snapshots, replayedTurns, repaired, tornBlocks } = rest;
  const count = (of: number, one: string): string =>
    `${formatCount(of)} ${one}${of === 1 ? "" : "s"}`;
  const parts = [
    `${count(tenants, "tenant")} in ${readySeconds.toFixed(1)} s: ${count(snapshots, "snapshot")}`,
    ...(replayedTurns > 0 ? [`${count(replayedTurns, "turn")} again`] : []),
    ...(repaired > 0 ? [`${formatCount(repaired)} repaired from older copies`] : []),
    ...(tornBlocks > 0 ? [`${count(tornBlocks, "unfinished block")} dropped`] : []),
  ];
  return parts.join(", ");
}

function lostLines({ lost, lostCount, gaps }: RecoverySummary): string[] {
  const lines: string[] = [];
  if (lostCount > 0) {
    const some = lost.slice(0, LOST_SHOWN).join(", ");
    const more = lostCount > LOST_SHOWN ? ` and ${formatCount(lostCount - LOST_SHOWN)} more` : "";
    const way = "see docs/operations.md, nexuscore restore";
    lines.push(wrap(`Something is missing of ${some}${more}: ${way}.`, "  "));
  }
  if (gaps > 0) {
    const what = `Turns do not go on from what is there: tenants ${formatCount(gaps)}`;
    lines.push(wrap(`${what}; the log says which.`, "  "));
  }
  return lines.length === 0 ? [] : [...lines, ""];
}

/** Which path event datagrams take, and why not the other. */
function datagramWords(udp: Application["udp"], { kernelStage }: Config): string {
  if (typeof udp === "string") return `off: ${udp}`;
  const { host, port, facts } = udp;
  const place = `udp://${urlHost(host)}:${port}`;
  if (facts.path === "kernel") return `${place}, aggregated in the kernel (eBPF)`;
  const user = `${place}, aggregated in user space`;
  if (kernelStage === "off") return `${user}, as configured`;
  return `${user}; the kernel path lacks: ${facts.missing.join(", ")}`;
}

/** Where policies and the review queue are. */
function storeWords(store: Application["store"]): string {
  if (typeof store === "string") return `off: ${store}`;
  return store.path === IN_MEMORY ? "in memory, until the process ends" : store.path;
}

/** What a tenant may take unless it has limits of its own. */
function quotaWords(config: Config): string {
  const { quotaEventsPerSecond, quotaBytesPerSecond, quotaCpuMsPerSecond, quotaImageBytes } =
    config;
  const parts = [
    ...(quotaEventsPerSecond === Infinity ? [] : [`${formatCount(quotaEventsPerSecond)} events/s`]),
    ...(quotaBytesPerSecond === Infinity ? [] : [`${formatBytes(quotaBytesPerSecond)}/s`]),
    ...(quotaCpuMsPerSecond === Infinity
      ? []
      : [`${formatCount(quotaCpuMsPerSecond / 10)} % of a shard's CPU`]),
    ...(quotaImageBytes === Infinity ? [] : [`${formatBytes(quotaImageBytes)} of memory`]),
  ];
  return parts.length === 0 ? "none" : `a tenant may take ${parts.join(", ")}`;
}
