/**
 * Reads the options: YAML file < environment < flags. Errors name place, value and what is right.
 */
import {
  allowedWords,
  defaultOf,
  isOptionName,
  OPTION_NAMES,
  optionSpec,
  type Config,
  type OptionName,
} from "./options.ts";
import { readFileSync } from "node:fs";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";

export const CONFIG_FILE_DEFAULT = "./nexuscore.yaml";

export type ConfigErrorCode =
  | "configFileUnreadable"
  | "configSyntax"
  | "configUnknown"
  | "configType"
  | "configRange";

export class ConfigError extends Error {
  readonly code: ConfigErrorCode;

  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.name = "ConfigError";
    this.code = code;
  }
}

export type ConfigSources = {
  /** The file of --config; undefined: CONFIG_FILE_DEFAULT if it is there. */
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By option name, as typed. */
  readonly flags: Readonly<Partial<Record<OptionName, string>>>;
};

/** Where each value came from: `default`, `file:line:column`, a variable or a flag. */
export type LoadedConfig = {
  readonly config: Config;
  readonly origins: Readonly<Record<OptionName, string>>;
};

export function loadConfig(sources: ConfigSources): LoadedConfig {
  const values: Record<string, number | string> = {};
  const origins: Record<string, string> = {};
  const set = (name: OptionName, raw: unknown, origin: string): void => {
    values[name] = parseValue(name, raw, origin);
    origins[name] = origin;
  };
  for (const name of OPTION_NAMES) set(name, defaultOf(name), "default");
  for (const entry of readFile(sources.file)) set(entry.name, entry.raw, entry.origin);
  for (const name of OPTION_NAMES) {
    const { environment } = optionSpec(name);
    const raw = sources.environment[environment];
    if (raw !== undefined && raw !== "") set(name, raw, environment);
  }
  for (const name of OPTION_NAMES) {
    const raw = sources.flags[name];
    if (raw !== undefined) set(name, raw, optionSpec(name).flag);
  }
  return { config: values as Config, origins: origins as Record<OptionName, string> };
}

type FileEntry = { readonly name: OptionName; readonly raw: unknown; readonly origin: string };

function readFile(file: string | undefined): FileEntry[] {
  const path = file ?? CONFIG_FILE_DEFAULT;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && file === undefined) return [];
    throw new ConfigError("configFileUnreadable", `${path}: cannot be read: ${message}`);
  }
  return parseFile(path, text);
}

/** Entries of a YAML file; `path` only names it in errors. */
export function parseFile(path: string, text: string): FileEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const error = document.errors[0];
  if (error !== undefined) {
    throw new ConfigError("configSyntax", `${at(error.pos[0])}: ${error.message}`);
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isMap(root)) {
    const place = at(root.range?.[0] ?? 0);
    throw new ConfigError("configType", `${place}: use lines such as "httpPort: 7070".`);
  }
  return root.items.map(({ key, value }) => {
    const keyNode = isScalar(key) ? key : undefined;
    const name = String(keyNode?.value);
    const place = at(keyNode?.range?.[0] ?? 0);
    if (!isOptionName(name)) throw unknownOption(name, place);
    const raw = isScalar(value) ? value.value : undefined;
    const origin = isScalar(value) ? at(value.range?.[0] ?? 0) : place;
    return { name, raw, origin };
  });
}

function unknownOption(name: string, place: string): ConfigError {
  const known = OPTION_NAMES.join(", ");
  return new ConfigError("configUnknown", `${place}: ${name} is no option; known: ${known}.`);
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
};

function parseValue(name: OptionName, raw: unknown, origin: string): number | string {
  const spec = optionSpec(name);
  const shown = raw === undefined || raw === null ? "not set" : JSON.stringify(raw);
  const fail = (code: ConfigErrorCode): never => {
    const message = `${origin}: ${name} is ${shown}; use ${allowedWords(name)}.`;
    throw new ConfigError(code, message);
  };
  if (spec.kind === "text") {
    return typeof raw === "string" && raw !== "" ? raw : fail("configType");
  }
  if (spec.kind === "choice") {
    return typeof raw === "string" && spec.choices?.includes(raw) ? raw : fail("configRange");
  }
  const value = spec.kind === "bytes" ? parseBytes(raw) : parseInteger(raw);
  if (value === undefined) return fail("configType");
  if (value < (spec.min ?? -Infinity)) return fail("configRange");
  if (value > (spec.max ?? Infinity)) return fail("configRange");
  return value;
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
