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
