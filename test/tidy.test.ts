// Checks properties of the code itself: layers, doors, purity, line length, leftovers, the map.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import test from "node:test";

const LINE_COLUMNS_MAX = 100;
/** Bottom row first. A folder imports rows below its own; folders on one row are strangers. */
const LAYERS = [
  ["std"],
  ["model"],
  ["observe", "config"],
  ["durable", "isolate", "batcher", "merger", "classifier", "llm", "stand-in", "kernel", "quota"],
  ["shard"],
  ["engine", "review", "keys"],
  ["ingest", "egress", "api"],
  ["cli"],
  ["main.ts"],
];
/** The only file of a folder that others may import. Only messages cross to the shard threads. */
const DOORS = new Map([["shard", "protocol.ts"]]);
/** No clock, no input, no output: everything here can be tested by calling it. */
const PURE = new Set(["model"]);

const sources = globSync(["src/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "test/**/*.ts"], {
  exclude: ["**/*.gen.ts", "**/node_modules/**"],
}).sort();

test("every file keeps the rules of the house", () => {
  const errors = sources.flatMap((path) => tidyFile(path, readFileSync(path, "utf8")));
  assert.deepEqual(errors, []);
  assert(sources.length > 50, "the globs find the sources");
});

test("package.json lists the layers bottom-up, and ARCHITECTURE.md names each", () => {
  const { imports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    imports: Record<string, string>;
  };
  const listed = Object.keys(imports).map((name) => name.slice(1, -2));
  const layers = LAYERS.flat().filter((layer) => layer !== "main.ts");
  assert.deepEqual(listed, [...layers, "testing"]);
  const map = readFileSync("ARCHITECTURE.md", "utf8");
  for (const layer of [...layers, "testing"]) assert.match(map, new RegExp(`\`src/${layer}/?\``));
});

test("every dependency has its line in docs/dependencies.md, at an exact version", () => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const page = readFileSync("docs/dependencies.md", "utf8");
  for (const kind of ["dependencies", "optionalDependencies", "devDependencies"]) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is pinned exactly`);
      assert(page.includes(`\`${name}\``), `${name} is justified in docs/dependencies.md`);
    }
  }
  assert(!readFileSync("package-lock.json", "utf8").includes('"hasInstallScript": true'));
});

test("the lock holds every platform's package, so that npm ci works on each and off each", () => {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !isLocked(packages, path, name)),
  );
  // An install from a registry that lacks some drops them from the lock without a word.
  assert.deepEqual(missing, []);
});

const seeded = [
  ["isolate/isolate.ts", `import { step } from "#shard/shard.ts";`, "isolate may not import shard"],
  [
    "egress/sse.ts",
    `const http = await import("#ingest/http.ts");`,
    "egress may not import ingest",
  ],
  ["engine/engine.ts", `import { Shard } from "#shard/shard.ts";`, "shard's door is protocol.ts"],
  ["engine/engine.ts", `const url = import.meta.resolve("#shard/worker.ts");`],
  ["model/event.ts", `import fs from "node:fs";`, "model is pure, it may not import node:fs"],
  ["api/api.ts", `import { fake } from "#testing/fake.ts";`, "only tests may import testing"],
  ["std/bytes.ts", `import { x } from "../model/x.ts";`, "write #layer/file.ts, not ../model/x.ts"],
  ["std/bytes.ts", `// ${"FIX" + "ME"} later`, "leftover, remove before merge"],
  ["std/bytes.ts", `// ${"x".repeat(100)}`, "line exceeds 100 columns"],
  ["shard/x.test.ts", `import { fake } from "#testing/fake.ts";`],
  ["engine/engine.ts", `import { type Batch } from "#model/batch.ts";`],
] as const;

for (const [path, line, ...want] of seeded) {
  test(`tidy sees what it should in ${path}: ${line.slice(0, 60)}`, () => {
    const got = tidyFile(`src/${path}`, line);
    const errors = want.map((message) => `src/${path}:1: ${message}`);
    assert.deepEqual(got, errors);
  });
}

/** Whether a package at `path` finds `name` as Node would: beside it, or further up. */
function isLocked(packages: object, path: string, name: string): boolean {
  for (let at = path; ; at = at.slice(0, Math.max(at.lastIndexOf("/node_modules/"), 0))) {
    if (Object.hasOwn(packages, `${at === "" ? "" : `${at}/`}node_modules/${name}`)) return true;
    if (at === "") return false;
  }
}

function tidyFile(path: string, text: string): string[] {
  const errors: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const message = tidyImport(path, line) ?? tidyLine(line);
    if (message !== undefined) errors.push(`${path}:${index + 1}: ${message}`);
  }
  return errors;
}

function tidyLine(line: string): string | undefined {
  // Written in two halves so that the test does not catch itself.
  if (line.includes("FIX" + "ME") || line.includes("TO" + "DO")) {
    return "leftover, remove before merge";
  }
  if (line.length > LINE_COLUMNS_MAX && !line.includes("https://")) {
    return `line exceeds ${LINE_COLUMNS_MAX} columns`;
  }
  return undefined;
}

function tidyImport(path: string, line: string): string | undefined {
  const source = /\b(?:from |import\()"([^"]+)"/.exec(line)?.[1];
  if (source === undefined || !path.startsWith("src/")) return undefined;
  if (/\.(test|fuzz|bench)\.ts$/.test(path) || path.startsWith("src/testing/")) return undefined;
  const layer = path.split("/")[1]!;
  if (source.startsWith("../")) return `write #layer/file.ts, not ${source}`;
  if (source.startsWith("node:")) {
    return PURE.has(layer) ? `${layer} is pure, it may not import ${source}` : undefined;
  }
  const [, target, file] = /^#([a-z]+)\/(.+)$/.exec(source) ?? [];
  if (target === undefined || target === layer) return undefined;
  if (target === "testing") return "only tests may import testing";
  if (rowOf(layer) <= rowOf(target)) return `${layer} may not import ${target}`;
  const door = DOORS.get(target);
  return door === undefined || door === file ? undefined : `${target}'s door is ${door}`;
}

function rowOf(layer: string): number {
  const row = LAYERS.findIndex((layers) => layers.includes(layer));
  assert.notEqual(row, -1, `${layer} has no row in LAYERS`);
  return row;
}
