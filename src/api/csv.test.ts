import { SEED } from "#testing/seed.ts";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import assert from "node:assert/strict";
import test from "node:test";
import { csv, wantsCsv } from "./csv.ts";

test("csv: any text survives the way through a parser, but for the mark before a formula", () => {
  const text = fc.string({ unit: "binary", maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 8 }), (rows) => {
      const written = csv(["a", "b"], rows);
      const read: string[][] = parse(written, { record_delimiter: "\r\n", columns: false });
      assert.deepEqual(read[0], ["a", "b"]);
      const unmarked = read.slice(1).map((cells) => cells.map((cell) => cell.replace(/^'/, "")));
      assert.deepEqual(
        unmarked,
        rows.map((cells) => cells.map((cell) => cell.replace(/^'/, ""))),
      );
      for (const cell of read.slice(1).flat()) assert.doesNotMatch(cell, /^[=+\-@\t\r]/);
    }),
    { seed: SEED },
  );
});

test("csv: numbers are numbers, also negative ones; what is none is empty", () => {
  const rows = [[-5, 0.1, Infinity, NaN, null, undefined, true, "=1+1", 'say "hi", all']];
  const line = csv(["x"], rows).split("\r\n")[1];
  assert.equal(line, `-5,0.1,,,,,true,'=1+1,"say ""hi"", all"`);
});

for (const [format, accept, wanted] of [
  [undefined, undefined, false],
  [undefined, "*/*", false],
  [undefined, "text/csv", true],
  [undefined, "Text/CSV;q=0.9, */*", true],
  [undefined, "application/json, text/csv", false],
  [undefined, "text/csv, application/json", true],
  [undefined, "text/csv;q=0.1, application/json", false],
  [undefined, "application/json;q=0.5, text/csv;q=0.8", true],
  [undefined, "text/csv;q=0", false],
  [undefined, "text/csv; charset=utf-8; q=1, application/json", true],
  [undefined, "text/csv;q=much", false],
  [undefined, ";;,,=", false],
  ["json", "text/csv", false],
  ["csv", "application/json", true],
] as const) {
  test(`csv: format ${format}, accept ${accept}: ${wanted}`, () => {
    assert.equal(wantsCsv(format, accept), wanted);
  });
}
