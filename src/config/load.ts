/**
 * Reads the options: YAML file < environment < flags. Errors name place, value and what is right.
 */
import { readFileSync } from "node:fs";
import { isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import { ConfigError } from "./config-error.ts";
import { checkLlmOptions } from "./llm-checks.ts";
import { KEY_VARIABLE, keysSet } from "./llm-keys.ts";
import {
  defaultOf,
  isOptionName,
  OPTION_NAMES,
  optionSpec,
  type Config,
  type OptionName,
} from "./options.ts";
import { parseValue } from "./values.ts";

export const CONFIG_FILE_DEFAULT = "./nexuscore.yaml";

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
  /** Variables that hold a key. What they hold is in no message and in no print. */
  readonly keysSet: readonly string[];
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
  for (const name of OPTION_NAMES) {
    const { follows } = optionSpec(name);
    if (follows === undefined || origins[name] !== "default") continue;
    values[name] = values[follows]!;
    if (origins[follows] !== "default") origins[name] = `as ${follows}`;
  }
  const loaded = {
    config: values as Config,
    origins: origins as Record<OptionName, string>,
    keysSet: keysSet(sources.environment),
  };
  checkLlmOptions(loaded);
  return loaded;
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
    const node = isNode(value) ? value : undefined;
    const raw: unknown = isScalar(node) ? node.value : node?.toJS(document);
    return { name, raw, origin: at(node?.range?.[0] ?? keyNode?.range?.[0] ?? 0) };
  });
}

function unknownOption(name: string, place: string): ConfigError {
  if (/^llm\w*Key$/.test(name)) {
    const way = `set ${KEY_VARIABLE}, or ${name}File`;
    return new ConfigError("configUnknown", `${place}: a key is not kept in this file; ${way}.`);
  }
  const known = OPTION_NAMES.join(", ");
  return new ConfigError("configUnknown", `${place}: ${name} is no option; known: ${known}.`);
}
