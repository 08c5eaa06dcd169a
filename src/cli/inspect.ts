/**
 * `nexuscore inspect`: what is known of a tenant, or of the whole store. A running server is asked;
 * without one the files are read, and nothing is written to them. Of what people said nothing is
 * shown: there is no need of it here, and who may look here may read the tenant itself.
 */
import type { Config } from "#config/options.ts";
import { inspectStore } from "#durable/inspect-store.ts";
import { scanStore, type StoreScan } from "#durable/store-scan.ts";
import { LOGGED_KINDS, LOGGED_WORLDS } from "#engine/inspection.ts";
import type {
  InspectedComponent,
  StoredSnapshotFacts,
  TenantInspection,
  TurnsAfter,
} from "#model/inspection.ts";
import type { QuotaStatus } from "#model/quota.ts";
import type { TenantStatus } from "#model/tenant.ts";
import { existsSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ageWords, spanWords } from "./ages.ts";
import { type BackupTarget, serverOf } from "./backup.ts";
import { dataFilesOf } from "./data-files.ts";
import { CliError, formatBytes, formatCount, print, printJson, wrap } from "./terminal.ts";

const NAME_COLUMNS = 14;
const DIGITS_SHOWN = 12;

export async function inspectTenant(target: BackupTarget, tenant: string): Promise<void> {
  const client = await serverOf(target);
  const found =
    client === undefined ? inspectFiles(target.config, tenant) : await client.inspect(tenant);
  if (target.json) {
    printJson(found);
    return;
  }
  print(tenantWords(found, client?.url));
}

export function inspectWholeStore({ config, json }: BackupTarget): void {
  const path = statePath(config);
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    database.exec("BEGIN");
    const scan = scanStore(database);
    const bytes = statSync(path).size;
    if (json) printJson({ path, bytes, ...scan });
    else print(storeWords(path, bytes, scan));
  } finally {
    database.close();
  }
}

function inspectFiles(config: Config, tenant: string): TenantInspection {
  const path = statePath(config);
  const stored = inspectStore({ path, tenant, worlds: LOGGED_WORLDS, kinds: LOGGED_KINDS });
  if (!stored.isKept) {
    throw new CliError(`nothing is kept of ${tenant} in ${path}, and no server runs to be asked`);
  }
  return { tenant, stored };
}

function statePath(config: Config): string {
  const files = dataFilesOf(config);
  if (files === undefined) {
    throw new CliError("with --data-dir :memory: nothing is kept, so there is nothing to look at");
  }
  if (existsSync(files.state)) return files.state;
  throw new CliError(`there is no ${files.state}; say with --data-dir or --url where to look`);
}

function tenantWords(found: TenantInspection, url: string | undefined): string {
  const { tenant, status, components = [], stored, policyVersion, quota, reviews, windows } = found;
  const lines = [
    `${tenant}${url === undefined ? ", from the files: no server runs" : ` on ${url}`}`,
  ];
  if (status !== undefined) lines.push(...statusLines(status));
  lines.push(...components.map(componentLine));
  if (policyVersion !== undefined) {
    lines.push(line("policy", policyVersion === 0 ? "the default" : `version ${policyVersion}`));
  }
  if (quota !== undefined) lines.push(line("quota", quotaWords(quota)));
  if (reviews !== undefined) {
    const { waitingCount, itemCount } = reviews;
    lines.push(line("reviews", `${waitingCount} of ${itemCount} wait for a decision`));
  }
  for (const { window, eventCount, userCount } of windows ?? []) {
    const events = counted(eventCount, "event", "events");
    lines.push(line(`window ${window}`, `${events}, ${counted(userCount, "person", "people")}`));
  }
  if (stored === undefined) lines.push(line("on disk", "nothing: the server keeps no data folder"));
  else {
    lines.push(...stored.snapshots.map(snapshotLine), turnsLine(stored.turnsAfter));
  }
  return lines.join("\n");
}

function statusLines(status: TenantStatus): string[] {
  const { state, shard, clock, windows, strikeCount, lastFailure, lastEventMs } = status;
  const strikes = strikeCount === 0 ? "no strikes" : `${strikeCount} strikes, last ${lastFailure}`;
  const counts = [
    counted(status.eventCount, "event", "events"),
    `${formatCount(status.lateCount)} late`,
    `${formatCount(status.duplicateCount)} duplicates`,
    `${formatCount(status.repeatedCount)} repeats`,
    `${formatCount(status.rejectedCount)} rejected`,
  ];
  const last = lastEventMs === 0 ? "none yet" : `the last ${ageWords(lastEventMs)} ago`;
  return [
    line("state", `${state}, ${strikes}; shard ${shard}`),
    line("settings", `clock ${clock}, windows ${windows.join(" ")}`),
    line("ledger", `${counts.join(", ")}; ${last}`),
  ];
}

