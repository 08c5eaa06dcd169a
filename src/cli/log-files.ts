/** Finds the logs among files and folders, tells their formats apart, and opens them. */
import { EVENT_ID_BYTES_MAX } from "#model/limits.ts";
import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { isIrcLine, readIrcLog } from "./irc-log.ts";
import type { LogMessage, SkipCounter } from "./log-message.ts";
import { readCsvLog, readJsonLog, tenantId } from "./record-log.ts";
import { CliError } from "./terminal.ts";

export type LogFile = {
  readonly path: string;
  readonly format: "irc" | "jsonl" | "csv";
  /** The tenant that the name stands for. */
  readonly tenant: string;
  /** Midnight of the day in the name; undefined where it has none. */
  readonly dayMs: number | undefined;
};

/** The day of logs that do not tell theirs: long ago, and the same on every run. */
export const UNDATED_DAY_MS = Date.UTC(2000, 0, 1);

const HEAD_BYTES = 8 * 1024;
const HEAD_LINES = 30;
const DATE = /(\d{4})-?(\d{2})-?(\d{2})/;

/** In the order of replay: by tenant, then by day, then by name. */
export async function findLogs(paths: readonly string[]): Promise<LogFile[]> {
  const found: LogFile[] = [];
  for (const path of paths) {
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) throw new CliError(`${path}: no such file or folder`);
    if (!info.isDirectory()) {
      const log = await inspect(path);
      if (log === undefined) {
        throw new CliError(
          `${path}: neither IRC log, JSONL nor CSV with a header; see replay --help`,
        );
      }
      found.push(log);
      continue;
    }
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((each) => each.isFile())) {
      const log = await inspect(join(entry.parentPath, entry.name));
      if (log !== undefined) found.push(log);
    }
  }
  if (found.length === 0) throw new CliError(`no logs in ${paths.join(" ")}; see replay --help`);
  const key = (log: LogFile): string =>
    `${log.tenant}\n${String(log.dayMs ?? 0).padStart(16, "0")}\n${log.path}`;
  return found.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

export type OpenLogOptions = { readonly tenant: string | undefined; readonly skipped: SkipCounter };

export function openLogFile(log: LogFile, options: OpenLogOptions): AsyncGenerator<LogMessage> {
  const source = createReadStream(log.path);
  const record = { ...options, tenantDefault: log.tenant };
  if (log.format === "csv") return readCsvLog(source, record);
  const lines = createInterface({ input: source, crlfDelay: Infinity });
  if (log.format === "jsonl") return readJsonLog(lines, record);
  return readIrcLog(lines, {
    dayMs: log.dayMs ?? UNDATED_DAY_MS,
    tenant: options.tenant ?? log.tenant,
    idPrefix: idPrefixOf(log.path),
  });
}

async function inspect(path: string): Promise<LogFile | undefined> {
  const format = formatOf(path, await headOf(path));
  if (format === undefined) return undefined;
  return { path, format, tenant: tenantOf(path), dayMs: dayOf(path) };
}

async function headOf(path: string): Promise<string[]> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const lines = buffer.toString("utf8", 0, bytesRead).split(/\r?\n/);
    // The last line may be cut off, unless the file ends there.
    if (bytesRead === HEAD_BYTES) lines.pop();
    return lines.filter((line) => line.trim() !== "").slice(0, HEAD_LINES);
  } finally {
    await file.close();
  }
}

function formatOf(path: string, head: readonly string[]): LogFile["format"] | undefined {
  const [first] = head;
  if (first === undefined) return undefined;
  if (/\.(?:jsonl|ndjson)$/i.test(path) || first.startsWith("{")) return "jsonl";
  if (/\.csv$/i.test(path)) return "csv";
  return head.filter(isIrcLine).length * 2 > head.length ? "irc" : undefined;
}

/** `#ubuntu` in the name, else the name up to its first dot, else, for a bare date, the folder. */
function tenantOf(path: string): string {
  const name = basename(path);
  const channel = /#+([^\s/]+?)(?:\.(?:txt|log|jsonl|ndjson|csv))?$/i.exec(name)?.[1];
  if (channel !== undefined) return tenantId(channel);
  const stem = name.split(".", 1)[0] ?? "";
  const isDate = /^[\d_-]*$/.test(stem);
  return tenantId(isDate ? basename(dirname(resolve(path))) : stem);
}

function dayOf(path: string): number | undefined {
  const [, year, month, day] = DATE.exec(basename(path)) ?? [];
  if (year === undefined) return undefined;
  const dayMs = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const valid = new Date(dayMs).getUTCDate() === Number(day) && Number(month) <= 12;
  return valid && Number(year) >= 1970 ? dayMs : undefined;
}

/** Short enough that id and line number stay within the limit, and one byte a character. */
function idPrefixOf(path: string): string {
  const stem = basename(path).split(".", 1)[0] ?? "";
  return stem.replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, EVENT_ID_BYTES_MAX - 12);
}
