// Each finding of doctor, with machines and folders that have what it is about.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { loadConfig } from "#config/load.ts";
import { SqliteStore } from "#durable/sqlite-store.ts";
import { type Check, renderChecks } from "./check.ts";
import { checkMachine, type Machine } from "./doctor-machine.ts";
import { accessCheck, providerCheck } from "./doctor-network.ts";
import {
  backupCheck,
  checkFolder,
  checkHolder,
  checkState,
  checkSyncs,
  pidOfLock,
  spaceCheck,
  syncFailure,
  unwritableFolder,
} from "./doctor-storage.ts";

const GIB = 1024 ** 3;
const NOW_MS = Date.UTC(2026, 10, 21, 12);
const { config } = loadConfig({ file: undefined, environment: {}, flags: {} });

const SOUND: Machine = {
  nodeVersion: "26.10.0",
  flags: ["--disable-wasm-trap-handler", "--external-memory-accounted-in-global-limit"],
  freeBytes: 32 * GIB,
  boundBytes: Infinity,
  read: (path) => SOUND_FILES[path],
  clock: { driftMs: 0.3, nowMs: NOW_MS },
  isSynchronized: true,
};

const SOUND_FILES: Readonly<Record<string, string>> = {
  "/proc/sys/vm/max_map_count": "262144\n",
  "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
  "/proc/self/limits":
    "Max open files            1048576              1048576              files\n",
};

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-doctor-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** What is wrong with a machine that is sound but for this. */
function findingsOf(change: Partial<Machine>, options = config): Check[] {
  const checks = checkMachine({ ...SOUND, ...change }, options);
  return checks.filter(({ status }) => status !== "ok");
}

function oneOf(checks: readonly Check[]): Check {
  assert.equal(checks.length, 1);
  const [check] = checks;
  assert(check!.fix !== undefined, "it says what to do");
  return check!;
}

test("a sound machine has nothing to be fixed", () => {
  assert.deepEqual(findingsOf({}), []);
});

test("machine: each fault is one finding, with its numbers and a way out", () => {
  const old = oneOf(findingsOf({ nodeVersion: "22.4.1" }));
  assert.deepEqual([old.name, old.status, old.fix], ["runtime", "fail", "npm ci"]);
  assert.match(oneOf(findingsOf({ flags: [] })).detail, /not set: --disable-wasm-trap-handler/);
  const bound = oneOf(findingsOf({ boundBytes: 2 * GIB }));
  assert.match(bound.detail, /the cgroup allows 2 GiB, up to 4 GiB for tenants/);
  assert.match(bound.fix!, /--image-bytes-max 1280MiB/);
  const tight = oneOf(findingsOf({ freeBytes: 2 * GIB }));
  assert.match(tight.fix!, /--image-bytes-max 1024MiB/);
  const read = (changed: Readonly<Record<string, string>>) => (path: string) =>
    changed[path] ?? SOUND_FILES[path];
  const maps = oneOf(findingsOf({ read: read({ "/proc/sys/vm/max_map_count": "1024" }) }));
  assert.equal(maps.fix, "sudo sysctl vm.max_map_count=65530");
  const pages = { "/sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never" };
  assert.equal(oneOf(findingsOf({ read: read(pages) })).name, "huge pages");
  const files = { "/proc/self/limits": "Max open files            1024      4096      files" };
  assert.match(oneOf(findingsOf({ read: read(files) })).fix!, /^ulimit -n \d+ .*LimitNOFILE/);
});

test("clock: one that jumps, one of another year, one that nobody keeps right", () => {
  const jumped = oneOf(findingsOf({ clock: { driftMs: -940, nowMs: NOW_MS } }));
  assert.match(jumped.detail, /jumped by -940 ms/);
  const reset = oneOf(findingsOf({ clock: { driftMs: 0, nowMs: 5_000 } }));
  assert.equal(reset.status, "fail");
  assert.equal(oneOf(findingsOf({ isSynchronized: false })).fix, "sudo timedatectl set-ntp true");
  assert.deepEqual(findingsOf({ isSynchronized: undefined }), []);
});

