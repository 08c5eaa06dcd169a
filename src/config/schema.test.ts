import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Compile } from "typebox/schema";
import { parseFile } from "./file.ts";
import { optionGroups } from "./groups.ts";
import { loadConfig } from "./load.ts";
import { defaultOf, OPTION_NAMES, optionSpec } from "./options.ts";
import { printDefaults } from "./print.ts";
import { withOptionTables } from "./reference.ts";
import { configSchema, SCHEMA_FILE, schemaText } from "./schema.ts";
import { parseValue } from "./values.ts";
import { parse } from "yaml";

const ROOT = resolve(import.meta.dirname, "../..");
const HINT = "npm run generate writes it";

const schema = Compile(configSchema());

test("schema: the file of the repository is of today's options", () => {
  assert.equal(readFileSync(join(ROOT, SCHEMA_FILE), "utf8"), schemaText(), HINT);
});

test("reference: so is the page", () => {
  const page = readFileSync(join(ROOT, "docs/configuration.md"), "utf8");
  assert.equal(withOptionTables(page), page, HINT);
  for (const name of OPTION_NAMES) assert(page.includes(`\`${name}\`<br>`), name);
});

test("schema: the printed defaults are of it, and name it in their first line", () => {
  const text = printDefaults();
  assert.match(text, /^# yaml-language-server: \$schema=\.\/config\.schema\.json\n/);
  assert.equal(schema.Check(parse(text)), true);
  const entries = parseFile("printed", text);
  for (const { name, raw } of entries) assert.equal(parseValue(name, raw, ""), defaultOf(name));
  const { config } = loadConfig({ file: undefined, environment: {}, flags: {} });
  for (const name of OPTION_NAMES) assert.equal(config[name], defaultOf(name));
});

test("groups: every option is in one, and none is left over", () => {
  const groups = optionGroups();
  const names = groups.flatMap((group) => group.names);
  assert.deepEqual(names.toSorted(), OPTION_NAMES.toSorted());
  assert.deepEqual(groups.find(({ title }) => title === "Other")?.names, undefined);
});

const ANY_VALUES: readonly unknown[] = [
  0,
  1,
  -1,
  1.5,
  70_000,
  2 ** 31,
  2 ** 53,
  1e300,
  true,
  false,
  null,
  "",
  "1",
  "abc",
  "off",
  "on",
  "auto",
  "unlimited",
  "info",
  "disk",
  "4GiB",
  "4 gib",
  "12 parsecs",
  "http://127.0.0.1:8080/v1",
  "ftp://x",
  "http://u:p@x/v1",
  "moderation",
  "moderation,tldr",
  "moderation, rolling",
  "x,y",
  ["tldr"],
  ["x"],
  [],
  {},
  { seed: 1 },
  [1],
];

test("schema: what it takes of a value, the server takes too", () => {
  let taken = 0;
  for (const name of OPTION_NAMES) {
    const { kind, min = 0, max = 1 } = optionSpec(name);
    for (const value of [...ANY_VALUES, min, max, min - 1, max + 1]) {
      if (!schema.Check({ [name]: value })) continue;
      // A size in words may be out of bounds, which no pattern says; an address has more rules.
      if (kind === "bytes" && typeof value === "string") continue;
      parseValue(name, value, `${name}: ${JSON.stringify(value)}`);
      taken++;
    }
    assert.equal(schema.Check({ [name]: true }), false, name);
  }
  assert(taken > OPTION_NAMES.length);
  assert.equal(schema.Check({ httpPrt: 1 }), false);
});
