/**
 * Reads the options: YAML file < environment < flags. All that is wrong is said at once, each with
 * its place, its value and what is right.
 */
import { checkAccessOptions } from "./access-checks.ts";
import { ConfigError, MistakeList } from "./config-error.ts";
import { type FileEntry, readConfigFile } from "./file.ts";
import { checkLlmOptions } from "./llm-checks.ts";
import { keysSet } from "./llm-keys.ts";
import { defaultOf, OPTION_NAMES, optionSpec, type Config, type OptionName } from "./options.ts";
import { parseValue } from "./values.ts";

export const CONFIG_FILE_DEFAULT = "./nexuscore.yaml";
/** Names the file, unless --config does. */
export const CONFIG_VARIABLE = "NEXUSCORE_CONFIG";

export type ConfigSources = {
  /** The file of --config; undefined: that of NEXUSCORE_CONFIG, or the default if it is there. */
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
  /** Undefined: there was none. */
  readonly file: string | undefined;
};

export function loadConfig(sources: ConfigSources): LoadedConfig {
  const values: Record<string, number | string> = {};
  const origins: Record<string, string> = {};
  const mistakes = new MistakeList();
  const set = (name: OptionName, raw: unknown, origin: string): void => {
    mistakes.attempt(() => {
      values[name] = parseValue(name, raw, origin);
      origins[name] = origin;
    });
  };
  const { environment, flags } = sources;
  for (const name of OPTION_NAMES) set(name, defaultOf(name), "default");
  const { path, isNamed } = fileOf(sources);
  let entries: readonly FileEntry[] | undefined;
  mistakes.attempt(() => (entries = readConfigFile(path, isNamed, mistakes)));
  for (const entry of entries ?? []) set(entry.name, entry.raw, entry.origin);
  for (const name of OPTION_NAMES) {
    const variable = optionSpec(name).environment;
    const raw = environment[variable];
    if (raw !== undefined && raw !== "") set(name, raw, variable);
  }
  for (const name of OPTION_NAMES) {
    const raw = flags[name];
    if (raw !== undefined) set(name, raw, optionSpec(name).flag);
  }
  mistakes.throwAny();
  follow(values, origins);
  const loaded = {
    config: values as Config,
    origins: origins as Record<OptionName, string>,
    keysSet: keysSet(environment),
    file: entries === undefined ? undefined : path,
  };
  checkLlmOptions(loaded);
  checkAccessOptions(loaded);
  return loaded;
}

/** Options that are as another unless they are set. */
function follow(values: Record<string, number | string>, origins: Record<string, string>): void {
  for (const name of OPTION_NAMES) {
    const { follows } = optionSpec(name);
    if (follows === undefined || origins[name] !== "default") continue;
    values[name] = values[follows]!;
    if (origins[follows] !== "default") origins[name] = `as ${follows}`;
  }
}

/** One that is named has to be there. */
export function fileOf({ file, environment }: ConfigSources): { path: string; isNamed: boolean } {
  const named = file ?? environment[CONFIG_VARIABLE] ?? "";
  if (named !== "") return { path: named, isNamed: true };
  if (file === "") throw new ConfigError("configFileUnreadable", "--config names no file.");
  return { path: CONFIG_FILE_DEFAULT, isNamed: false };
}
