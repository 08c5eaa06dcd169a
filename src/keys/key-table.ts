/**
 * Keys as rows of an SQLite file. A revoked key stays as a row, so that it is told apart from one
 * that never was, and the audit can name it. The text of a key is nowhere.
 */
import type { DatabaseSync } from "node:sqlite";
import { isScopeEntry, type Role, ROLE_NAMES, type TenantScope } from "#model/access.ts";
import {
  KEY_NOTE_BYTES_MAX,
  KEY_OVERLAP_MS_DEFAULT,
  KEY_REMEMBERED_MS,
  KEY_TENANTS_MAX,
  KEYS_MAX,
} from "#model/limits.ts";
import type { KeyRecord } from "./key-ring.ts";
import { hashOf, idOf, newKey } from "./key-text.ts";

export const KEY_TABLES = `
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, roles TEXT NOT NULL, tenants TEXT NOT NULL, note TEXT NOT NULL,
  created_ms REAL NOT NULL, expires_ms REAL, revoked_ms REAL, hash BLOB NOT NULL,
  former_hash BLOB, former_ends_ms REAL, used_day INTEGER
) WITHOUT ROWID;
CREATE TABLE key_audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms REAL NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, key_id TEXT NOT NULL, detail TEXT NOT NULL
);
`;

/** Of each key that was made, rotated or revoked: by whom. Never a secret. */
export type KeyAuditLine = {
  readonly seq: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: "create" | "rotate" | "revoke";
  readonly key: string;
  readonly detail: Readonly<Record<string, unknown>>;
};

export type KeyRequest = {
  readonly roles: readonly Role[];
  readonly tenants: TenantScope;
  readonly note?: string | undefined;
  readonly expiresMs?: number | undefined;
};

/** The text is told once, to whoever made it. */
export type MadeKey = { readonly text: string; readonly record: KeyRecord };

/** What is wrong with a request for a key, and what would be right. */
export class KeyError extends Error {
  readonly isUnknown: boolean;

  constructor(message: string, isUnknown = false) {
    super(message);
    this.name = "KeyError";
    this.isUnknown = isUnknown;
  }
}

export class KeyTable {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  all(): KeyRecord[] {
    const rows = this.#database.prepare("SELECT * FROM api_keys ORDER BY created_ms, id").all();
    return rows.map((row) => recordOf(row));
  }

  get(id: string): KeyRecord | undefined {
    const row = this.#database.prepare("SELECT * FROM api_keys WHERE id = ?").get(id);
    return row === undefined ? undefined : recordOf(row);
  }

  create(request: KeyRequest, nowMs: number): MadeKey {
    const { id, text } = newKey();
    return { text, record: this.#insert(id, text, request, nowMs) };
  }

  /** One whose text was made elsewhere; undefined: there is or was one of that id. */
  adopt(text: string, request: KeyRequest, nowMs: number): KeyRecord | undefined {
    const id = idOf(text);
    if (id === undefined)
      throw new KeyError("That is no key: make one with nexuscore key generate.");
    return this.#everHad(id) ? undefined : this.#insert(id, text, request, nowMs);
  }

  /** One that was revoked and forgotten must not open anything again: the audit has no end. */
  #everHad(id: string): boolean {
    if (this.get(id) !== undefined) return true;
    const sql = "SELECT 1 FROM key_audit WHERE key_id = ? LIMIT 1";
    return this.#database.prepare(sql).get(id) !== undefined;
  }

