/** Reads the value of one option, of whatever source it is. */
import { ConfigError, type ConfigErrorCode } from "./config-error.ts";
import { allowedWords, type OptionName, optionSpec, UNLIMITED } from "./options.ts";

/** What it is; or what is wrong with it. */
type Reading = { readonly value: number | string } | Mistake;
type Mistake = {
  readonly code: ConfigErrorCode;
  /** Instead of showing the value: it is long, or it may hold a secret. */
  readonly words?: string;
};

const NOT_OF_TYPE: Mistake = { code: "configType" };
const OUT_OF_RANGE: Mistake = { code: "configRange" };

const OBJECT_CHARACTERS_MAX = 4_096;
/** Of a request to an upstream: these are ours to say. */
const FIELDS_OURS = [
  "messages",
  "model",
  "n",
  "response_format",
  "stream",
  "stream_options",
  "tool_choice",
  "tools",
];

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
};

export function parseValue(name: OptionName, raw: unknown, origin: string): number | string {
  const reading = readingOf(name, raw);
  if ("value" in reading) return reading.value;
  const shown = raw === undefined || raw === null ? "not set" : shownValue(raw);
  const words = reading.words ?? `is ${shown}`;
  throw new ConfigError(reading.code, `${origin}: ${name} ${words}; use ${allowedWords(name)}.`);
}

function shownValue(raw: unknown): string {
  return writtenJson(raw) ?? "in itself";
}

/** Undefined: by an alias of YAML it is in itself, so it has no end, and no form in JSON. */
function writtenJson(raw: unknown): string | undefined {
  try {
    return JSON.stringify(raw);
  } catch {
    return undefined;
  }
}

function readingOf(name: OptionName, raw: unknown): Reading {
  const spec = optionSpec(name);
  const { choices = [], min = -Infinity, max = Infinity } = spec;
  switch (spec.kind) {
    case "text":
      return parseText(raw, spec.mayBeEmpty === true);
    case "choice":
      return typeof raw === "string" && choices.includes(raw) ? { value: raw } : OUT_OF_RANGE;
    case "list":
      return parseList(raw, choices);
    case "url":
      return parseUrl(raw);
    case "object":
      return parseObject(raw);
    case "bound":
      return raw === UNLIMITED || raw === Infinity ? { value: Infinity } : parseDecimal(raw);
    case "decimal":
      return parseDecimal(raw);
    case "bytes":
      return within(parseBytes(raw), min, max);
    case "integer":
      return within(parseInteger(raw), min, max);
  }
}

function within(value: number | undefined, min: number, max: number): Reading {
  if (value === undefined) return NOT_OF_TYPE;
  return value < min || value > max ? OUT_OF_RANGE : { value };
}

function parseText(raw: unknown, mayBeEmpty: boolean): Reading {
  if (typeof raw !== "string") return NOT_OF_TYPE;
  if (raw === "") return mayBeEmpty ? { value: raw } : NOT_OF_TYPE;
  return mayBeEmpty && /\p{Cc}/u.test(raw) ? NOT_OF_TYPE : { value: raw };
}

function parseList(raw: unknown, choices: readonly string[]): Reading {
  const words: unknown[] = typeof raw === "string" ? raw.split(",") : Array.isArray(raw) ? raw : [];
  const names = words.map((word) => (typeof word === "string" ? word.trim() : ""));
  if (names.length === 0 || names.some((name) => !choices.includes(name))) return OUT_OF_RANGE;
  return { value: choices.filter((choice) => names.includes(choice)).join(",") };
}

function parseUrl(raw: unknown): Reading {
  if (raw === "") return { value: "" };
  const url = typeof raw === "string" ? URL.parse(raw.trim()) : null;
  if (url === null) return NOT_OF_TYPE;
  const wrong = (words: string): Mistake => ({ code: "configRange", words });
  // What it holds is not repeated: it would be in a log.
  if (url.username !== "" || url.password !== "") {
    return wrong("has a user name or a password in it; a key goes into NEXUSCORE_LLM_API_KEY");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return wrong("is neither http:// nor https://");
  }
  if (url.search !== "" || url.hash !== "") {
    return wrong("has a ? or a # in it, of which requests would know nothing");
  }
  if (/\/(chat\/completions|completions|models)\/*$/.test(url.pathname)) {
    return wrong("goes too far: it ends before /chat/completions, which is added");
  }
  return { value: url.href.replace(/\/+$/, "") };
}

/** Kept as JSON, so that it can be printed and read again. */
function parseObject(raw: unknown): Reading {
  if (raw === "") return { value: "" };
  const value = typeof raw === "string" ? jsonOf(raw) : raw;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { code: "configType", words: "is no JSON object" };
  }
  const ours = Object.keys(value).filter((field) => FIELDS_OURS.includes(field));
  if (ours.length > 0) {
    return { code: "configRange", words: `has ${ours.join(", ")}, which requests have already` };
  }
  const text = writtenJson(value);
  if (text === undefined) return { code: "configType", words: "is in itself" };
  if (text.length > OBJECT_CHARACTERS_MAX) {
    return { code: "configRange", words: `has more than ${OBJECT_CHARACTERS_MAX} characters` };
  }
  return { value: text };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseDecimal(raw: unknown): Reading {
  const value =
    typeof raw === "string" && /^\d[\d_]*(\.\d+)?$/.test(raw)
      ? Number(raw.replaceAll("_", ""))
      : raw;
  if (typeof value !== "number" || !Number.isFinite(value)) return NOT_OF_TYPE;
  return value < 0 ? OUT_OF_RANGE : { value };
}

function parseInteger(raw: unknown): number | undefined {
  if (typeof raw === "number") return Number.isSafeInteger(raw) ? raw : undefined;
  if (typeof raw !== "string" || !/^-?\d[\d_]*$/.test(raw)) return undefined;
  return Number(raw.replaceAll("_", ""));
}

function parseBytes(raw: unknown): number | undefined {
  if (typeof raw === "number") return parseInteger(raw);
  const match = typeof raw === "string" ? /^(\d+) ?([KMG]iB|B)?$/i.exec(raw) : null;
  const unit = match === null ? undefined : BYTE_UNITS[(match[2] ?? "").toUpperCase()];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
