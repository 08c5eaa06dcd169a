// A review store that does not open: with some the server goes on, with one of a newer version not.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { loadConfig } from "#config/load.ts";
import { StorageError } from "#engine/storage-error.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { openReviews } from "./moderation-parts.ts";

test("reviews: a newer file keeps the server from starting, a damaged one does not", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "nexuscore-newer-"));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const { config } = loadConfig({ file: undefined, environment: {}, flags: { dataDir } });
  const path = join(dataDir, "moderation.db");
  const open = async () => openReviews(new FakeEngine(), config, openLog("silent"));

  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version = 999");
  newer.close();
  await assert.rejects(open(), (error) => {
    assert.ok(error instanceof StorageError);
    assert.match(error.message, /moderation\.db was written by a newer NexusCore/);
    return true;
  });

  writeFileSync(path, Buffer.alloc(8_192, "junk"));
  assert.match((await open()) as string, /moderation\.db is damaged/);
});
