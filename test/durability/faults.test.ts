// A short run of the proof that `npm run prove -- faults` makes at length, and starts on disks that
// cannot be written at all.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SEED } from "#testing/seed.ts";
import { FAULTS, whyNoFaults } from "./fault-disk.ts";
import { FaultRun } from "./faults-proof.ts";
import { Served } from "./served.ts";

const skip = whyNoFaults() ?? false;

test(
  "a disk that fails: events are refused, the rest goes on, nothing is lost",
  { skip },
  async (t) => {
    t.diagnostic(`SEED=${SEED}`);
    const run = new FaultRun(SEED);
    t.after(async () => run.end());
    await run.begin();
    for (const fault of FAULTS) t.diagnostic(await run.round(fault, 100));
    t.diagnostic(await run.killed(true));
  },
);

/** Of the store. */
const PAGE_BYTES = 32 * 1024;
/** Root may write everywhere, so it lets somebody else try. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Starts where it cannot; what it says, and with what code it ends. */
async function startOn(
  folder: string,
  mayWrite = false,
): Promise<{ code: number | null; words: string }> {
  const served = await Served.begin({
    folder,
    shardCount: 1,
    ...(isRoot && !mayWrite && { user: NOBODY }),
  });
  try {
    const code = await served.ended();
    return { code, words: served.words };
  } finally {
    await served.kill();
  }
}

function tempFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-read-only-"));
  t.after(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

test("a data folder that cannot be written is told by name, and how to help", async (t) => {
  const folder = tempFolder(t);
  chmodSync(folder, 0o555);
  const { code, words } = await startOn(folder);
  assert.ok(code !== 0 && code !== null, `${code}: ${words}`);
  assert.match(words, new RegExp(folder));
  assert.match(words, /write|permission|read-only/i);
  assert.match(words, /--data-dir/);
  assert.doesNotMatch(words, /\n\s+at /, "no stack");
});

test("a data folder that is a file is told so", async (t) => {
  const file = join(tempFolder(t), "data");
  writeFileSync(file, "not a folder");
  const { code, words } = await startOn(file);
  assert.ok(code !== 0 && code !== null, `${code}: ${words}`);
  assert.match(words, new RegExp(file));
  assert.match(words, /--data-dir/);
  assert.doesNotMatch(words, /\n\s+at /, "no stack");
});

test("a store that is damaged is told by name, and how to help", async (t) => {
  const folder = tempFolder(t);
  const served = await Served.start({ folder, shardCount: 1 });
  t.after(async () => served.kill());
  const { status } = await served.send("acme", [{ user: "ada", text: "the boss fight is on!" }]);
  assert.equal(status, 202);
  assert.equal(await served.stop(), 0, served.words);
  const path = join(folder, "state.db");
  const bytes = readFileSync(path);
  // The head of a page of SQLite's own, behind the first: what it holds cannot be found any more.
  bytes.fill(0xa5, PAGE_BYTES, PAGE_BYTES + 64);
  writeFileSync(path, bytes);
  const { code, words } = await startOn(folder, true);
  assert.ok(code !== 0 && code !== null, `${code}: ${words}`);
  assert.match(words, new RegExp(path));
  assert.match(words, /damaged/);
  assert.match(words, /nexuscore restore/);
  assert.doesNotMatch(words, /\n\s+at /, "no stack");
});
