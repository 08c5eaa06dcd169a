/**
 * What a start makes of what is kept: every tenant's newest snapshot that can be read, then the
 * turns of the log that came after it, in their order.
 *
 * A snapshot that is damaged is passed over for the one before it, and its tenant has its turns
 * since that one again: the log is kept for as long as that needs it. If it was not, or both are
 * damaged, the loss is told by name. A block that is damaged ends its stream there, but only if
 * nothing readable follows it: a hole in the middle is no torn tail, and everything after it would
 * be wrong.
 */
import { DamagedRecord, type LogBlock, type StoredSnapshot } from "./durable-store.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";
import { BlockReader, GOES_ON, HOST_WORLD, NAME_ENTRY } from "./turn-log.ts";

/** What a shard's thread reads without waiting for anything else. */
export type RecoveryStore = {
  readonly blocks: (stream: number, from: number) => Iterable<LogBlock>;
  readonly snapshots: (isOurs: (tenant: string) => boolean) => Iterable<StoredSnapshot>;
  readonly olderSnapshot: (tenant: string, world: number) => StoredSnapshot | undefined;
  /** Tenants that were deleted, and up to where turns of their name were theirs. */
  readonly forgotten?: ReadonlyMap<string, Reach>;
};

export type RecoveryParts = {
  readonly store: RecoveryStore;
  /** In the order in which they were begun; and up to where their blocks were trimmed. */
  readonly streams: readonly { readonly stream: number; readonly trimmed: number }[];
  /** Numbers of the worlds that tenants are of; their snapshots are taken together. */
  readonly worlds: readonly number[];
  /** Whether this shard has the tenant. */
  readonly isOurs: (tenant: string) => boolean;
  readonly restore: (tenant: string, world: number, snapshot: Snapshot) => void;
  /** Numbers of the components that the tenant's next turns are of: see turn-log.ts. */
  readonly named?: (tenant: string, components: number) => void;
  /**
   * A turn that the tenant's newest state does not hold: the entry that the reader is at. False: it
   * cannot be had again, so something before it is missing.
   */
  readonly replay: (tenant: string, entry: BlockReader) => unknown;
  /** Is told now and then how far it got. */
  readonly onProgress?: (snapshotCount: number, replayedCount: number) => void;
};

export type RecoveryReport = {
  snapshotCount: number;
  snapshotBytes: number;
  blockCount: number;
  replayedCount: number;
  skippedCount: number;
  /** Tenants whose newest snapshot could not be read, and what became of them. */
  readonly damaged: readonly Damaged[];
  /** Tenants whose turns do not go on from what is there: a bug, or somebody deleted something. */
  readonly gaps: readonly string[];
  /** Blocks at the end of a stream that could not be read. */
  readonly torn: readonly Torn[];
};

/** `repaired`: what is left gave the same. `older`, `lost`: turns are missing, or all of them. */
export type DamageFate = "repaired" | "older" | "lost";

export type Damaged = { readonly tenant: string; readonly world: number; fate: DamageFate };
export type Torn = { readonly stream: number; readonly number: number; readonly reason: string };

/** How far a snapshot reaches: stream and block. */
type Reach = { readonly stream: number; readonly number: number };

/** Snapshots and turns between two words of how far it got. */
const TELL_EACH = 64;

const NOTHING: Reach = { stream: 0, number: 0 };

export function recover(parts: RecoveryParts): RecoveryReport {
  const recovery = new Recovery(parts);
  recovery.restoreSnapshots();
  for (const { stream, trimmed } of parts.streams) recovery.replayStream(stream, trimmed);
  return recovery.report;
}

