// Warnings of the process become lines of the log, and nothing else.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { openLog } from "#observe/log.ts";
import { logWarnings } from "./warnings.ts";

test("warnings: the disk's begin and end, a thread's failure without what it quotes", () => {
  const lines: Record<string, unknown>[] = [];
  const log = openLog("info", { write: (line) => void lines.push(JSON.parse(line) as never) });
  const source = new EventEmitter();
  source.on("warning", () => assert.fail("Node's own listener is gone"));
  logWarnings(log, source);
  const warn = (message: string, facts: object): void => {
    source.emit("warning", Object.assign(new Error(message), facts));
  };

  warn("database or disk is full", { code: "NEXUSCORE_STORAGE_full" });
  warn("", { code: "NEXUSCORE_STORAGE_ok" });
  warn('no "secret words" here', { code: "NEXUSCORE_SHARD_FAILED", detail: "it begins anew" });
  warn("SQLite is an experimental feature", { name: "ExperimentalWarning" });

  const [full, well, failed] = lines;
  assert.equal(lines.length, 3);
  assert.deepEqual(
    [full!["level"], full!["state"], full!["reason"]],
    ["error", "full", "database or disk is full"],
  );
  assert.match(String(full!["message"]), /takes no events/);
  assert.deepEqual([well!["level"], well!["message"]], ["info", "the disk takes events again"]);
  assert.deepEqual([failed!["level"], failed!["detail"]], ["warn", "it begins anew"]);
  assert.match(JSON.stringify(failed), /NEXUSCORE_SHARD_FAILED/);
  assert.doesNotMatch(JSON.stringify(failed), /secret words/);
});
