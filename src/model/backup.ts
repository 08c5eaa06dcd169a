/** Backups as the API tells of them. */
import { type Static, type TObject, Type } from "typebox";

export const BackupStateSchema = Type.Union([
  Type.Literal("running"),
  Type.Literal("done"),
  Type.Literal("failed"),
]);

export const BackupSchema = Type.Object(
  {
    name: Type.String({ description: "Of its folder" }),
    path: Type.String({ description: "Where it is on the server's machine" }),
    state: BackupStateSchema,
    asOfMs: Type.Optional(Type.Number({ description: "The instant that it holds, epoch ms" })),
    finishedMs: Type.Optional(Type.Number()),
    bytes: Type.Number({ description: "Of all files; while it runs, those that are copied" }),
    bytesTotal: Type.Number({ description: "Of all files as they were when it began" }),
    pauseMs: Type.Optional(Type.Number({ description: "For how long nothing was committed" })),
    tenantCount: Type.Optional(Type.Integer()),
    damagedCount: Type.Optional(
      Type.Integer({ description: "Records that were damaged when it was made" }),
    ),
    problem: Type.Optional(
      Type.String({ description: "Why it failed, or is not to be relied on" }),
    ),
    removed: Type.Optional(
      Type.Array(Type.String(), { description: "Older ones that went, as only so many are kept" }),
    ),
  },
  { $id: "Backup", additionalProperties: false },
);

export type Backup = Static<typeof BackupSchema>;

export const BackupListSchema = Type.Object(
  {
    folder: Type.String({ description: "Where they are on the server's machine" }),
    keepCount: Type.Integer({ description: "So many are kept, the newest; 0: all" }),
    backups: Type.Array(Type.Ref("Backup#"), { description: "The newest first" }),
  },
  { $id: "BackupList", additionalProperties: false },
);

export const BACKUP_SCHEMAS: readonly TObject[] = [BackupSchema, BackupListSchema];

export type BackupList = {
  readonly folder: string;
  readonly keepCount: number;
  readonly backups: readonly Backup[];
};

export type BackupCounts = {
  /** The instant of the newest that is whole, epoch ms; 0: there is none. */
  readonly newestMs: number;
  /** Since the start. */
  readonly failureCount: number;
};

/** What the API asks; without a data folder there is none. Problems are its errors. */
export interface BackupKeeper {
  /** Resolves once it has begun. Problems: backupRunning, storageFull, storageUnavailable. */
  begin(): Promise<Backup>;
  list(): Promise<BackupList>;
  counts(): BackupCounts;
  /** Problem: backupUnknown. */
  get(name: string): Promise<Backup>;
}
