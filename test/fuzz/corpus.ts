/** Inputs that were wrong once, in test/fixtures/fuzz/TARGET: each is tried in every run. */
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";

const CORPUS = resolve(import.meta.dirname, "../fixtures/fuzz");
const FOUND = resolve(import.meta.dirname, "../../build/fuzz");

export function corpusOf(target: string): { readonly name: string; readonly input: Buffer }[] {
  const paths = globSync(join(CORPUS, target, "*")).sort();
  return paths.map((path) => ({ name: basename(path), input: readFileSync(path) }));
}

/** Where a finding lies until it is fixed and moved to the corpus. */
export function keepFinding(target: string, input: Uint8Array): string {
  mkdirSync(FOUND, { recursive: true });
  const digest = createHash("sha256").update(input).digest("hex").slice(0, 12);
  const path = join(FOUND, `${target}-${digest}`);
  writeFileSync(path, input);
  return path;
}
