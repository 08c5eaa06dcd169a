/** The table of options in docs/configuration.md, from the same spec as the options themselves. */
import { optionGroups } from "./groups.ts";
import { allowedWords, defaultOf, optionSpec, type OptionName, writtenValue } from "./options.ts";
import { wholeUnits } from "./print.ts";

const BEGIN = "<!-- options: written by npm run generate -->";
const END = "<!-- end of options -->";

/** The page with its table anew; undefined: it has no place for one. */
export function withOptionTables(page: string): string | undefined {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return page.slice(0, begin + BEGIN.length) + `\n${optionTables()}` + page.slice(end);
}

function optionTables(): string {
  const groups = optionGroups().map(({ title, sentence, names }) => {
    const rows = names.map(rowOf).join("");
    const head = "| Option | Default | May be | While running |\n|---|---|---|---|\n";
    return `\n### ${title}\n\n${sentence}\n\n${head}${rows}`;
  });
  return `${groups.join("")}\n`;
}

function rowOf(name: OptionName): string {
  const { sentence, environment, flag, unit, defaultWords, reload } = optionSpec(name);
  const may = `${allowedWords(name)}${unit === undefined ? "" : ` (${unit})`}`;
  const cells = [
    `\`${name}\`<br>\`${environment}\`<br>\`${flag}\``,
    defaultWords ?? shown(name),
    `${sentence} ${capital(may)}.`,
    reload === true ? "SIGHUP" : "restart",
  ];
  return `| ${cells.map(cell).join(" | ")} |\n`;
}

function shown(name: OptionName): string {
  const value = defaultOf(name);
  if (value === "") return "none";
  if (optionSpec(name).kind === "bytes") return `\`${wholeUnits(Number(value))}\``;
  return `\`${writtenValue(value)}\``;
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
