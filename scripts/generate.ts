// Writes what follows from wit/ (the entry of each guest, the host's descriptors), from
// bpf/aggregate.h, from the lists of stop words (the table of languages), and from the options
// (their JSON Schema, their tables in docs/configuration.md); and the board for Grafana.
// `npm run generate` writes them, `npm run generate -- --check` only says which are out of date.
import { withOptionTables } from "#config/reference.ts";
import { SCHEMA_FILE, schemaText } from "#config/schema.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { guestImportsSource, guestSource } from "./generate-guest.ts";
import { hostSource } from "./generate-host.ts";
import { BOARD_PATH, boardText } from "./grafana-board.ts";
import { ENTRY_NAME, GUESTS, HOST_WORLDS, IMPORTS_NAME } from "./guests.ts";
import { KERNEL_HEADER, kernelLayout } from "./kernel-layout.ts";
import { LEXICON_TABLES, lexiconTables } from "./lexicon.ts";
import { LANGUAGE_TABLE_PATH, languageTable } from "./language-tables.ts";
import { resolveWorld, type ResolvedWorld } from "./wit-world.ts";
import { parseWit } from "./wit.ts";

const ROOT = resolve(import.meta.dirname, "..");
const OPTION_PAGE = "docs/configuration.md";

/** Path from the root -> contents, of every generated file. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { witPath, world, folder, author, arena } of GUESTS) {
    const resolved = loadWorld(witPath, world);
    files.set(`${folder}/${ENTRY_NAME}`, guestSource(resolved, { witPath, author, arena }));
    const { imports, exports } = resolved.abi;
    if (imports.length > 0 || exports.some(({ isAsync }) => isAsync)) {
      files.set(`${folder}/${IMPORTS_NAME}`, guestImportsSource(resolved, witPath));
    }
  }
  for (const { witPath, world, outputPath } of HOST_WORLDS) {
    files.set(outputPath, hostSource(loadWorld(witPath, world), witPath));
  }
  files.set(LANGUAGE_TABLE_PATH, languageTable());
  const header = readFileSync(join(ROOT, KERNEL_HEADER), "utf8");
  for (const { path, text } of kernelLayout(header)) files.set(path, text);
  files.set(LEXICON_TABLES, lexiconTables());
  files.set(SCHEMA_FILE, schemaText());
  files.set(BOARD_PATH, boardText());
  const reference = withOptionTables(readFileSync(join(ROOT, OPTION_PAGE), "utf8"));
  if (reference === undefined) throw new Error(`${OPTION_PAGE} has no place for its tables`);
  files.set(OPTION_PAGE, reference);
  return files;
}

export function loadWorld(witPath: string, world: string): ResolvedWorld {
  return resolveWorld(parseWit(readFileSync(join(ROOT, witPath), "utf8"), witPath), world);
}

/** Writes them, or, with `check`, returns the paths of those that differ. */
export function generate({ check }: { check: boolean }): string[] {
  const stale: string[] = [];
  for (const [path, source] of generatedFiles()) {
    if (read(path) === source) continue;
    stale.push(path);
    if (!check) writeFileSync(join(ROOT, path), source);
  }
  return stale;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch {
    return undefined; // Not generated yet.
  }
}

if (import.meta.main) {
  const check = process.argv.includes("--check");
  const stale = generate({ check });
  for (const path of stale)
    process.stderr.write(`${path} ${check ? "is out of date" : "written"}\n`);
  if (check && stale.length > 0) {
    process.stderr.write("Run `npm run generate` and commit what it writes.\n");
    process.exitCode = 1;
  }
}
