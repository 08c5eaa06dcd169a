/**
 * `nexuscore key`: keys are made, listed, rotated and revoked by the server that runs, else in its
 * file. What a key opens a server with is printed once, on stdout and nothing else with it.
 */
import type { Config } from "#config/options.ts";
import { ownLike } from "#durable/backup-folder.ts";
import { LOCK_SUFFIX } from "#durable/file-lock.ts";
import { KeyDesk, type ShownKey, type ToldKey } from "#keys/key-desk.ts";
import { KeyFileError } from "#keys/key-file.ts";
import { KeyError, type KeyRequest } from "#keys/key-table.ts";
import { newKey } from "#keys/key-text.ts";
import { KEY_PAGE_MAX } from "#model/limits.ts";
import { IN_MEMORY } from "#review/database.ts";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { Client } from "./client.ts";
import { keysPath } from "./guard.ts";
import { CliError, print, printJson, say, style } from "./terminal.ts";

const DAY_MS = 86_400_000;

export type KeyTarget = {
  readonly config: Config;
  readonly url: string;
  /** It was named: a server has to be there. */
  readonly isNamed: boolean;
  readonly json: boolean;
};

export async function createKey(target: KeyTarget, request: KeyRequest): Promise<void> {
  const told = await withKeys(
    target,
    async (client) => (await client.send("POST", "/v1/keys", request)) as ToldKey,
    (desk) => desk.create(request, actor()),
  );
  tell(told, target.json);
}

export async function rotateKey(target: KeyTarget, id: string, overlapMs: number): Promise<void> {
  const path = `/v1/keys/${encodeURIComponent(id)}:rotate`;
  const body = { overlapSeconds: overlapMs / 1_000 };
  const told = await withKeys(
    target,
    async (client) => (await client.send("POST", path, body)) as ToldKey,
    (desk) => desk.rotate(id, actor(), overlapMs),
  );
  tell(told, target.json);
}

export async function revokeKey(target: KeyTarget, id: string): Promise<void> {
  const shown = await withKeys(
    target,
    async (client) =>
      (await client.send("DELETE", `/v1/keys/${encodeURIComponent(id)}`)) as ShownKey,
    (desk) => desk.revoke(id, actor()),
  );
  if (target.json) printJson(shown);
  else print(`${shown.id} opens nothing any more.`);
}

export async function listKeys(target: KeyTarget): Promise<void> {
  const keys = await withKeys(
    target,
    async (client) => allPages(client),
    (desk) => desk.page(0, Infinity).keys,
  );
  if (target.json) {
    for (const key of keys) printJson(key);
    return;
  }
  if (keys.length === 0) print("There are no keys: the server is open to this machine alone.");
  else print(tableOf(keys, Date.now()));
}

/** Kept nowhere: for a file that a server takes its first key from. */
export function generateKey(): void {
  print(newKey().text);
}

/** Asks the server that runs; without one, changes the file. */
async function withKeys<Result>(
  { config, url, isNamed }: KeyTarget,
  ask: (client: Client) => Promise<Result>,
  change: (desk: KeyDesk) => Result,
): Promise<Result> {
  const client = new Client(url);
  const probe = await client.probe();
  if (probe === "ours") return ask(client);
  if (isNamed) throw new CliError(`no NexusCore at ${url}; leave --url out to change the file`);
  const path = keysPath(config);
  if (path === IN_MEMORY) {
    throw new CliError("with --data-dir :memory: keys are made by the server that runs; use --url");
  }
  const desk = openDesk(path);
  try {
    return change(desk);
  } catch (error) {
    if (error instanceof KeyError) throw new CliError(error.message);
    throw error;
  } finally {
    desk.close();
    // Else a first key that root makes is in a file that the server's user cannot open.
    await ownLike(dirname(path), [path, `${path}${LOCK_SUFFIX}`]);
  }
}

function openDesk(path: string): KeyDesk {
  try {
    return new KeyDesk(path);
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    const way = error.isInUse ? " Ask the server that has it: --url, and NEXUSCORE_KEY." : "";
    throw new CliError(error.message + way);
  }
}

async function allPages(client: Client): Promise<readonly ShownKey[]> {
  const keys: ShownKey[] = [];
  for (;;) {
    const path = `/v1/keys?offset=${keys.length}&limit=${KEY_PAGE_MAX}`;
    const page = (await client.send("GET", path)) as { keys: ShownKey[]; total: number };
    keys.push(...page.keys);
    if (page.keys.length === 0 || keys.length >= page.total) return keys;
  }
}

/** The text alone on stdout, so that it can go into a variable or a file. */
function tell(told: ToldKey, json: boolean): void {
  if (json) {
    printJson(told);
    return;
  }
  const { id, roles, tenants, expiresMs, formerEndsMs } = told;
  const ends = expiresMs === undefined ? "never expires" : `expires ${timeOf(expiresMs)}`;
  const before =
    formerEndsMs === undefined ? "" : `\nThe secret before opens until ${timeOf(formerEndsMs)}.`;
  print(told.key);
  say(`Key ${id}: ${roles.join(", ")} of ${tenants.join(", ")}, ${ends}.${before}
This is the only time it is shown. Give it to programs as NEXUSCORE_KEY, or
as authorization: Bearer.`);
}

function tableOf(keys: readonly ShownKey[], nowMs: number): string {
  const rows = keys.map((key) => [
    key.id,
    key.state,
    key.roles.join(","),
    key.tenants.join(","),
    `${Math.max(0, Math.floor((nowMs - key.createdMs) / DAY_MS))} d`,
    key.expiresMs === undefined ? "never" : timeOf(key.expiresMs).slice(0, 10),
    key.lastUsed ?? "never",
    key.note,
  ]);
  const heads = ["id", "state", "roles", "tenants", "age", "expires", "last used", "note"];
  const widths = heads.map((head, at) =>
    Math.max(head.length, ...rows.map((row) => row[at]!.length)),
  );
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd();
  return [style("bold", lineOf(heads)), ...rows.map(lineOf)].join("\n");
}

function timeOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** For the audit log: who had the rights to write the file. */
function actor(): string {
  try {
    return `command line, ${userInfo().username}`;
  } catch {
    return "command line";
  }
}
