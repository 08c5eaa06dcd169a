import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "./log.ts";

test("log: lines are JSON, and never hold what people wrote", () => {
  const lines: string[] = [];
  const log = openLog("info", { write: (line) => void lines.push(line) });
  const event = { id: "m1", text: "SECRET", user: "SECRET" };
  log.info(
    { event, text: "SECRET", user: "SECRET", body: "SECRET", tenant: "acme" },
    "took events",
  );
  log.debug("not at this level");
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0] ?? "", /SECRET/);
  const line = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  assert.equal(line["level"], "info");
  assert.equal(line["tenant"], "acme");
  assert.equal(line["message"], "took events");
  assert.equal(typeof line["timeMs"], "number");
});

test("log: keys and what errors quote are left out, however deep", () => {
  const lines: string[] = [];
  const log = openLog("info", { write: (line) => void lines.push(line) });
  let parseError: unknown;
  try {
    JSON.parse("SECRET of ada");
  } catch (error) {
    parseError = error;
  }
  log.error({ err: parseError }, "a request failed unexpectedly");
  log.error({ err: new Error("no 'SECRET\nof' here", { cause: parseError }) }, "failed");
  log.warn({ request: { headers: { authorization: "SECRET" }, deep: { text: "SECRET" } } }, "odd");
  log.warn({ apiKey: "SECRET", upstream: { password: "SECRET" } }, "odd too");
  assert.equal(lines.length, 4);
  assert.doesNotMatch(lines.join(""), /SECRET/);
  const { err } = JSON.parse(lines[0]!) as { err: Record<string, string> };
  assert.equal(err["type"], "SyntaxError");
  assert.match(err["stack"]!, /^\s+at .*log\.test\.ts/m);
});

test("log: a flood of one line is cut, and what ends the process is always said", () => {
  const lines: string[] = [];
  const log = openLog("info", { write: (line) => void lines.push(line) });
  for (let i = 0; i < 5_000; i++) log.warn({ i }, "a request was slow");
  assert.equal(lines.length, 10);
  for (let i = 0; i < 20; i++) log.fatal("a bug: stopping");
  assert.equal(lines.length, 30);
});
