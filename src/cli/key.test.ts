// Keys that are made on the files, where no server runs.
import assert from "node:assert/strict";
import { chownSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "#config/load.ts";
import { createKey } from "./key.ts";

const NOBODY = 65_534;

test("key: what root makes belongs to the folder's owner, who runs the server", async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip("only root makes files for others");
    return;
  }
  const dataDir = mkdtempSync(join(tmpdir(), "nexuscore-key-"));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  chownSync(dataDir, NOBODY, NOBODY);
  const { config } = loadConfig({ file: undefined, environment: {}, flags: { dataDir } });
  // Nobody listens on port 1, so the files are used.
  const target = { config, url: "http://127.0.0.1:1", isNamed: false, json: true };
  const write = t.mock.method(process.stdout, "write", () => true);
  await createKey(target, { roles: ["admin"], tenants: ["*"] });
  write.mock.restore();
  for (const name of ["keys.db", "keys.db.lock"]) {
    const { uid, gid } = statSync(join(dataDir, name));
    assert.deepEqual([uid, gid], [NOBODY, NOBODY], name);
  }
});
