/**
 * `nexuscore backup …` and `nexuscore restore`: over HTTP where a server runs, on the files where
 * none does.
 */
import type { Config } from "#config/options.ts";
import { BackupCopy, checkSpace } from "#durable/backup-copy.ts";
import {
  backupName,
  listBackups,
  ownLike,
  removeOld,
  removeUnfinished,
  restoreBackup,
  verifyBackup,
} from "#durable/backup-folder.ts";
import { BackupError, type Manifest } from "#durable/backup-manifest.ts";
import { isTaken, lockOf } from "#durable/file-lock.ts";
import type { Backup } from "#model/backup.ts";
import { existsSync } from "node:fs";
import { cp, readdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ageWords } from "./ages.ts";
import { Client } from "./client.ts";
import { type DataFiles, dataFilesOf } from "./data-files.ts";
import { CliError, formatBytes, formatCount, print, printJson, progress, say } from "./terminal.ts";
import { VERSION } from "./version.ts";

const POLL_MS = 250;

export type BackupTarget = {
  readonly config: Config;
  /** Of the server that is asked, if one runs there. */
  readonly url: string;
  /** Somebody said so: that it does not answer is no reason to look at files instead. */
  readonly isNamed: boolean;
  readonly json: boolean;
};

/** Undefined: no server runs there, and the files are nobody's. */
export async function serverOf({ url, isNamed }: BackupTarget): Promise<Client | undefined> {
  const client = new Client(url);
  if ((await client.probe()) === "ours") return client;
  if (isNamed) throw new CliError(`no NexusCore at ${url}; without --url the files are used`);
  return undefined;
}

export async function createBackup(target: BackupTarget, to: string | undefined): Promise<void> {
  const client = await serverOf(target);
  // Before one is made, for which the oldest that is kept would go.
  if (to !== undefined && existsSync(to)) {
    throw new CliError(`${resolve(to)} exists already; name a folder that is to be made`);
  }
  const path = await explained(async () =>
    client === undefined ? createOnFiles(target.config, to) : createOverHttp(client, to),
  );
  const manifest = await explained(async () => verifyIfHere(path));
  if (target.json) printJson({ path, manifest });
  else print(`Made ${path}${manifest === undefined ? "" : `:\n  ${contentsWords(manifest)}`}`);
}

export async function listAll(target: BackupTarget): Promise<void> {
  const { config, json } = target;
  const client = await serverOf(target);
  if (client !== undefined) {
    const list = await client.backups();
    if (json) printJson(list);
    else print(listWords(list.folder, list.backups.map(lineOf)));
    return;
  }
  const { backups: folder } = filesOf(config);
  const backups = await listBackups(folder);
  if (json) printJson({ folder, backups });
  else {
    const lines = backups.map(({ name, manifest, problem }) =>
      manifest === undefined ? `${name}  ${problem}` : `${name}  ${contentsWords(manifest)}`,
    );
    print(listWords(folder, lines));
  }
}

export async function verify(folder: string, json: boolean): Promise<void> {
  const manifest = await explained(async () => verifyBackup(resolve(folder)));
  if (json) {
    printJson({ ok: true, manifest });
    return;
  }
  print(`${resolve(folder)} can be restored:\n  ${contentsWords(manifest)}`);
  for (const name of manifest.contents?.damaged ?? []) {
    print(`  was damaged already when it was made: ${name}`);
  }
}

export type RestoreOptions = { readonly replaces: boolean; readonly json: boolean };

export async function restore(
  folder: string,
  config: Config,
  { replaces, json }: RestoreOptions,
): Promise<void> {
  const { dataDir } = filesOf(config);
  const options = { replaces, nowMs: Date.now() };
  const restored = await explained(async () => restoreBackup(resolve(folder), dataDir, options));
  const { manifest, keptAside } = restored;
  if (json) {
    printJson({ dataDir, keptAside, manifest });
    return;
  }
  print(`Restored to ${dataDir}:\n  ${contentsWords(manifest)}`);
  if (keptAside !== undefined) {
    print(`What was there is in ${keptAside}; remove it once you are sure.`);
  }
  print(`Start it:  nexuscore serve --data-dir ${dataDir}`);
}

