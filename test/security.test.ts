// SECURITY.md names tests as proofs: each of them is there, and every threat has one or says so.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";

const PAGE = readFileSync("SECURITY.md", "utf8");
const THREATS = PAGE.slice(PAGE.indexOf("\n## Threats")).split("\n");
/** Of the table: a row that has no test says that nothing stands against it but words. */
const UNPROVEN = ["somebody reads the disk"];

test("every test that SECURITY.md names exists, and tests something", () => {
  const paths = [...PAGE.matchAll(/`((?:src|test)\/[^`]+\.(?:test|fuzz)\.ts)`/g)].map(
    ([, path]) => path!,
  );
  assert(paths.length > 40, `${paths.length} paths`);
  for (const path of paths) {
    assert(existsSync(path), `${path} is not there`);
    const isTested = /\btest\(/.test(readFileSync(path, "utf8")) || path.endsWith(".fuzz.ts");
    assert(isTested, `${path} has no test`);
  }
});

test("every threat has its four cells, and a test unless it is known to have none", () => {
  const rows = THREATS.filter((line) => line.startsWith("| ")).slice(1);
  assert(rows.length > 25, `${rows.length} threats`);
  const unproven = rows.filter((row) => {
    const cells = row.split(" | ");
    assert.equal(cells.length, 4, row);
    return !cells[3]!.includes("`");
  });
  const names = unproven.map((row) => row.slice(2, row.indexOf(" | ")));
  assert.deepEqual(names, UNPROVEN);
});
