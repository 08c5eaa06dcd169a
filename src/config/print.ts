/**
 * The options as a commented YAML file: all defaults, or what is in force and where it came from.
 */
import { optionGroups } from "./groups.ts";
import type { LoadedConfig } from "./load.ts";
import {
  allowedWords,
  defaultOf,
  OPTION_NAMES,
  optionSpec,
  type OptionName,
  writtenValue,
} from "./options.ts";
import { SCHEMA_FILE } from "./schema.ts";
import { stringify } from "yaml";

const HEAD = `# yaml-language-server: $schema=./${SCHEMA_FILE}
# NexusCore options. Flags win over the environment, it wins over this file.
# An editor explains them by the line above:
#   nexuscore config schema > ${SCHEMA_FILE}
# Whether the file is right:
#   nexuscore config check FILE
# Options that say "SIGHUP" are taken over by a running server; others need a
# restart.
`;
const COLUMNS = 80;

export function printDefaults(): string {
  const groups = optionGroups().map(({ title, sentence, names }) => {
    const rule = "-".repeat(COLUMNS - title.length - 6);
    return `\n# -- ${title} ${rule}\n${comment(sentence)}\n${names.map(block).join("\n")}`;
  });
  return HEAD + groups.join("");
}

function block(name: OptionName): string {
  const { sentence, environment, flag, unit, defaultWords, reload } = optionSpec(name);
  const bounds = `${allowedWords(name)}${unit === undefined ? "" : ` (${unit})`}`;
  // A default that depends on the machine stays a comment: written down, it would no longer.
  const mark = defaultWords === undefined ? "" : "# ";
  const words = defaultWords === undefined ? "" : ` # default: ${defaultWords}`;
  const hangup = reload === true ? "; SIGHUP" : "";
  return (
    `${comment(sentence)}${comment(`Use ${bounds}.`)}` +
    `${comment(`${environment}, ${flag}${hangup}`)}` +
    `${mark}${line(name, defaultOf(name))}${words}\n`
  );
}

/** Lines of at most 80 columns, as terminals have them. */
function comment(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join("\n")}\n`;
}

export function printConfig({ config, origins, keysSet }: LoadedConfig): string {
  const keys = keysSet.map((name) => `# ${name} is set, and not shown.\n`);
  const lines = OPTION_NAMES.map((name) => `${line(name, config[name])} # ${origins[name]}\n`);
  return [...lines, ...keys].join("");
}

function line(name: OptionName, value: number | string): string {
  const shown = optionSpec(name).kind === "bytes" ? wholeUnits(Number(value)) : writtenValue(value);
  return stringify({ [name]: shown }, { lineWidth: 0 }).trimEnd();
}

/** 4294967296 as 4GiB; a number that is no whole unit stays as it is. */
export function wholeUnits(bytes: number): number | string {
  for (const [unit, size] of [
    ["GiB", 1024 ** 3],
    ["MiB", 1024 ** 2],
    ["KiB", 1024],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return bytes;
}