async function createOverHttp(client: Client, to: string | undefined): Promise<string> {
  let backup = await client.createBackup();
  while (backup.state === "running") {
    progress(`${formatBytes(backup.bytes)} of ${formatBytes(backup.bytesTotal)}`);
    await sleep(POLL_MS);
    backup = await client.backup(backup.name);
  }
  progress("");
  if (backup.state === "failed") {
    throw new BackupError(`The server could not make it: ${backup.problem ?? "its log says why"}`);
  }
  for (const name of backup.removed ?? []) say(`Removed ${name}: an older one, over backupKeep.`);
  if (to === undefined) return backup.path;
  return copyTo(backup.path, resolve(to));
}

/** A server writes nowhere but in its own folder; who may read that takes it from there. */
async function copyTo(from: string, to: string): Promise<string> {
  if (existsSync(to)) throw new BackupError(`${to} exists already; the backup is in ${from}.`);
  if (!existsSync(from)) {
    throw new BackupError(`The backup is in ${from} on the server's machine; copy it from there.`);
  }
  const partial = `${to}.partial`;
  await cp(from, partial, { recursive: true });
  await verifyBackup(partial);
  await rename(partial, to);
  return to;
}

async function createOnFiles(config: Config, to: string | undefined): Promise<string> {
  const files = filesOf(config);
  const locks = files.all.filter((path) => existsSync(path)).map((path) => lockedBy(path));
  try {
    const copy = BackupCopy.open(files.all);
    const isNamed = (name: string): boolean => existsSync(join(files.backups, name));
    const folder = to === undefined ? join(files.backups, backupName(Date.now(), isNamed)) : to;
    try {
      if (to === undefined) await removeUnfinished(files.backups);
      await checkSpace(resolve(folder), copy.bytes);
      copy.pin(Date.now());
      await copy.copyTo(resolve(folder), `NexusCore ${VERSION}`);
    } finally {
      copy.close();
    }
    // Else the server could not write there, nor remove what is old.
    if (to === undefined) {
      const inside = await readdir(folder);
      const own = [files.backups, folder, ...inside.map((name) => join(folder, name))];
      await ownLike(files.dataDir, own);
    }
    if (to === undefined && config.backupKeep > 0) {
      for (const name of await removeOld(files.backups, config.backupKeep)) {
        say(`Removed ${name}: an older one, over backupKeep.`);
      }
    }
    return resolve(folder);
  } finally {
    for (const lock of locks) lock.close();
  }
}

function lockedBy(path: string): ReturnType<typeof lockOf> {
  try {
    return lockOf(path);
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new BackupError(
      `${path} is in use by a server, but not by the one that was asked; say with --url where ` +
        "that is.",
    );
  }
}

async function verifyIfHere(path: string): Promise<Manifest | undefined> {
  return existsSync(path) ? verifyBackup(path) : undefined;
}

function filesOf(config: Config): DataFiles {
  const files = dataFilesOf(config);
  if (files !== undefined) return files;
  throw new CliError("with --data-dir :memory: nothing is kept, so there is nothing to do");
}

function listWords(folder: string, lines: readonly string[]): string {
  if (lines.length === 0) return `No backups in ${folder}. Make one: nexuscore backup create`;
  return [`${folder}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function lineOf({ name, state, bytes, bytesTotal, asOfMs, tenantCount, problem }: Backup): string {
  if (state === "failed") return `${name}  failed: ${problem ?? "the server's log says why"}`;
  if (state === "running") {
    return `${name}  is being made, ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}`;
  }
  return `${name}  ${ageWords(asOfMs ?? 0)} old, ${tenants(tenantCount)}, ${formatBytes(bytes)}`;
}

function contentsWords({ asOfMs, files, contents, product }: Manifest): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const time = new Date(asOfMs).toISOString().slice(0, 19);
  return `as of ${time}Z, ${tenants(contents?.tenantCount)}, ${formatBytes(bytes)}, by ${product}`;
}

function tenants(count = 0): string {
  return `${formatCount(count)} ${count === 1 ? "tenant" : "tenants"}`;
}

async function explained<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BackupError) throw new CliError(error.message);
    throw error;
  }
}