test("data folder: who may read it, whether it is there", (t) => {
  const path = join(folder(t), "data");
  const there = checkFolder({ dataDir: path });
  assert.match(oneOfAny(there).detail, /will be made at the first start/);
  mkdirSync(path, { mode: 0o755 });
  chmodSync(path, 0o755);
  assert.equal(oneOf(checkFolder({ dataDir: path })).fix, `chmod 0700 ${path}`);
  chmodSync(path, 0o700);
  assert.equal(oneOfAny(checkFolder({ dataDir: path })).status, "ok");
});

function oneOfAny(checks: readonly Check[]): Check {
  assert.equal(checks.length, 1);
  return checks[0]!;
}

test("disk space: what is free, beside what the log may take", () => {
  const facts = { dataDir: "/data", diskBytes: 100 * GIB, storeBytes: 0, logBytesMax: 2 * GIB };
  assert.equal(spaceCheck({ ...facts, freeBytes: 3 * GIB }).status, "ok");
  const tight = oneOf([spaceCheck({ ...facts, freeBytes: 2 * GIB })]);
  assert.match(tight.detail, /2 GiB of 100 GiB free .* the log alone may take 2 GiB/);
  assert.match(tight.fix!, /--log-bytes-max 1024MiB/);
  const full = oneOf([spaceCheck({ ...facts, freeBytes: 0.1 * GIB })]);
  assert.deepEqual(
    [full.status, full.why],
    ["fail", "when it is full, events are refused with 507"],
  );
});

test("disk syncs: slow ones are told where acknowledgements wait for them", () => {
  const quick = Array.from({ length: 50 }, (_, i) => 0.2 + i / 100);
  assert.match(checkSyncs(quick, "disk").detail, /^p50 0\.5 ms, p99 0\.7 ms of 50$/);
  const slow = [...quick.slice(1), 80];
  assert.match(oneOf([checkSyncs(slow, "disk")]).detail, /p99 80\.0 ms/);
  assert.equal(checkSyncs(slow, "memory").status, "ok");
  assert.match(oneOf([checkSyncs([...quick.slice(1), 900], "disk")]).fix!, /another disk/);
});

test("a disk that is full, or read-only, is a finding of its own", () => {
  const full = oneOf([syncFailure("/data", Object.assign(new Error("x"), { code: "ENOSPC" }))]);
  assert.deepEqual([full.status, full.detail], ["fail", "/data takes no write: ENOSPC"]);
  assert.match(full.fix!, /^du -xsh \/data/);
  const broken = syncFailure("/data", Object.assign(new Error("x"), { code: "EIO" }));
  assert.match(broken.fix!, /^dmesg/);
  const readOnly = unwritableFolder("/data", Object.assign(new Error("x"), { code: "EROFS" }));
  assert.match(readOnly.detail, /mounted read-only/);
  assert.doesNotMatch(readOnly.fix!, /chown/);
  const foreign = unwritableFolder("/data", Object.assign(new Error("x"), { code: "EACCES" }));
  assert.match(foreign.fix!, /^sudo chown \d+ \/data$/);
});

test("data lock: who holds it is read from the kernel's table", () => {
  const locks = `1: POSIX  ADVISORY  READ 17 08:01:77 128 128
2: POSIX  ADVISORY  WRITE 4711 08:01:77 0 EOF
3: FLOCK  ADVISORY  WRITE 12 00:1a:9 0 EOF`;
  assert.equal(pidOfLock(locks, 77), 4711);
  assert.equal(pidOfLock(locks, 7), undefined);
  const held = checkHolder({ dataDir: "/data" }, { pid: 4711, command: "node" });
  assert.match(held.detail, /process 4711 \(node\) holds \/data/);
});

