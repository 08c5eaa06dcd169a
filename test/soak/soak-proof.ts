/**
 * A server under mixed load for minutes, good and bad, with an upstream that fails now and then:
 * what it holds must not grow once it is warm. What is tolerated: vitals.ts.
 */
import { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { proof } from "../../scripts/proof.ts";
import { Served } from "../durability/served.ts";
import { KINDS, SoakLoad } from "./load.ts";
import { trendOf } from "./trend.ts";
import { folderBytes, TOLERANCES, type Vital, type Vitals, vitalsOf } from "./vitals.ts";

const MIB = 1024 * 1024;
const COLLECT = new URL("collect.ts", import.meta.url).href;
/** Samples of a run, whatever its length; but none more often than that. */
const SAMPLES = 200;
const SAMPLE_MS_MIN = 250;
const LINES = 12;
/** On a slow machine a run goes on until there are so many, and all kinds of load got through. */
const SAMPLES_MIN = 4;
const LONGER_MS_MAX = 120_000;

export const soakProof = proof({
  sentence: "under mixed load for minutes nothing grows: memory, handles, descriptors, threads",
  parameters: {
    minutes: { value: 10, sentence: "how long" },
    seconds: { value: 0, sentence: "and how many seconds more" },
    seed: { value: 1, sentence: "of the load" },
  },
  run: async ({ minutes, seconds, seed }, say) => {
    const { samples } = await soak({ ms: (minutes * 60 + seconds) * 1_000, seed }, say);
    const grown = VITALS.filter((vital) => {
      const series = samples.map((sample) => sample[vital]);
      const trend = trendOf(series, TOLERANCES[vital]);
      say(
        `${vital}: ${shown(vital, trend.first)} to ${shown(vital, trend.last)}, the line climbs ` +
          `${shown(vital, trend.growth)} of ${shown(vital, trend.tolerated)} tolerated`,
      );
      return !trend.isFlat;
    });
    assert.deepEqual(grown, [], "what grows");
  },
});

const VITALS = Object.keys(TOLERANCES) as Vital[];

export type SoakResult = { readonly samples: readonly Vitals[]; readonly load: SoakLoad };

export async function soak(
  { ms, seed }: { readonly ms: number; readonly seed: number },
  say: (line: string) => void,
): Promise<SoakResult> {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-soak-"));
  const upstream = await StandInUpstream.start({ seed, keepsSeen: false });
  const environment = {
    NEXUSCORE_LLM_BASE_URL: upstream.baseUrl,
    NEXUSCORE_LLM_MODEL: "stand-in",
  };
  const flags = ["--expose-gc", `--import=${COLLECT}`];
  const served = await Served.start({ folder, shardCount: 2, environment, flags });
  try {
    const load = new SoakLoad(served.url, seed);
    const over = load.run();
    const samples = await sampled({ served, folder, ms, load }, say);
    load.stop();
    await over;
    say([...load.statuses].map(([what, count]) => `${what}: ${count}`).join(", "));
    assert.deepEqual(idleKinds(load), [], "each kind of load gets through");
    const failed = [...load.statuses.keys()].filter((key) => key.endsWith(" 500"));
    assert.deepEqual(failed, [], "nothing fails within the server");
    assert.equal(await served.stop(), 0, served.words);
    return { samples, load };
  } finally {
    if (!served.isGone) await served.kill();
    await upstream.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function idleKinds({ counts }: SoakLoad): string[] {
  return KINDS.filter((kind) => (counts.get(kind) ?? 0) === 0);
}

async function sampled(
  parts: { served: Served; folder: string; ms: number; load: SoakLoad },
  say: (line: string) => void,
): Promise<Vitals[]> {
  const { served, folder, ms, load } = parts;
  const samples: Vitals[] = [];
  const startMs = performance.now();
  const stepMs = Math.max(SAMPLE_MS_MIN, ms / SAMPLES);
  let lineMs = startMs;
  const isOver = (): boolean => {
    const tookMs = performance.now() - startMs;
    const isEnough = samples.length >= SAMPLES_MIN && idleKinds(load).length === 0;
    return tookMs >= ms && (isEnough || tookMs >= ms + LONGER_MS_MAX);
  };
  while (!isOver()) {
    await sleep(stepMs);
    const metrics = await fetch(`${served.url}/metrics`);
    const vitals = vitalsOf(served.pid, await metrics.text());
    samples.push(vitals);
    if (performance.now() - lineMs < ms / LINES) continue;
    lineMs = performance.now();
    const words = VITALS.map((vital) => `${vital} ${shown(vital, vitals[vital])}`);
    const disk = `disk ${(folderBytes(folder) / MIB).toFixed(0)} MiB`;
    say(`${((lineMs - startMs) / 1_000).toFixed(0)} s: ${words.join(", ")}, ${disk}`);
  }
  return samples;
}

function shown(vital: Vital, value: number): string {
  const isBytes = vital === "rss" || vital === "heapUsed" || vital === "external";
  return isBytes ? `${(value / MIB).toFixed(1)} MiB` : value.toFixed(0);
}
