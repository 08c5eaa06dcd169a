import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import fc from "fast-check";
import { allows, covers, coversPrefix, isScopeEntry, onlyTenant } from "#model/access.ts";
import { KEY_OVERLAP_MS_DEFAULT } from "#model/limits.ts";
import { KeyRing } from "./key-ring.ts";
import { KEY_TABLES, KeyError, KeyTable } from "./key-table.ts";
import { hashOf, idOf, maskOf, newKey } from "./key-text.ts";

const NOW = 1_795_000_000_000;

function lab(): { table: KeyTable; ring: KeyRing; database: DatabaseSync } {
  const database = new DatabaseSync(":memory:");
  database.exec(KEY_TABLES);
  return { table: new KeyTable(database), ring: new KeyRing(), database };
}

test("a key says its id, and a typo in it is found without a look-up", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(61), (at, character) => {
      const { id, text } = newKey();
      assert.equal(idOf(text), id);
      assert.match(text, /^\w{66}$/);
      const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".split("");
      const typo = text.split("");
      typo[at % text.length] = letters[character]!;
      if (typo.join("") !== text) assert.equal(idOf(typo.join("")), undefined);
      assert.equal(idOf(text.slice(0, -1)), undefined);
      assert.equal(idOf(`${text}\n`), undefined);
    }),
  );
});

test("two keys have nothing in common", () => {
  const texts = Array.from({ length: 500 }, () => newKey().text);
  const secrets = new Set(texts.map((text) => text.slice(17, 60)));
  assert.equal(secrets.size, texts.length);
  // Each character is drawn from all 62: none is missing in 500 times 43.
  assert.equal(new Set([...secrets].join("")).size, 62);
});

test("what is kept of a key opens nothing: only its hash is there", () => {
  const { table, database } = lab();
  const { text, record } = table.create({ roles: ["tenantWrite"], tenants: ["acme"] }, NOW);
  assert.deepEqual(Buffer.from(record.hash), hashOf(text));
  const bytes = Buffer.from(database.serialize());
  assert.equal(bytes.includes(text.slice(17)), false);
  assert.ok(bytes.includes(record.id));
  assert.equal(maskOf(record.id).includes(text.slice(17, 20)), false);
});

test("a key opens until it expires or is revoked, and only the right secret does", () => {
  const { table, ring } = lab();
  const request = { roles: ["tenantRead"], tenants: ["acme"], expiresMs: NOW + 1_000 } as const;
  const { text, record } = table.create(request, NOW);
  assert.deepEqual(ring.authenticate(text, NOW), { refusal: "unknown" });
  ring.put(record);
  const principal = { name: maskOf(record.id), roles: ["tenantRead"], tenants: ["acme"] };
  const { id } = record;
  assert.deepEqual(ring.authenticate(text, NOW + 999), { id, principal, isFormer: false });
  assert.deepEqual(ring.authenticate(text, NOW + 1_000), { refusal: "expired" });
  assert.deepEqual([ring.countOpen(NOW + 999), ring.countOpen(NOW + 1_000)], [1, 0]);
  const other = newKey(record.id).text;
  assert.deepEqual(ring.authenticate(other, NOW), { refusal: "unknown" });
  assert.deepEqual(ring.authenticate("hunter2", NOW), { refusal: "malformed" });
  ring.put(table.revoke(record.id, NOW + 1));
  assert.deepEqual(ring.authenticate(text, NOW + 2), { refusal: "revoked" });
  assert.deepEqual([ring.countOpen(NOW + 2), ring.count], [0, 1]);
  // Whoever has not the secret does not learn that there was such a key.
  assert.deepEqual(ring.authenticate(other, NOW + 2), { refusal: "unknown" });
});