test("kept state: nothing yet, sound, damaged, no store at all", (t) => {
  const path = join(folder(t), "state.db");
  assert.equal(checkState(path).detail, "nothing yet");
  new SqliteStore(path).close();
  assert.match(checkState(path).detail, /^0 tenants, 0 snapshots, 0 blocks of log/);
  const database = new DatabaseSync(path);
  database.exec(
    "INSERT INTO tenants VALUES (1, 'acme'); INSERT INTO snapshots VALUES (18, 1, 1, x'00')",
  );
  database.close();
  const damaged = oneOf([checkState(path)]);
  assert.deepEqual(damaged.status, "warn");
  assert.match(damaged.detail, /^1 damaged: a snapshot of acme \(world 1\)/);
  writeFileSync(path, "no database");
  assert.equal(oneOf([checkState(path)]).status, "fail");
});

test("backups: none, an old one, one that cannot be relied on", () => {
  const facts = { folder: "/b", hasState: true, newestMs: NOW_MS, unreliable: [], nowMs: NOW_MS };
  assert.equal(backupCheck(facts).status, "ok");
  const none = { ...facts, newestMs: undefined };
  assert.equal(oneOf([backupCheck(none)]).fix, "nexuscore backup create");
  assert.equal(backupCheck({ ...none, hasState: false }).status, "ok");
  const old = oneOf([backupCheck({ ...facts, nowMs: NOW_MS + 5 * 86_400_000 })]);
  assert.match(old.detail, /the newest in \/b is 5 days old/);
  const torn = oneOf([backupCheck({ ...facts, unreliable: ["20261121T031500Z"] })]);
  assert.equal(torn.fix, "nexuscore backup verify /b/20261121T031500Z");
});

test("keys: an open address without one is what serve refuses", () => {
  const open = {
    httpHost: "0.0.0.0",
    oidcIssuer: "",
    bootstrapKeyFile: "",
    dataDir: config.dataDir,
  };
  const noKeys = { all: 0, open: 0 };
  const none = oneOf([accessCheck(open, noKeys)]);
  assert.deepEqual(
    [none.status, none.fix],
    ["fail", "nexuscore key create --role admin --tenants '*'"],
  );
  // Run as it stands, it makes the key where the server looks for it.
  const elsewhere = oneOf([accessCheck({ ...open, dataDir: "/data" }, noKeys)]);
  assert.match(elsewhere.fix!, /--tenants '\*' --data-dir \/data$/);
  assert.equal(accessCheck({ ...open, httpHost: "127.0.0.1" }, noKeys).status, "ok");
  assert.equal(accessCheck(open, { all: 2, open: 1 }).detail, "1 key");
  const shut = oneOf([accessCheck(open, { all: 2, open: 0 })]);
  assert.deepEqual([shut.status, shut.why], ["fail", "nobody is let in"]);
  assert.equal(accessCheck({ ...open, oidcIssuer: "https://id.example" }, noKeys).status, "ok");
  assert.equal(oneOf([accessCheck(open, undefined)]).status, "fail");
  assert.equal(oneOf([providerCheck("https://id.example", "ECONNREFUSED")]).status, "warn");
  assert.equal(providerCheck("https://id.example", undefined).status, "ok");
});

test("what is shown has 80 columns, but for a command, which can be copied", () => {
  const checks: Check[] = [
    { name: "runtime", status: "ok", detail: "Node 26.10.0" },
    {
      name: "disk space",
      status: "warn",
      detail: "2 GiB of 100 GiB free for /var/lib/nexuscore, and the log alone may take 2 GiB",
      why: "when it is full, events are refused",
      fix: "nexuscore serve --log-bytes-max 1024MiB --data-dir /var/lib/nexuscore/a",
    },
    {
      name: "keys",
      status: "fail",
      detail: "none",
      fix: "Make one, and then make another one of it.",
    },
  ];
  assert.equal(
    renderChecks(checks),
    `ok    runtime     Node 26.10.0
warn  disk space  2 GiB of 100 GiB free for /var/lib/nexuscore, and the log
                  alone may take 2 GiB: when it is full, events are refused
                  → nexuscore serve --log-bytes-max 1024MiB --data-dir /var/lib/nexuscore/a
fail  keys        none
                  → Make one, and then make another one of it.

3 checks: 1 to be fixed before it can run well, 1 to think about.`,
  );
});
