// One target of the fuzzer for so long, in a process of its own: prove-fuzz.ts starts it, sees
// which case it is at, and ends it if that does not end.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Campaign, Finding } from "./campaign.ts";
import { corpusOf, keepFinding } from "./corpus.ts";
import { TARGETS } from "./targets.ts";
import type { FuzzTarget } from "./target.ts";

export type FuzzOrder = {
  readonly target: string;
  readonly seed: number;
  readonly ms: number;
  /** A case by its name, or a file: only that. */
  readonly caseName?: string | undefined;
  readonly input?: string | undefined;
  /** Where the case at hand is told. */
  readonly progress: string;
};

/** Bytes that memory may be above what it was after a fifth of the time. */
const GROWTH_MAX = { heap: 64 << 20, buffers: 128 << 20, rss: 512 << 20 } as const;
const LOOK_MS = 2_000;
/** Of the file that tells the case: blanks to its end. */
const PROGRESS_BYTES = 512;

type Memory = Record<keyof typeof GROWTH_MAX, number>;

async function main(order: FuzzOrder): Promise<void> {
  const target = TARGETS[order.target]!;
  const subject = await target.open();
  const campaign = new Campaign(target, subject, order.seed);
  try {
    if (order.input !== undefined) await campaign.check(readFileSync(order.input));
    else if (order.caseName !== undefined) await campaign.run(order.caseName, true);
    else await runFor(order, target, campaign);
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    await tell(order, campaign, error);
  } finally {
    await subject.close?.();
  }
}

async function runFor(
  { target: name, ms, progress }: FuzzOrder,
  target: FuzzTarget,
  campaign: Campaign,
): Promise<void> {
  const at = openSync(progress, "w");
  const note = (what: string): void => void writeSync(at, what.padEnd(PROGRESS_BYTES), 0);
  for (const { name: file, input } of corpusOf(name)) {
    note(`file ${file}`);
    try {
      await campaign.check(input);
    } catch (error) {
      throw new Finding(`file ${file}`, input, error as Error);
    }
  }
  const startMs = performance.now();
  const base: Memory[] = [];
  let lookMs = startMs;
  let count = 0;
  for (; performance.now() - startMs < ms; count++) {
    const caseName = campaign.nameOf(count);
    note(caseName);
    await campaign.run(caseName);
    // What waits for a turn of the event loop, to be freed for one, has it.
    if (count % 64 === 0) await setImmediate();
    if (performance.now() - lookMs < LOOK_MS) continue;
    lookMs = performance.now();
    const memory = memoryNow();
    if (lookMs - startMs < ms / 5) base.push(memory);
    else checkGrowth(memory, base);
  }
  closeSync(at);
  const seconds = (performance.now() - startMs) / 1_000;
  const { heap, buffers, rss } = memoryNow();
  const mib = [heap, buffers, rss].map((bytes) => `${(bytes / 2 ** 20).toFixed(0)}`).join(" / ");
  say(
    `${name}: ${count} cases, ${(count / seconds).toFixed(0)} a second, ` +
      `${campaign.outcomes.size} outcomes, heap / buffers / rss ${mib} MiB (${target.sentence})`,
  );
  const most = [...campaign.outcomes].toSorted((a, b) => b[1] - a[1]).slice(0, 8);
  for (const [outcome, times] of most) say(`  ${times} x ${outcome.slice(0, 90)}`);
}

function memoryNow(): Memory {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed: heap, external, arrayBuffers, rss } = process.memoryUsage();
  return { heap, buffers: Math.max(external, arrayBuffers), rss };
}

function checkGrowth(memory: Memory, base: readonly Memory[]): void {
  if (base.length === 0) return;
  for (const kind of ["heap", "buffers", "rss"] as const) {
    const before = Math.max(...base.map((each) => each[kind]));
    const grown = memory[kind] - before;
    if (grown <= GROWTH_MAX[kind]) continue;
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
    throw new Error(`${kind} grows from case to case: from ${mib(before)} MiB by ${mib(grown)}`);
  }
}

async function tell({ target, seed }: FuzzOrder, campaign: Campaign, finding: Finding) {
  const { caseName, input, cause } = finding;
  say(`FOUND ${target}, ${input.length} bytes: ${(cause as Error).stack}`);
  if (!caseName.startsWith("file ")) {
    say(`again: npm run prove -- fuzz ${target} --seed ${seed} --case ${caseName}`);
  }
  const small = await campaign.minimized(finding, (bytes) => say(`  ${bytes} bytes will do`));
  say(`kept, with ${small.length} bytes: ${keepFinding(target, small)}`);
  say(JSON.stringify(Buffer.from(small).toString("latin1").slice(0, 400)));
  process.exitCode = 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

// The parent's channel closes when it is gone, however it went.
const orphaned = (): never => process.exit(1);
process.on("disconnect", orphaned);
await main(JSON.parse(process.argv[2]!) as FuzzOrder);
process.off("disconnect", orphaned);
process.disconnect?.();