function componentLine(component: InspectedComponent): string {
  const { world, digest, imageBytes, stateHash, strikeCount, quarantined } = component;
  const strikes = strikeCount === 0 ? "" : `, ${strikeCount} strikes`;
  return line(
    world,
    `image ${formatBytes(imageBytes)}, state ${short(stateHash)}, component ${short(digest)}` +
      `${strikes}${quarantined ? ", in quarantine" : ""}`,
  );
}

function quotaWords({ limits, own, cpuMs, refusedCount }: QuotaStatus): string {
  const bounds = Object.entries(limits).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${formatCount(value)}${own.includes(name) ? " (own)" : ""}`],
  );
  const limited = bounds.length === 0 ? "no limits" : bounds.join(", ");
  const refused = refusedCount === 0 ? "" : `, ${formatCount(refusedCount)} refused`;
  return `${limited}; ${spanWords(cpuMs)} of CPU since the start${refused}`;
}

function snapshotLine(snapshot: StoredSnapshotFacts): string {
  const { world, generation, stream, number, bytes, asOfMs, damage, stateHash } = snapshot;
  const age = asOfMs === undefined ? "" : `, ${ageWords(asOfMs)} old`;
  const health = damage === undefined ? `state ${short(stateHash ?? "")}` : `DAMAGED: ${damage}`;
  const place = `block ${formatCount(number)} of stream ${stream}`;
  return line(
    `${generation} copy`,
    `${world}, ${formatBytes(bytes)}, to ${place}${age}; ${health}`,
  );
}

function turnsLine({ count, bytes, kinds, since, fromMs, toMs, isCut }: TurnsAfter): string {
  if (count === 0 && !isCut) return line("turns after", "none: the newer copy is all of it");
  const each = Object.entries(kinds).map(([kind, n]) => `${formatCount(n)} ${kind}`);
  const place =
    since === undefined
      ? ""
      : `, since block ${formatCount(since.number)} of stream ${since.stream}`;
  const times =
    fromMs === undefined || toMs === undefined
      ? ""
      : `, from ${timeWords(fromMs)} to ${timeWords(toMs)}`;
  const more = isCut ? "; the log is longer than is read for this" : "";
  const what = `${formatCount(count)}, ${formatBytes(bytes)} (${each.join(", ")})`;
  return line("turns after", `${what}${place}${times}${more}`);
}

export function storeWords(path: string, bytes: number, scan: StoreScan): string {
  const { streams, tenantCount, snapshotCount, snapshotBytes, blockCount, logBytes } = scan;
  const { components, componentBytes, damaged, damagedCount, entryCount } = scan;
  return [
    `${path}, ${formatBytes(bytes)}`,
    line("tenants", formatCount(tenantCount)),
    line("snapshots", `${formatCount(snapshotCount)}, ${formatBytes(snapshotBytes)}`),
    line(
      "log",
      `${formatCount(blockCount)} blocks, ${formatCount(entryCount)} entries, ` +
        formatBytes(logBytes),
    ),
    ...streams.map(({ stream, run, shard, trimmed, last }) => {
      const blocks = last === trimmed ? "no blocks" : `blocks ${trimmed + 1} to ${last}`;
      return line(`stream ${stream}`, `run ${run}, shard ${shard}, ${blocks}`);
    }),
    line(
      "components",
      `${components.map((digest) => digest.slice(0, 12)).join(" ")} ${formatBytes(componentBytes)}`,
    ),
    line("damaged", damagedCount === 0 ? "nothing" : formatCount(damagedCount)),
    ...damaged.map((what) => wrap(what, " ".repeat(NAME_COLUMNS + 2))),
  ].join("\n");
}

function line(name: string, text: string): string {
  const indent = " ".repeat(NAME_COLUMNS + 2);
  return `  ${name.padEnd(NAME_COLUMNS)}${wrap(text, indent).slice(indent.length)}`;
}

function counted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function short(digest: string): string {
  return digest.slice(0, DIGITS_SHOWN);
}

function timeWords(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
