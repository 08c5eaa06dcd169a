/**
 * A server is killed at random instants under load, and started again with another number of
 * shards; some are killed while they still read what was kept. Nothing that was acknowledged is
 * lost, nothing is there twice, and what is told of a tenant agrees.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { proof } from "../../scripts/proof.ts";
import { checkAll, type Found } from "./crash-check.ts";
import { Knowledge, Load } from "./crash-load.ts";
import { Served } from "./served.ts";

export const crashProof = proof({
  sentence: "no acknowledged event is lost, however often the server is killed",
  parameters: {
    kills: { value: 300, sentence: "how often it is killed" },
    seed: { value: 1, sentence: "of everything drawn" },
    lifeMs: { value: 1_500, sentence: "how long it is loaded at most before it is killed" },
    early: { value: 10, sentence: "of 100 starts, those that are killed before they are ready" },
  },
  run: async ({ kills, seed, lifeMs, early }, say) => {
    const run = new CrashRun({ seed, lifeMs, early });
    try {
      for (let kill = 0; kill < kills; kill++) say(`${kill}: ${await run.life()}`);
      say(`at the end: ${await run.end()}`);
      const { diskCount, memoryCount } = run.known;
      say(`${kills} kills: of ${diskCount} events acknowledged from disk none is lost`);
      say(`${memoryCount} events were acknowledged from memory; ${run.memoryLost} requests went`);
    } catch (error) {
      say(`SEED ${seed}; what it left is kept in ${run.folder}`);
      throw error;
    }
    run.remove();
  },
});

export type CrashSettings = { seed: number; lifeMs: number; early: number };

export class CrashRun {
  readonly folder = mkdtempSync(join(tmpdir(), "nexuscore-crash-"));
  readonly known = new Knowledge();
  memoryLost = 0;
  readonly #settings: CrashSettings;
  readonly #random: Random;
  #lifeCount = 0;

  constructor(settings: CrashSettings) {
    this.#settings = settings;
    this.#random = new Random(settings.seed);
  }

  /** A start, what it found, and load until it is killed. */
  async life(): Promise<string> {
    const random = this.#random;
    const { seed, lifeMs, early } = this.#settings;
    const shardCount = 1 + random.below(3);
    this.#lifeCount += 1;
    const served = await Served.begin({ folder: this.folder, shardCount });
    try {
      // As soon as there is something that it reads.
      if (random.below(100) < early && this.known.diskCount > 0) {
        await sleep(random.below(2 * lifeMs));
        return `${shardCount} shards, killed while it began`;
      }
      const startMs = performance.now();
      await served.untilReady();
      const readyMs = performance.now() - startMs;
      const found = await checkAll(served, this.known, random);
      this.memoryLost += found.unsureLost;
      const load = new Load(served, this.known, seed * 1_000_003 + this.#lifeCount);
      const running = load.run();
      await Promise.race([sleep(random.below(lifeMs)), running]);
      await served.kill();
      load.end();
      await running;
      return `${shardCount} shards, ready after ${readyMs.toFixed(0)} ms; ${words(found)}`;
    } catch (error) {
      (error as Error).message += `\nthe server said: ${served.words}`;
      throw error;
    } finally {
      await served.kill();
    }
  }

  /** Once more, stopped as it should be, and again. */
  async end(): Promise<string> {
    const first = await Served.start({ folder: this.folder, shardCount: 2 });
    let found = await checkAll(first, this.known, this.#random);
    const code = await first.stop();
    if (code !== 0) throw new Error(`it stopped with ${code}: ${first.words}`);
    const again = await Served.start({ folder: this.folder, shardCount: 1 });
    try {
      found = await checkAll(again, this.known, this.#random);
    } finally {
      await again.kill();
    }
    return words(found);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

function words({ events, unsureThere, unsureLost, resent, recognised }: Found): string {
  const unsure = `of those not promised ${unsureThere} requests are there and ${unsureLost} gone`;
  return `${events} events; ${unsure}; ${resent} sent again, ${recognised} recognised`;
}
