/** What is known of the disk that keeps tenants: what is promised, and how it stands. */

/** How long what was acknowledged lasts. `none`: there is no data directory. */
export const ACK_MODES = ["disk", "memory", "none"] as const;
export type AckMode = (typeof ACK_MODES)[number];

/** What a sender may ask for where there is a disk. */
export type AckWish = "disk" | "memory";

/**
 * `off`: there is none. `recovering`: what was kept is being read. `slow`: a commit took over
 * LOG_SLOW_MS. `failed`: the disk does not take what is written, or its writer died. Events are
 * taken in `off` and `ok` alone; questions, but for `recovering`, always.
 */
export type StorageState = "off" | "recovering" | "ok" | "slow" | "full" | "readOnly" | "failed";

export type RecoveryProgress = {
  /** Of the tenants' snapshots, those that were read, and all. */
  readonly snapshotsDone: number;
  readonly snapshotsTotal: number;
  /** Turns that were made again. */
  readonly replayedTurns: number;
  readonly elapsedMs: number;
};

/** What a start made of what was kept. */
export type RecoverySummary = {
  readonly readySeconds: number;
  readonly tenants: number;
  readonly snapshots: number;
  readonly replayedTurns: number;
  /** Turns of the log that snapshots held already. */
  readonly skippedTurns: number;
  /** Snapshots that could not be read, and whose older ones and turns gave the same. */
  readonly repaired: number;
  /** Tenants of whom something is missing, LOST_LISTED_MAX at most. */
  readonly lost: readonly string[];
  readonly lostCount: number;
  /** Blocks at the end of the log that the process before did not finish: never acknowledged. */
  readonly tornBlocks: number;
  /** Tenants whose turns do not go on from what is there. */
  readonly gaps: number;
};

export type StorageRecovery =
  | { readonly progress: RecoveryProgress }
  | { readonly summary: RecoverySummary };

export type StorageStats = {
  readonly state: StorageState;
  /** In words, where the state is none of the good ones. */
  readonly detail?: string | undefined;
  /** Since when it is in this state, epoch ms. */
  readonly sinceMs: number;
  /** What an acknowledged event is promised unless its request says otherwise. */
  readonly ack: AckMode;
  readonly path?: string | undefined;
  /** Bytes of turns that are kept, and the bound on them. */
  readonly logBytes: number;
  readonly logBytesMax: number;
  /** Bytes of the file that are in use. */
  readonly storeBytes: number;
  /** Time of guests that a replay of the log would take now. */
  readonly backlogMs: number;
  /** Tenants with turns that no snapshot holds. */
  readonly dirtyTenants: number;
  /** Answers that wait for the disk. */
  readonly heldAnswers: number;
  readonly commitCount: number;
  readonly commitFailures: number;
  readonly commitMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Written since the start. */
  readonly snapshotCount: number;
  readonly snapshotBytes: number;
  /** Undefined: there is nothing that could be recovered. */
  readonly recovery: StorageRecovery | undefined;
};

/** Of an engine that keeps nothing. */
export const NO_STORAGE: StorageStats = {
  state: "off",
  sinceMs: 0,
  ack: "none",
  logBytes: 0,
  logBytesMax: 0,
  storeBytes: 0,
  backlogMs: 0,
  dirtyTenants: 0,
  heldAnswers: 0,
  commitCount: 0,
  commitFailures: 0,
  commitMs: { p50: 0, p99: 0, max: 0 },
  snapshotCount: 0,
  snapshotBytes: 0,
  recovery: undefined,
};
