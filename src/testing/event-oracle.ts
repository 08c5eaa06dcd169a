/**
 * What the batcher must make of an element, said once more in plain TypeScript on JSON.parse. It is
 * slow and obvious; the batcher is neither, and tests hold one against the other.
 */
import type { EventErrorCode } from "#model/event-error.ts";
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  FUTURE_MS_MAX,
  LINE_BYTES_MAX,
  METRIC_COUNT_MAX,
  METRIC_NAME_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
  WEIGHT_MAX,
} from "#model/limits.ts";
import { isTenantId } from "#model/tenant.ts";
import type { BatchEvent } from "./batch.ts";

const DEPTH_MAX = 64;

export type OracleContext = {
  /** Tenant of all events, or undefined. */
  readonly tenant: string | undefined;
  readonly nowMs: number;
  readonly eventClock?: boolean;
};

export type OracleAnswer = { tenant: string; event: BatchEvent } | EventErrorCode;

/** Keeps the text of numbers: the digits of an id are the id. */
class Numeral {
  readonly source: string;
  readonly value: number;

  constructor(source: string, value: number) {
    this.source = source;
    this.value = value;
  }
}

export function judgeElement(bytes: Uint8Array, context: OracleContext): OracleAnswer {
  if (bytes.length > LINE_BYTES_MAX) return "eventTooLarge";
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return "invalidUtf8";
  }
  let value: unknown;
  try {
    value = JSON.parse(text, keepNumerals as (key: string, value: unknown) => unknown);
  } catch {
    return "malformedJson";
  }
  if (depthOf(text) > DEPTH_MAX) return "malformedJson";
  if (!isObject(value)) return "notAnObject";
  const fields = openEnvelope(value);
  return fields === undefined ? "dataUnsupported" : judgeFields(fields, context);
}

function keepNumerals(_key: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === "number" ? new Numeral(context.source!, value) : value;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === "{" || token === "[") deepest = Math.max(deepest, ++depth);
    else if (token === "}" || token === "]") depth--;
  }
  return deepest;
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isNumeral(value);
}

function isNumeral(value: unknown): value is Numeral {
  return value instanceof Numeral;
}

const FIELDS = [
  "id",
  "tenant",
  "conversation",
  "user",
  "tsMs",
  "text",
  "terms",
  "metrics",
  "weight",
] as const;

/**
 * The event's fields, those of a CloudEvent's data over its envelope's; undefined: data unreadable.
 */
function openEnvelope(value: Fields): Fields | undefined {
  const fields: Record<string, unknown> = {};
  for (const name of FIELDS) fields[name] = own(value, name);
  if (own(value, "specversion") === undefined) return fields;
  const data = own(value, "data");
  if (own(value, "data_base64") !== undefined) return undefined;
  if (isObject(data)) for (const name of FIELDS) fields[name] = own(data, name) ?? fields[name];
  else if (typeof data === "string") fields.text = data;
  else if (data !== undefined) return undefined;
  fields.conversation ??= own(value, "subject");
  if (fields.tsMs === undefined) fields.time = own(value, "time");
  return fields;
}

/** Null is absent. */
function own(value: Fields, name: string): unknown {
  return Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
}

