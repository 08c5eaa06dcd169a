/** A disk that fails when it is told to: fault-shim.c, under the server's files of state. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SHIM = fileURLToPath(new URL("fault-shim.c", import.meta.url));
const CONTROL = {
  writeErrno: 0,
  syncErrno: 1,
  writesLeft: 2,
  tornBytes: 3,
  syncMs: 4,
  failedCount: 5,
} as const;
const { ENOSPC, EIO, EROFS } = constants.errno;

type Controls = Partial<Record<keyof typeof CONTROL, number>>;

/** What can be wrong, and what the server is to say of it. */
export const FAULTS: readonly {
  readonly name: string;
  readonly controls: Controls;
  readonly status: number;
  readonly code: string;
}[] = [
  { name: "full", controls: { writeErrno: ENOSPC }, status: 507, code: "storageFull" },
  {
    name: "full in the middle of a write",
    controls: { writeErrno: ENOSPC, writesLeft: 1, tornBytes: 700 },
    status: 507,
    code: "storageFull",
  },
  { name: "write fails", controls: { writeErrno: EIO }, status: 503, code: "storageUnavailable" },
  {
    name: "write is torn",
    controls: { writeErrno: EIO, writesLeft: 2, tornBytes: 1_000 },
    status: 503,
    code: "storageUnavailable",
  },
  { name: "sync fails", controls: { syncErrno: EIO }, status: 503, code: "storageUnavailable" },
  { name: "read-only", controls: { writeErrno: EROFS }, status: 503, code: "storageUnavailable" },
  { name: "slow", controls: { syncMs: 2_600 }, status: 503, code: "storageUnavailable" },
];

/** Why there can be none here; undefined: there can. */
export function whyNoFaults(): string | undefined {
  if (process.platform !== "linux") return "LD_PRELOAD is of Linux";
  return compiler() === undefined ? "there is no C compiler (cc, clang, gcc)" : undefined;
}

export class FaultDisk {
  readonly #folder = mkdtempSync(join(tmpdir(), "nexuscore-faults-"));
  /** The data folder of the server. */
  readonly data = join(this.#folder, "data");
  /** What the server is started with. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #control: number;

  constructor() {
    const library = join(this.#folder, "fault-shim.so");
    execFileSync(compiler()!, ["-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"]);
    mkdirSync(this.data);
    const control = join(this.#folder, "control");
    writeFileSync(control, Buffer.alloc(4 * Object.keys(CONTROL).length));
    this.#control = openSync(control, "r+");
    this.environment = {
      LD_PRELOAD: library,
      FAULT_CONTROL: control,
      FAULT_PREFIX: join(this.data, "state.db"),
    };
  }

  get failedCount(): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#control, bytes, 0, 4, 4 * CONTROL.failedCount);
    return bytes.readInt32LE();
  }

  fail(controls: Controls): void {
    // The errors last: what says how they come is there before them.
    const order = ["writesLeft", "tornBytes", "syncMs", "syncErrno", "writeErrno"] as const;
    for (const name of order) this.#set(name, controls[name] ?? 0);
  }

  heal(): void {
    for (const name of ["writeErrno", "syncErrno", "syncMs", "writesLeft", "tornBytes"] as const) {
      this.#set(name, 0);
    }
  }

  remove(): void {
    closeSync(this.#control);
    rmSync(this.#folder, { recursive: true });
  }

  #set(name: keyof typeof CONTROL, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(this.#control, bytes, 0, 4, 4 * CONTROL[name]);
  }
}

function compiler(): string | undefined {
  const works = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;
  return ["cc", "clang", "gcc"].find(works);
}
