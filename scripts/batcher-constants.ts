/**
 * Writes the constants of the batcher and the merger from the TypeScript that owns them: the
 * numbers of the errors and the limits. `--check` writes nothing and fails when a file is out of
 * date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { EVENT_ERRORS } from "#model/event-error.ts";
import {
  BATCH_BYTES_MAX,
  CONVERSATION_BYTES_MAX,
  ERRORS_LISTED_MAX,
  EVENT_ID_BYTES_MAX,
  FUTURE_MS_MAX,
  LINE_BYTES_MAX,
  MERGE_METRIC_BINS_MAX,
  MERGE_METRIC_NAMES_MAX,
  MERGE_TERMS_MAX,
  MERGE_USERS_LISTED_MAX,
  METRIC_COUNT_MAX,
  METRIC_NAME_BYTES_MAX,
  SKETCH_BYTES_MAX,
  SKETCH_USERS_LISTED_MAX,
  TENANT_ID_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
  WEIGHT_MAX,
} from "#model/limits.ts";

const LIMITS = {
  TENANT_ID_BYTES_MAX,
  LINE_BYTES_MAX,
  ERRORS_LISTED_MAX,
  EVENT_ID_BYTES_MAX,
  USER_BYTES_MAX,
  CONVERSATION_BYTES_MAX,
  TEXT_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  METRIC_NAME_BYTES_MAX,
  METRIC_COUNT_MAX,
  WEIGHT_MAX,
  BATCH_BYTES_MAX,
};
const MERGER_LIMITS = {
  SKETCH_BYTES_MAX,
  SKETCH_USERS_LISTED_MAX,
  METRIC_NAME_BYTES_MAX,
  MERGE_USERS_LISTED_MAX,
  MERGE_METRIC_NAMES_MAX,
  MERGE_METRIC_BINS_MAX,
  MERGE_TERMS_MAX,
};
const LIMITS_MS = { TS_MS_MAX, FUTURE_MS_MAX };

/** Path from the root of the repository and text of every generated file. */
export function batcherConstants(): { path: string; text: string }[] {
  const errors = EVENT_ERRORS.map(
    ({ code }, number) => `export const ${constantName(code)}: i32 = ${number};`,
  );
  const numbers = constants(LIMITS, "u32");
  const times = constants(LIMITS_MS, "f64");
  const mergerNumbers = constants(MERGER_LIMITS, "u32");
  return [
    { path: "batcher/assembly/errors.gen.ts", text: file("event-error.ts", errors) },
    { path: "batcher/assembly/limits.gen.ts", text: file("limits.ts", [...numbers, ...times]) },
    { path: "merger/assembly/limits.gen.ts", text: file("limits.ts", mergerNumbers) },
  ];
}

function file(source: string, lines: string[]): string {
  const script = "scripts/batcher-constants.ts";
  const origin = `// Generated from src/model/${source} by ${script}; do not edit.`;
  return `${[origin, ...lines].join("\n")}\n`;
}

function constants(values: Record<string, number>, type: string): string[] {
  return Object.entries(values).map(([name, value]) => `export const ${name}: ${type} = ${value};`);
}

function constantName(code: string): string {
  return `ERROR_${code.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function run(check: boolean): void {
  for (const { path, text } of batcherConstants()) {
    const url = new URL(path, new URL("../", import.meta.url));
    if (!check) writeFileSync(url, text);
    else if (readFileSync(url, "utf8") !== text) {
      process.stderr.write(`${path} is out of date; run scripts/batcher-constants.ts\n`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) run(process.argv.includes("--check"));