test("after a rotation both secrets open for a while, then the new one alone", () => {
  const { table, ring } = lab();
  const first = table.create({ roles: ["admin"], tenants: ["*"] }, NOW);
  const second = table.rotate(first.record.id, NOW + 10);
  assert.equal(second.record.id, first.record.id);
  assert.notEqual(second.text, first.text);
  ring.put(second.record);
  const isFormer = (text: string, nowMs: number): unknown => ring.authenticate(text, nowMs);
  const principal = { name: maskOf(first.record.id), roles: ["admin"], tenants: ["*"] };
  const endMs = NOW + 10 + KEY_OVERLAP_MS_DEFAULT;
  const { id } = first.record;
  assert.deepEqual(isFormer(first.text, endMs - 1), { id, principal, isFormer: true });
  assert.deepEqual(isFormer(first.text, endMs), { refusal: "expired" });
  assert.deepEqual(isFormer(second.text, endMs), { id, principal, isFormer: false });
  // Rotated once more, the first is out at once.
  ring.put(table.rotate(first.record.id, NOW + 20).record);
  assert.deepEqual(isFormer(first.text, NOW + 21), { refusal: "unknown" });
  assert.deepEqual(isFormer(second.text, NOW + 21), { id, principal, isFormer: true });
});

test("a key without a former secret is not opened by a hash of nothing", () => {
  const { table, ring } = lab();
  ring.put(table.create({ roles: ["admin"], tenants: ["*"] }, NOW).record);
  for (const text of ["", "\0".repeat(32), `nxc_${"0".repeat(12)}_${"0".repeat(49)}`]) {
    assert.ok("refusal" in ring.authenticate(text, NOW));
  }
});

test("bad requests for keys are refused with what would be right", () => {
  const { table } = lab();
  const wrong = [
    [{ roles: [], tenants: ["a"] }, /at least one role/],
    [{ roles: ["root"], tenants: ["a"] }, /root is no role; use tenantWrite/],
    [{ roles: ["admin"], tenants: [] }, /at least one tenant/],
    [{ roles: ["admin"], tenants: ["a b"] }, /a b is no tenant id/],
    [{ roles: ["admin"], tenants: ["*a"] }, /\*a is no tenant id/],
    [{ roles: ["admin"], tenants: ["a"], expiresMs: NOW }, /expired already/],
    [{ roles: ["admin"], tenants: ["a"], expiresMs: Number.NaN }, /expired already/],
    [{ roles: ["admin"], tenants: ["a"], note: "x".repeat(257) }, /note is over/],
  ] as const;
  for (const [request, message] of wrong) {
    const make = (): unknown => table.create(request as never, NOW);
    assert.throws(make, (error) => error instanceof KeyError && message.test(error.message));
  }
  assert.throws(() => table.rotate("nobody", NOW), /no key nobody/);
  assert.equal(table.all().length, 0);
});

test("a scope covers its ids and prefixes, and nothing that only looks like them", () => {
  const scope = ["acme", "shop-*"];
  for (const tenant of ["acme", "shop-", "shop-1"]) assert.ok(covers(scope, tenant));
  for (const tenant of ["acme2", "acm", "Acme", "shop", "*", ""]) assert.ok(!covers(scope, tenant));
  assert.ok(coversPrefix(scope, "shop-1"));
  for (const prefix of ["", "s", "shop", "acme"]) assert.ok(!coversPrefix(scope, prefix));
  assert.ok(coversPrefix(["*"], ""));
  assert.equal(onlyTenant({ name: "", roles: [], tenants: ["acme"] }), "acme");
  for (const tenants of [["*"], ["a*"], ["a", "b"]]) {
    assert.equal(onlyTenant({ name: "", roles: [], tenants }), undefined);
  }
  for (const text of ["*", "a*", "a.b_c:d-e"]) assert.ok(isScopeEntry(text));
  for (const text of ["", "**", "a*b", "ä", "x".repeat(65)]) assert.ok(!isScopeEntry(text));
});

test("what is about the server needs an admin of all tenants", () => {
  const of = (tenants: string[]) => ({ name: "", roles: ["admin"] as const, tenants });
  assert.ok(allows(of(["*"]), "operate"));
  assert.ok(!allows(of(["acme"]), "operate"));
  assert.ok(allows(of(["acme"]), "manage"));
});
