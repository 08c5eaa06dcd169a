/**
 * What the engine asks of whatever keeps its state: the interfaces Log, SnapshotStore and Lease.
 * node:sqlite is one form (sqlite-store.ts), a stream of NATS may be another.
 *
 * A tenant's component is a function of its calls. So the log holds the calls that went well, as
 * they were made, in blocks; a stream of blocks has one writer, which numbers them from 1 on. A
 * snapshot holds a tenant's image and the number of the last block that is in it. The tenant is its
 * newest snapshot that can be read, and after it every block with a higher number.
 *
 * Because each snapshot says for itself up to where it reaches, no transaction over several of them
 * is needed. What is needed is an order, and `commit` keeps it: blocks, snapshots, trims. A form
 * that has transactions does all of it in one.
 */

/** A sealed block (turn-log.ts): it says its stream and number itself, and is checked by both. */
export type LogBlock = {
  readonly stream: number;
  readonly number: number;
  readonly bytes: Uint8Array;
};

/** A sealed snapshot (snapshot.ts). */
export type StoredSnapshot = {
  readonly tenant: string;
  /** Number of the world that it is of: a tenant has one component of each. */
  readonly world: number;
  readonly bytes: Uint8Array;
};

/**
 * Blocks up to `number` are needed no more by snapshots that reach beyond `taken`. Others may need
 * them for their older generation, until that is as new: then they go. A later trim stands for
 * both.
 */
export type Trim = { readonly stream: number; readonly number: number; readonly taken: number };

/**
 * The tenant of this name was deleted: its snapshots go, and no start replays its turns up to this
 * block. They are gone themselves once the stream was trimmed beyond it, and those before it are
 * settled; a turn after it is of another tenant of that name.
 */
export type Forgotten = {
  readonly tenant: string;
  readonly stream: number;
  readonly number: number;
};

/** What is to be written at once: all of it, or nothing counts. */
export type Group = {
  readonly blocks: readonly LogBlock[];
  readonly snapshots: readonly StoredSnapshot[];
  readonly trims: readonly Trim[];
  /** They go before the snapshots of the group are written. */
  readonly forgotten: readonly Forgotten[];
};

export interface Log {
  /**
   * Resolves once all of it would outlive the machine's next instant; rejects: none of it counts.
   */
  commit(group: Group): Promise<void>;
  /** Blocks of a stream in order, from this number on. */
  blocks(stream: number, from: number): Iterable<LogBlock> | AsyncIterable<LogBlock>;
}

export interface SnapshotStore {
  /** The newest of every tenant and world. */
  snapshots(
    isOurs?: (tenant: string) => boolean,
  ): Iterable<StoredSnapshot> | AsyncIterable<StoredSnapshot>;
  /** The one before it: looked at only if the newest is damaged. */
  olderSnapshot(
    tenant: string,
    world: number,
  ): StoredSnapshot | undefined | Promise<StoredSnapshot | undefined>;
  /**
   * Keeps a component for as long as an image may need it: an image means something only to the
   * very component that wrote it. Its number is for entries of the log, which name it by that.
   */
  keepComponent(digest: Uint8Array, bytes: Uint8Array): number | Promise<number>;
  /** By its digest, or by that number. */
  component(
    digest: Uint8Array | number,
  ): KeptComponent | undefined | Promise<KeptComponent | undefined>;
}

export type KeptComponent = {
  readonly number: number;
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
};

/**
 * Who may write to a stream. `epoch` rises with every owner; whoever has an older one is refused by
 * `commit`, so that an owner that only seemed dead cannot write any more.
 */
export interface Lease {
  take(partition: number): Promise<{ readonly epoch: number } | undefined>;
  renew(partition: number, epoch: number): Promise<boolean>;
  release(partition: number, epoch: number): Promise<void>;
}

/** Why something could not be written, as far as somebody can do something about it. */
export type WriteFailureKind = "full" | "readOnly" | "fenced" | "failed";

export class WriteFailure extends Error {
  readonly kind: WriteFailureKind;

  constructor(kind: WriteFailureKind, message: string) {
    super(message);
    this.name = "WriteFailure";
    this.kind = kind;
  }
}

/** What was kept cannot be read as it was written: where, and what is wrong. */
export class DamagedRecord extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DamagedRecord";
  }
}
