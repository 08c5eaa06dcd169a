import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { KEY_REMEMBERED_MS } from "#model/limits.ts";
import { KeyDesk } from "./key-desk.ts";
import { KeyFileError } from "./key-file.ts";
import { KeyError } from "./key-table.ts";
import { newKey } from "./key-text.ts";

const DAY_MS = 86_400_000;
const ADMIN = { roles: ["admin"], tenants: ["*"] } as const;

function lab(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-keys-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = { nowMs: 20_000 * DAY_MS + 1 };
  const path = join(folder, "data", "keys.db");
  return { folder, path, clock, open: () => new KeyDesk(path, () => clock.nowMs) };
}

test("keys outlive the process; of their secrets nothing is in any file", (t) => {
  const { path, clock, open } = lab(t);
  const desk = open();
  const made = desk.create({ ...ADMIN, note: "first" }, "ada");
  const rotated = desk.rotate(made.id, "bo", 1_000);
  assert.ok("principal" in desk.ring.authenticate(rotated.key, clock.nowMs));
  desk.close();
  const again = open();
  assert.ok("principal" in again.ring.authenticate(rotated.key, clock.nowMs));
  assert.ok("principal" in again.ring.authenticate(made.key, clock.nowMs));
  assert.deepEqual(again.ring.authenticate(made.key, clock.nowMs + 1_000), { refusal: "expired" });
  again.revoke(made.id, "cy");
  assert.deepEqual(again.ring.authenticate(rotated.key, clock.nowMs), { refusal: "revoked" });
  const { total, keys } = again.page(0, 10);
  assert.equal(total, 1);
  assert.deepEqual(
    [keys[0]!.state, keys[0]!.note, keys[0]!.lastUsed],
    ["revoked", "first", "2024-10-04"],
  );
  const audit = again.audit(10);
  assert.deepEqual(
    audit.map(({ actor, action, key }) => [actor, action, key === made.id]),
    [
      ["cy", "revoke", true],
      ["bo", "rotate", true],
      ["ada", "create", true],
    ],
  );
  assert.equal(again.audit(10, audit[0]!.seq).length, 2);
  again.close();
  const shown = JSON.stringify([keys, audit]);
  const folder = join(path, "..");
  for (const name of readdirSync(folder)) {
    assert.equal(
      statSync(join(folder, name)).mode & 0o077 & (name.endsWith(".lock") ? 0 : 0o777),
      0,
    );
    const bytes = readFileSync(join(folder, name));
    for (const { key } of [made, rotated]) {
      assert.equal(bytes.includes(key.slice(17)), false, name);
      assert.equal(shown.includes(key.slice(17)), false);
    }
  }
});

test("one process has the keys; a file that cannot be read keeps the server from starting", (t) => {
  const { path, open } = lab(t);
  const desk = open();
  const isInUse = (error: unknown): boolean =>
    error instanceof KeyFileError && error.isInUse && /--data-dir/.test(error.message);
  assert.throws(open, isInUse);
  // Backups and doctor read it meanwhile.
  const reader = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual({ ...reader.prepare("SELECT count(*) AS n FROM api_keys").get() }, { n: 0 });
  reader.close();
  desk.close();
  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version = 99");
  newer.close();
  assert.throws(open, /written by a newer NexusCore/);
  const broken = new DatabaseSync(path);
  broken.exec("PRAGMA user_version = 1; DROP TABLE api_keys");
  broken.close();
  assert.throws(open, /cannot be read|no such table/);
});

test("a change that fails leaves neither a key nor a line of the audit log", (t) => {
  const { open } = lab(t);
  const desk = open();
  assert.throws(() => desk.create({ roles: ["admin"], tenants: ["a b"] }, "ada"), KeyError);
  assert.throws(
    () => desk.rotate("nobody", "ada"),
    (error) => (error as KeyError).isUnknown,
  );
  assert.throws(
    () => desk.revoke("nobody", "ada"),
    (error) => (error as KeyError).isUnknown,
  );
  assert.deepEqual([desk.page(0, 9).total, desk.audit(9).length, desk.ring.isEmpty], [0, 0, true]);
  const { id } = desk.create(ADMIN, "ada");
  desk.revoke(id, "ada");
  assert.throws(() => desk.rotate(id, "ada"), /was revoked; make another/);
  desk.close();
});

test("the key of a mounted file is taken once, whatever became of it since", (t) => {
  const { open, clock } = lab(t);
  const { text, id } = newKey();
  let desk = open();
  assert.throws(() => desk.adopt("hunter2", "file"), /nexuscore key generate/);
  assert.equal(desk.adopt(text, "file"), true);
  assert.ok("principal" in desk.ring.authenticate(text, clock.nowMs));
  desk.revoke(id, "ada");
  desk.close();
  desk = open();
  assert.equal(desk.adopt(text, "file"), false);
  assert.deepEqual(desk.ring.authenticate(text, clock.nowMs), { refusal: "revoked" });
  // Also after the row was forgotten: whoever has the file must not become an admin by waiting.
  clock.nowMs += KEY_REMEMBERED_MS + DAY_MS;
  desk.create(ADMIN, "ada");
  desk.create(ADMIN, "ada");
  assert.equal(
    desk.page(0, 9).keys.some((key) => key.id === id),
    false,
  );
  desk.close();
  desk = open();
  assert.equal(desk.adopt(text, "file"), false);
  assert.ok("refusal" in desk.ring.authenticate(text, clock.nowMs));
  desk.close();
});

test("keys that opened nothing for long are forgotten, but never the last", (t) => {
  const { open, clock } = lab(t);
  let desk = open();
  const old = desk.create(ADMIN, "ada");
  desk.revoke(old.id, "ada");
  clock.nowMs += KEY_REMEMBERED_MS + DAY_MS;
  const expiring = desk.create({ ...ADMIN, expiresMs: clock.nowMs + 1_000 }, "ada");
  // It was the newest when the other was made, so it was kept then.
  assert.equal(desk.page(0, 9).total, 2);
  clock.nowMs += KEY_REMEMBERED_MS + DAY_MS;
  const last = desk.create(ADMIN, "ada");
  desk.revoke(last.id, "ada");
  clock.nowMs += KEY_REMEMBERED_MS + DAY_MS;
  desk.close();
  desk = open();
  assert.equal(desk.ring.isEmpty, false, "a server that had keys is never open again");
  assert.deepEqual(
    desk.page(0, 9).keys.map(({ id }) => id),
    [last.id, expiring.id],
  );
  desk.close();
});

test("keys of a tenant that is deleted are revoked, others are not", (t) => {
  const { open } = lab(t);
  const desk = open();
  const of = (tenants: string[]): string => desk.create({ roles: ["admin"], tenants }, "ada").id;
  const [only, both, prefix] = [of(["acme"]), of(["acme", "zoo"]), of(["ac*"])];
  const twice = of(["acme", "acme"]);
  assert.equal(desk.revokeOnly("acme", "deletion"), 2);
  const states = new Map(desk.page(0, 9).keys.map(({ id, state }) => [id, state]));
  assert.deepEqual(
    [only, twice, both, prefix].map((id) => states.get(id!)),
    ["revoked", "revoked", "open", "open"],
  );
  desk.close();
});
