/**
 * What a backup says of itself: its files with their checksums, and what is in them. It is written
 * last, and the folder gets its name after that: a folder with a manifest that holds is a whole
 * backup, and one without was not finished.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";

export const MANIFEST_NAME = "manifest.json";
export const MANIFEST_FORMAT = "nexuscore-backup";
export const MANIFEST_VERSION = 1;

export type BackupFile = {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Of its tables: `PRAGMA user_version`. */
  readonly tablesVersion: number;
};

/** How far a stream of the log reaches in it. */
export type BackupStream = {
  readonly stream: number;
  readonly run: number;
  readonly shard: number;
  readonly trimmed: number;
  readonly last: number;
};

/** What is in the file of tenants' states. */
export type BackupContents = {
  readonly streams: readonly BackupStream[];
  readonly tenantCount: number;
  readonly snapshotCount: number;
  readonly blockCount: number;
  /** Digests of components that are kept, hexadecimal. */
  readonly components: readonly string[];
  /** Snapshots and blocks that could not be read when it was made, by name. */
  readonly damaged: readonly string[];
};

export type Manifest = {
  readonly format: typeof MANIFEST_FORMAT;
  readonly version: typeof MANIFEST_VERSION;
  readonly product: string;
  /** The instant that it holds, and when it was finished; epoch ms. */
  readonly asOfMs: number;
  readonly finishedMs: number;
  /** For how long nothing was committed. */
  readonly pauseMs: number;
  readonly files: readonly BackupFile[];
  readonly contents: BackupContents | undefined;
};

/** Why a folder is no backup that may be relied on: which file, and what is wrong with it. */
export class BackupError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BackupError";
  }
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const text = JSON.stringify({ ...manifest, sha256: checksumOf(manifest) }, undefined, 2);
  await using file = await open(join(folder, MANIFEST_NAME), "wx", 0o600);
  await file.writeFile(`${text}\n`);
  await file.sync();
}

/** Throws a BackupError. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_NAME);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new BackupError(`${path} is missing: this is no backup, or it was not finished.`);
  }
  const { sha256, ...manifest } = parsed(path, text);
  const { format, version, product }: { format: string; version: number; product: string } =
    manifest;
  if (format !== MANIFEST_FORMAT) throw new BackupError(`${path} is of something else.`);
  if (version !== MANIFEST_VERSION) {
    throw new BackupError(
      `${path} is of version ${version}, this NexusCore reads ${MANIFEST_VERSION}: use the one ` +
        `that made it (${product}).`,
    );
  }
  if (sha256 !== checksumOf(manifest)) {
    throw new BackupError(`${path} is not what was written: its checksum differs.`);
  }
  return manifest;
}

/** SHA-256 of a file, hexadecimal; it is read once, from one end to the other. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

function parsed(path: string, text: string): Manifest & { readonly sha256: string } {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null) return value as Manifest & { sha256: string };
  } catch {
    // Told below.
  }
  throw new BackupError(`${path} is not what was written: it is no JSON object.`);
}

function checksumOf(manifest: Manifest): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
}
