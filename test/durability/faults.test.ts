// A short run of the proof that `npm run prove -- faults` makes at length, and starts on disks that
// cannot be written at all.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

/** Root may write everywhere, so it lets somebody else try. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Starts where it cannot write; what it says, and with what code it ends. */
async function startOn(folder: string): Promise<{ code: number | null; words: string }> {
  const served = await Served.begin({
    folder,
    shardCount: 1,
    ...(isRoot && { user: NOBODY }),
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
