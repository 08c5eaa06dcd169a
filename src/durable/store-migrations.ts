/**
 * The tables of a store (sqlite-store.ts), step by step. As in review/migrations.ts: a published
 * step is never changed.
 */
export const STORE_MIGRATIONS: readonly string[] = [
  `
CREATE TABLE log (
  at INTEGER PRIMARY KEY, stream INTEGER NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX log_number ON log (stream, number);
CREATE TABLE streams (
  stream INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, shard INTEGER NOT NULL,
  trimmed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE tenants (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE snapshots (
  at INTEGER PRIMARY KEY, stream INTEGER NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL
);
CREATE INDEX snapshots_reach ON snapshots (stream, number);
CREATE TABLE components (sha256 BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
`,
  `
DROP TABLE components;
CREATE TABLE components (
  number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL
);
`,
  `
CREATE TABLE forgotten (
  tenant TEXT PRIMARY KEY, stream INTEGER NOT NULL, number INTEGER NOT NULL
) WITHOUT ROWID;
`,
];