class Recovery {
  readonly #parts: RecoveryParts;
  /** By world and tenant. */
  readonly #reaches = new Map<string, Reach>();
  readonly #damaged = new Map<string, Damaged>();
  /** Tenants with turns after their snapshots. */
  readonly #followed = new Set<string>();
  readonly #gaps = new Set<string>();
  readonly #torn: Torn[] = [];
  #snapshotCount = 0;
  #snapshotBytes = 0;
  #blockCount = 0;
  #replayedCount = 0;
  #skippedCount = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  get report(): RecoveryReport {
    return {
      snapshotCount: this.#snapshotCount,
      snapshotBytes: this.#snapshotBytes,
      blockCount: this.#blockCount,
      replayedCount: this.#replayedCount,
      skippedCount: this.#skippedCount,
      damaged: [...this.#damaged.values()],
      gaps: [...this.#gaps],
      torn: this.#torn,
    };
  }

  restoreSnapshots(): void {
    const { store, isOurs } = this.#parts;
    for (const stored of store.snapshots(isOurs)) {
      const { tenant, world } = stored;
      if (!isOurs(tenant)) continue;
      this.#tell();
      if (this.#restore(stored)) continue;
      const older = store.olderSnapshot(tenant, world);
      const isRestored = older !== undefined && this.#restore(older);
      const fate = isRestored ? "repaired" : "lost";
      this.#damaged.set(keyOf(tenant, world), { tenant, world, fate });
    }
  }

  replayStream(stream: number, trimmed: number): void {
    const reader = new BlockReader();
    /** The stream's numbers of tenants; those of other shards are empty. */
    const names: (string | undefined)[] = [];
    let torn: Torn | undefined;
    for (const block of this.#parts.store.blocks(stream, trimmed + 1)) {
      const reason = reasonNotToOpen(reader, block);
      if (reason !== undefined) {
        torn ??= { stream, number: block.number, reason };
        continue;
      }
      if (torn !== undefined) {
        throw new DamagedRecord(
          `${torn.reason}, but block ${block.number} after it can be read: this is no torn end`,
        );
      }
      this.#blockCount += 1;
      while (reader.next()) this.#replayEntry(reader, block, names);
    }
    if (torn !== undefined) this.#torn.push(torn);
  }

  #replayEntry(entry: BlockReader, block: LogBlock, names: (string | undefined)[]): void {
    if (entry.world === HOST_WORLD && entry.kind === NAME_ENTRY) {
      const { bytes, bodyOffset, bodyBytes } = entry;
      const name = bytes.toString("latin1", bodyOffset + 8, bodyOffset + bodyBytes);
      const isOurs = this.#parts.isOurs(name);
      names[entry.tenant] = isOurs ? name : "";
      if (!isOurs || this.#isForgotten(name, block)) return;
      this.#parts.named?.(name, entry.second);
      this.#follow(name, entry.first, bytes.readDoubleLE(bodyOffset), block);
      return;
    }
    // Turns whose name was trimmed are in a snapshot: or the log would reach back further.
    const name = names[entry.tenant];
    if (name === "") return;
    const isSkipped = name === undefined || this.#isForgotten(name, block);
    if (isSkipped || this.#holdsEntry(name, entry.world, block)) {
      this.#skippedCount += 1;
      return;
    }
    this.#replayedCount += 1;
    this.#tell();
    if (this.#parts.replay(name, entry) === false) this.#gaps.add(name);
  }

  #tell(): void {
    if ((this.#snapshotCount + this.#replayedCount) % TELL_EACH !== 0) return;
    this.#parts.onProgress?.(this.#snapshotCount, this.#replayedCount);
  }

  /** False: it is damaged. */
  #restore({ tenant, world, bytes }: StoredSnapshot): boolean {
    let snapshot: Snapshot;
    try {
      snapshot = openSnapshot(bytes, tenant);
    } catch (error) {
      if (error instanceof DamagedRecord) return false;
      throw error;
    }
    this.#parts.restore(tenant, world, snapshot);
    this.#reaches.set(keyOf(tenant, world), snapshot);
    this.#snapshotCount += 1;
    this.#snapshotBytes += bytes.length;
    return true;
  }

  /** The first turns after a tenant's snapshots: they must go on from those. */
  #follow(name: string, fromStream: number, fromNumber: number, block: LogBlock): void {
    if (this.#followed.has(name)) return;
    const { worlds } = this.#parts;
    const keys = worlds.map((world) => keyOf(name, world));
    if (keys.some((key) => this.#holds(key, block))) return;
    this.#followed.add(name);
    // Worlds are snapshotted together; a tenant may have nothing of one of them.
    const found = keys.flatMap((key) => this.#reaches.get(key) ?? []);
    const reaches = found.length === 0 ? [NOTHING] : found;
    const isWhole = (reach: Reach): boolean =>
      fromNumber === GOES_ON || (reach.stream === fromStream && reach.number === fromNumber);
    const damaged = keys.flatMap((key) => this.#damaged.get(key) ?? []);
    if (damaged.length === 0) {
      if (!reaches.every(isWhole)) this.#gaps.add(name);
      return;
    }
    for (const entry of damaged) {
      const reach = this.#reaches.get(keyOf(name, entry.world)) ?? NOTHING;
      if (isWhole(reach)) entry.fate = "repaired";
      else if (entry.fate === "repaired") entry.fate = "older";
    }
  }

  #isForgotten(name: string, { stream, number }: LogBlock): boolean {
    const reach = this.#parts.store.forgotten?.get(name);
    if (reach === undefined) return false;
    return reach.stream > stream || (reach.stream === stream && reach.number >= number);
  }

  /** What the host says of a tenant is in the snapshot of any of its worlds. */
  #holdsEntry(name: string, world: number, block: LogBlock): boolean {
    if (world !== HOST_WORLD) return this.#holds(keyOf(name, world), block);
    return this.#parts.worlds.some((each) => this.#holds(keyOf(name, each), block));
  }

  #holds(key: string, { stream, number }: LogBlock): boolean {
    const reach = this.#reaches.get(key);
    if (reach === undefined) return false;
    return reach.stream > stream || (reach.stream === stream && reach.number >= number);
  }
}

function reasonNotToOpen(reader: BlockReader, block: LogBlock): string | undefined {
  try {
    reader.open(block);
    return undefined;
  } catch (error) {
    if (error instanceof DamagedRecord) return error.message;
    throw error;
  }
}

function keyOf(tenant: string, world: number): string {
  return `${world} ${tenant}`;
}
