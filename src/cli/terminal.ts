/**
 * What commands write, and where: results to stdout, talk to stderr, colour only where it is
 * wanted.
 */
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Ends a command with one line for people. `exitCode` 1: it failed; 2: it was called wrongly. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

export const COLUMNS = 80;

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A line that the next one replaces; nothing where stderr is no terminal. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K${text.slice(0, COLUMNS - 1)}`);
}

/** Plain where stdout is no terminal or NO_COLOR is set. */
export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

/**
 * Whoever reads us may stop reading (`| head`): that is no error, and a full disk is none of ours.
 * What only prints has nothing left to do then; what serves goes on.
 */
export function stayQuietOnClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (serving || stream === process.stderr) return;
      if (error.code === "EPIPE") process.exit(0);
      say(`nexuscore: the output cannot be written: ${error.message}`);
      process.exit(1);
    });
  }
}

let serving = false;

export function goOnWithoutReaders(): void {
  serving = true;
}

/** Breaks `text` at spaces, and within what is too long, into lines of at most `COLUMNS`. */
export function wrap(text: string, indent: string): string {
  const room = COLUMNS - indent.length;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).flatMap((part) => pieces(part, room))) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > room) {
      lines.push(indent + line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(indent + line);
  return lines.join("\n");
}

/** `word` in pieces of at most `room` columns: addresses, and languages that write no spaces. */
function pieces(word: string, room: number): string[] {
  if (word === "") return [];
  if (widthOf(word) <= room) return [word];
  const head = cut(word, room, "");
  return [head, ...pieces(word.slice(head.length), room)];
}

const SEGMENTER = new Intl.Segmenter();
const WIDE =
  /^[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\u3000-\u303F\uFF00-\uFF60]/u;

/** Columns that a terminal gives `text`: two for an ideograph or an emoji. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** `text` in at most `columns`, with `mark` at its end where some of it is missing. */
export function cut(text: string, columns: number, mark = "…"): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = mark.length;
  for (const { segment } of SEGMENTER.segment(text)) {
    width += widthOf(segment);
    if (width > columns) break;
    kept += segment;
  }
  return kept + mark;
}

export function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

/** Text of others may hold escape sequences that a terminal obeys: they become visible instead. */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, "\u00B7");
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const shown = unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1));
  return `${shown} ${units[unit]}`;
}
