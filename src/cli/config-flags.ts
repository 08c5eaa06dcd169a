/** Options of commands that configure a server, or say which one is asked. */
import { loadConfig, type LoadedConfig } from "#config/load.ts";
import {
  allowedWords,
  defaultOf,
  OPTION_NAMES,
  optionSpec,
  type OptionName,
  UNLIMITED,
} from "#config/options.ts";
import { type Command, Option } from "commander";
import { parseUrl } from "./arguments.ts";
import { LLM_HELP, VALUE_WORDS } from "./help-texts.ts";
import { formatBytes } from "./terminal.ts";

export type ConfigFlags = { config?: string } & Partial<Record<OptionName, string>>;

/** Adds the options that configure a server, under a heading of their own. */
export function withConfig(command: Command, names: readonly OptionName[]): Command {
  command
    .optionsGroup("Server options:")
    .option("--config <file>", "YAML file with options (default: nexuscore.yaml, if there)");
  for (const name of names) {
    const spec = optionSpec(name);
    const shown = spec.defaultWords ?? shownValue(spec.kind, defaultOf(name));
    const value = VALUE_WORDS[spec.kind];
    const sentence = spec.sentence.replace(/\.$/, "");
    const isChoice = spec.kind === "choice" || spec.kind === "list";
    const choices = isChoice ? `: ${allowedWords(name)}` : "";
    const words = `${sentence}${choices} (default: ${shown})`;
    const option = new Option(`${spec.flag} <${value}>`, words);
    // Those of one job are as many again thrice, and one line says that they are there.
    command.addOption(spec.follows === undefined ? option : option.hideHelp());
  }
  if (names.includes("llmBaseUrl")) command.addHelpText("after", LLM_HELP);
  return command;
}

function shownValue(kind: string, value: number | string): string {
  if (value === "") return "none";
  if (value === Infinity) return UNLIMITED;
  return kind === "bytes" ? formatBytes(Number(value)).replace(" ", "") : String(value);
}

export function configOf(options: ConfigFlags): LoadedConfig {
  const flags: Partial<Record<OptionName, string>> = {};
  for (const name of OPTION_NAMES) if (options[name] !== undefined) flags[name] = options[name];
  return loadConfig({ file: options.config, environment: process.env, flags });
}

export function example(...lines: readonly string[]): string {
  const heading = lines.length === 1 ? "Example" : "Examples";
  return [`\n${heading}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

/** Of the server that a command asks, if it is told no other: NEXUSCORE_URL's, else ours. */
export async function addressOf({ config }: LoadedConfig): Promise<string> {
  const named = process.env["NEXUSCORE_URL"] ?? "";
  if (named !== "") return parseUrl(named);
  const { urlHost } = await import("./url.ts");
  return `http://${urlHost(config.httpHost)}:${config.httpPort}`;
}