  #insert(id: string, text: string, request: KeyRequest, nowMs: number): KeyRecord {
    check(request, nowMs);
    this.#forget(nowMs);
    const { count } = this.#database.prepare("SELECT count(*) AS count FROM api_keys").get()!;
    if (Number(count) >= KEYS_MAX) throw new KeyError(`There are ${KEYS_MAX} keys already.`);
    const { roles, tenants, note = "", expiresMs } = request;
    this.#database
      .prepare("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, NULL, ?, NULL, NULL, NULL)")
      .run(
        id,
        JSON.stringify(roles),
        JSON.stringify(tenants),
        note,
        nowMs,
        expiresMs ?? null,
        hashOf(text),
      );
    return this.get(id)!;
  }

  /** Those that opened nothing for long. One always stays: a server that had keys is not open. */
  #forget(nowMs: number): void {
    const before = nowMs - KEY_REMEMBERED_MS;
    this.#database
      .prepare(
        `DELETE FROM api_keys WHERE (revoked_ms < ? OR expires_ms < ?) AND id <>
        (SELECT id FROM api_keys ORDER BY created_ms DESC, id LIMIT 1)`,
      )
      .run(before, before);
  }

  /** By id: the day since 1970 on which it opened something last. */
  setUsedDays(days: ReadonlyMap<string, number>): void {
    const set = this.#database.prepare("UPDATE api_keys SET used_day = ? WHERE id = ?");
    for (const [id, day] of days) set.run(day, id);
  }

  audit(line: Omit<KeyAuditLine, "seq">): void {
    const { atMs, actor, action, key, detail } = line;
    this.#database
      .prepare(
        "INSERT INTO key_audit (at_ms, actor, action, key_id, detail) VALUES (?, ?, ?, ?, ?)",
      )
      .run(atMs, actor, action, key, JSON.stringify(detail));
  }

  /** The newest first; `before`: what was seen last. */
  auditPage(limit: number, before = Number.MAX_SAFE_INTEGER): KeyAuditLine[] {
    const rows = this.#database
      .prepare("SELECT * FROM key_audit WHERE seq < ? ORDER BY seq DESC LIMIT ?")
      .all(before, limit);
    return rows.map((row) => ({
      seq: Number(row["seq"]),
      atMs: Number(row["at_ms"]),
      actor: String(row["actor"]),
      action: String(row["action"]) as KeyAuditLine["action"],
      key: String(row["key_id"]),
      detail: JSON.parse(String(row["detail"])) as Record<string, unknown>,
    }));
  }

  /** A new secret; the one before goes on opening for a while, so that nobody is locked out. */
  rotate(id: string, nowMs: number, overlapMs = KEY_OVERLAP_MS_DEFAULT): MadeKey {
    const { revokedMs, expiresMs } = this.#require(id);
    if (revokedMs !== undefined) throw new KeyError(`The key ${id} was revoked; make another.`);
    if (expiresMs !== undefined && nowMs >= expiresMs) {
      throw new KeyError(`The key ${id} has expired; make another.`);
    }
    const { text } = newKey(id);
    this.#database
      .prepare("UPDATE api_keys SET former_hash = hash, former_ends_ms = ?, hash = ? WHERE id = ?")
      .run(nowMs + overlapMs, hashOf(text), id);
    return { text, record: this.get(id)! };
  }

  revoke(id: string, nowMs: number): KeyRecord {
    const { revokedMs } = this.#require(id);
    if (revokedMs === undefined) {
      this.#database.prepare("UPDATE api_keys SET revoked_ms = ? WHERE id = ?").run(nowMs, id);
    }
    return this.get(id)!;
  }

  #require(id: string): KeyRecord {
    const record = this.get(id);
    if (record === undefined) throw new KeyError(`There is no key ${id}.`, true);
    return record;
  }
}

function check({ roles, tenants, note = "", expiresMs }: KeyRequest, nowMs: number): void {
  if (roles.length === 0) throw new KeyError(`Give at least one role of ${ROLE_NAMES.join(", ")}.`);
  for (const role of roles) {
    if (!ROLE_NAMES.includes(role)) {
      throw new KeyError(`${role} is no role; use ${ROLE_NAMES.join(", ")}.`);
    }
  }
  if (tenants.length === 0) throw new KeyError("Give at least one tenant, a prefix*, or *.");
  if (tenants.length > KEY_TENANTS_MAX) {
    throw new KeyError(`A key is for ${KEY_TENANTS_MAX} tenants at most; use a prefix*.`);
  }
  for (const entry of tenants) {
    if (!isScopeEntry(entry)) throw new KeyError(`${entry} is no tenant id, prefix* or *.`);
  }
  if (/\p{Cc}/u.test(note)) throw new KeyError("The note is one line, without controls.");
  if (Buffer.byteLength(note) > KEY_NOTE_BYTES_MAX) {
    throw new KeyError(`The note is over ${KEY_NOTE_BYTES_MAX} bytes.`);
  }
  if (expiresMs !== undefined && !(expiresMs > nowMs)) {
    throw new KeyError("The key would have expired already.");
  }
}

function recordOf(row: Record<string, unknown>): KeyRecord {
  const optional = (value: unknown): number | undefined =>
    typeof value === "number" ? value : undefined;
  return {
    id: String(row["id"]),
    roles: JSON.parse(String(row["roles"])) as Role[],
    tenants: JSON.parse(String(row["tenants"])) as string[],
    note: String(row["note"]),
    createdMs: Number(row["created_ms"]),
    expiresMs: optional(row["expires_ms"]),
    revokedMs: optional(row["revoked_ms"]),
    hash: row["hash"] as Uint8Array,
    formerHash: (row["former_hash"] as Uint8Array | null) ?? undefined,
    formerEndsMs: optional(row["former_ends_ms"]),
    usedDay: optional(row["used_day"]),
  };
}
