/** Options of backups. */
import type { OptionSpec } from "./option-spec.ts";

export const BACKUP_OPTIONS = {
  backupDir: {
    kind: "text",
    environment: "NEXUSCORE_BACKUP_DIR",
    flag: "--backup-dir",
    default: "",
    defaultWords: "backups in the data folder",
    mayBeEmpty: true,
    sentence: "Folder that backups are made in, each in one of its own; best on another disk.",
  },
  backupKeep: {
    kind: "integer",
    environment: "NEXUSCORE_BACKUP_KEEP",
    flag: "--backup-keep",
    unit: "backups",
    default: 7,
    min: 0,
    max: 10_000,
    reload: true,
    sentence: "So many backups are kept, the newest; 0: all of them.",
  },
} as const satisfies Record<string, OptionSpec>;
