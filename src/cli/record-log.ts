/**
 * JSONL and CSV logs: records whose fields have our names, or those that others use for the same.
 */
import { TENANT_ID_BYTES_MAX, TS_MS_MAX } from "#model/limits.ts";
import { parse } from "csv-parse";
import type { Readable } from "node:stream";
import type { LogMessage, SkipCounter } from "./log-message.ts";

const FIELDS = {
  id: ["id", "message_id", "messageId"],
  text: ["text", "message", "body", "content"],
  user: ["user", "author", "nick", "sender", "username", "from"],
  time: ["tsMs", "ts", "timestamp", "time", "date", "created_at", "createdAt"],
  conversation: ["conversation", "channel", "thread"],
  tenant: ["tenant", "channel", "room"],
} as const;

/** Seconds stay below this until the year 5138; milliseconds are above it since 1973. */
const SECONDS_MAX = 1e11;

type Row = Readonly<Record<string, unknown>>;

export type RecordLogOptions = {
  /** For all messages; undefined: the record's own, else `tenantDefault`. */
  readonly tenant: string | undefined;
  readonly tenantDefault: string;
  readonly skipped: SkipCounter;
};

export async function* readJsonLog(
  lines: AsyncIterable<string> | Iterable<string>,
  options: RecordLogOptions,
): AsyncGenerator<LogMessage> {
  for await (const line of lines) {
    if (line.trim() === "") continue;
    const row = parseRow(line);
    if (row === undefined) options.skipped.add("not a JSON object");
    else yield* messageOf(row, options);
  }
}

export async function* readCsvLog(
  source: Readable,
  options: RecordLogOptions,
): AsyncGenerator<LogMessage> {
  const rows = source.pipe(
    parse({
      columns: true,
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: false,
    }),
  );
  source.on("error", (error) => rows.destroy(error));
  for await (const row of rows) yield* messageOf(row as Row, options);
}

function* messageOf(row: Row, options: RecordLogOptions): Generator<LogMessage> {
  const { skipped, tenantDefault } = options;
  const text = textOf(row, FIELDS.text);
  if (text === undefined) return skipped.add("no text");
  const tsMs = parseTime(firstOf(row, FIELDS.time));
  if (tsMs === undefined) return skipped.add("no time");
  const tenant = options.tenant ?? tenantId(textOf(row, FIELDS.tenant) ?? tenantDefault);
  const id = textOf(row, FIELDS.id);
  const user = textOf(row, FIELDS.user);
  const conversation = textOf(row, FIELDS.conversation);
  yield {
    tenant,
    text,
    tsMs,
    ...(id === undefined ? {} : { id }),
    ...(user === undefined ? {} : { user }),
    ...(conversation === undefined ? {} : { conversation }),
  };
}

function parseRow(line: string): Row | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Row)
      : undefined;
  } catch {
    return undefined;
  }
}

function firstOf(row: Row, names: readonly string[]): unknown {
  for (const name of names) {
    const value = row[name];
    if (value !== undefined && value !== null && value !== "") return value;
  }
  return undefined;
}

/** Chat exports nest authors (`{"author":{"name":…}}`) and number their ids. */
function textOf(row: Row, names: readonly string[]): string | undefined {
  const value = firstOf(row, names);
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" || value === null) return undefined;
  const { name, username, id } = value as Row;
  const inner = name ?? username ?? id;
  return typeof inner === "string" ? inner : undefined;
}

/** Milliseconds, seconds (also with a fraction, as Slack writes them) or ISO 8601. */
export function parseTime(value: unknown): number | undefined {
  if (typeof value === "number" || (typeof value === "string" && /^\d+(\.\d+)?$/.test(value))) {
    const number = Number(value);
    const tsMs = Math.round(number < SECONDS_MAX ? number * 1_000 : number);
    return tsMs >= 0 && tsMs <= TS_MS_MAX ? tsMs : undefined;
  }
  if (typeof value !== "string") return undefined;
  // A time without a zone is UTC, on whatever machine it is read.
  const zoned = /(?:Z|[+-]\d{2}:?\d{2}|GMT|UTC)$/i.test(value) || /^\d{4}-\d{2}-\d{2}$/.test(value);
  const tsMs = Date.parse(zoned ? value : `${value.replace(" ", "T")}Z`);
  const parsed = Number.isNaN(tsMs) ? Date.parse(value) : tsMs;
  return Number.isNaN(parsed) || parsed < 0 ? undefined : parsed;
}

/** A tenant id made of any name: `#Général chat` becomes `G-n-ral-chat`. */
export function tenantId(name: string): string {
  const id = name
    .replace(/^[#&]+/, "")
    .replaceAll(/[^A-Za-z0-9._:-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, TENANT_ID_BYTES_MAX);
  return id === "" ? "log" : id;
}