function judgeFields(fields: Fields, context: OracleContext): OracleAnswer {
  const { tenant, id, user, conversation, text } = fields;
  if (tenant === undefined && context.tenant === undefined) return "tenantMissing";
  if (tenant !== undefined && !(typeof tenant === "string" && isTenantId(tenant))) {
    return "tenantIllegal";
  }
  if (context.tenant !== undefined && (tenant ?? context.tenant) !== context.tenant) {
    return "tenantMismatch";
  }
  const idText = isNumeral(id) ? integerText(id) : id;
  if (!isName(idText, EVENT_ID_BYTES_MAX)) return "idInvalid";
  if (!isName(user, USER_BYTES_MAX)) return "userInvalid";
  if (!isName(conversation, CONVERSATION_BYTES_MAX)) return "conversationInvalid";
  const tsMs = timeOf(fields, context.nowMs);
  if (!(tsMs >= 0 && tsMs <= TS_MS_MAX)) return "tsInvalid";
  if (context.eventClock !== true && tsMs > context.nowMs + FUTURE_MS_MAX) return "tsInFuture";
  if (text !== undefined && typeof text !== "string") return "textInvalid";
  if (text !== undefined && byteLength(text) > TEXT_BYTES_MAX) return "textTooLong";
  const terms = termsOf(fields.terms);
  if (typeof terms === "string") return terms;
  const metrics = metricsOf(fields.metrics);
  if (typeof metrics === "string") return metrics;
  const weight = fields.weight === undefined ? 1 : numberOf(fields.weight);
  if (!(Number.isInteger(weight) && weight >= 1 && weight <= WEIGHT_MAX)) return "weightInvalid";
  if ((text ?? "").trim() === "" && terms.length + metrics.length === 0) return "eventEmpty";
  const event = {
    weight,
    tsMs,
    id: wellFormed(idText),
    user: wellFormed(user),
    conversation: wellFormed(conversation),
    text: wellFormed(text),
    terms: terms.map((term) => wellFormed(term)),
    metrics,
  };
  return { tenant: tenant ?? context.tenant!, event };
}

function integerText({ source }: Numeral): string | Numeral {
  return /^-?\d+$/.test(source) ? source : new Numeral(source, 0);
}

function isName(value: unknown, bytesMax: number): value is string | undefined {
  if (value === undefined) return true;
  // oxlint-disable-next-line no-control-regex
  if (typeof value !== "string" || /[\0-\x1f\x7f]/.test(value)) return false;
  return value !== "" && byteLength(value) <= bytesMax;
}

function timeOf(fields: Fields, nowMs: number): number {
  if (fields.tsMs !== undefined) return numberOf(fields.tsMs) + 0;
  if (fields.time === undefined) return nowMs;
  const { time } = fields;
  // Date.parse takes more than RFC 3339, and less: no leap seconds.
  const shape = /^\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(?:\.\d+)?(?:z|[+-]\d\d:\d\d)$/i;
  if (typeof time !== "string" || !shape.test(time)) return NaN;
  const text = time.toUpperCase().replace(/(\.\d{3})\d+/, "$1");
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== text.slice(0, 10))
    return NaN;
  if (text.slice(11, 13) === "24") return NaN;
  const leap = text.slice(17, 19) === "60";
  return Date.parse(leap ? `${text.slice(0, 17)}59${text.slice(19)}` : text) + (leap ? 1000 : 0);
}

function termsOf(value: unknown): string[] | "termsInvalid" | "termInvalid" {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return "termsInvalid";
  const terms: string[] = [];
  for (const term of value as unknown[]) {
    if (terms.length === TERM_COUNT_MAX || typeof term !== "string") return "termsInvalid";
    if (!isName(term, TERM_BYTES_MAX)) return "termInvalid";
    terms.push(term);
  }
  return terms;
}

function metricsOf(value: unknown): { name: string; value: number }[] | "metricsInvalid" {
  if (value === undefined) return [];
  if (!isObject(value)) return "metricsInvalid";
  // Names that differ only in lone surrogates are one name in UTF-8; generators do not make such.
  const entries = Object.entries(value).map(([name, metric]) => ({
    name: wellFormed(name),
    metric,
  }));
  if (entries.length > METRIC_COUNT_MAX) return "metricsInvalid";
  for (const { name, metric } of entries) {
    if (name === "" || byteLength(name) > METRIC_NAME_BYTES_MAX) return "metricsInvalid";
    if (metric !== null && !Number.isFinite(numberOf(metric))) return "metricsInvalid";
  }
  return entries.flatMap(({ name, metric }) =>
    metric === null ? [] : [{ name, value: numberOf(metric) }],
  );
}

function numberOf(value: unknown): number {
  return isNumeral(value) ? value.value : NaN;
}

function wellFormed(text: unknown): string {
  return typeof text === "string" ? text.toWellFormed() : "";
}

function byteLength(text: string): number {
  return Buffer.byteLength(text.toWellFormed());
}
