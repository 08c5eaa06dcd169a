// In simulated time, so that the machine has no part in it: what a hostile tenant does to others.
import assert from "node:assert/strict";
import test from "node:test";
import { answerTo } from "#stand-in/answers.ts";
import { Random } from "#std/random.ts";
import { GatewayBench, jobOf, USAGE } from "#testing/gateway-bench.ts";

const NEIGHBOURS = 50;
const RUN_MS = 10_000;
const STEP_MS = 4;
const RATIO_MAX = 1.1;

type Hostile = "absent" | "floods" | "hangs" | "fails";
type Outcome = { readonly p50: number; readonly p99: number; readonly failed: number };

/** 50 tenants that ask four times a second each, and one that does what it does. */
function run(hostile: Hostile, seed: number): Outcome {
  const random = new Random(seed);
  const arrivedMs = new Map<number, number>();
  const waits: number[] = [];
  let failed = 0;
  const due: { atMs: number; answer: () => void }[] = [];
  const bench: GatewayBench = new GatewayBench({
    exchangeCountMax: 64,
    tenantRunningMax: 16,
    ticketCountMax: 16_384,
    tenantWaitingMax: 4_096,
    upstream: {
      send(request, deliver) {
        const isHostile = request.user.includes("| hostile");
        if (isHostile && hostile === "hangs") return { cancel: () => undefined };
        const answer = (): void => {
          if (isHostile && hostile === "fails") {
            const failure = { failure: "unavailable", mayRetry: true, opensBreaker: true } as const;
            deliver({
              kind: "failed",
              retryAfterMs: undefined,
              detail: "",
              usage: undefined,
              ...failure,
            });
          } else {
            const content = answerTo(jobOf(request), request.user);
            deliver({ kind: "content", content, usage: USAGE });
          }
        };
        due.push({ atMs: bench.nowMs + 50 + random.below(100), answer });
        return { cancel: () => undefined };
      },
    },
    delivered(request, end) {
      const atMs = arrivedMs.get(request);
      if (atMs === undefined) return;
      if ("failure" in end) failed += 1;
      else waits.push(bench.nowMs - atMs);
    },
  });
  for (let ms = 0; ms < RUN_MS; ms += STEP_MS) {
    if (hostile !== "absent" && ms % 20 === 0) {
      for (let n = 0; n < 20; n++) bench.ask(`hostile ${ms} ${n}`, { tenant: 0 });
    }
    for (let tenant = 1; tenant <= NEIGHBOURS; tenant++) {
      if (!random.chance(4 * STEP_MS, 1_000)) continue;
      const request = bench.ask(`fine ${ms}`, { tenant });
      arrivedMs.set(request, bench.nowMs);
    }
    for (const each of due.splice(0)) {
      if (each.atMs <= bench.nowMs) each.answer();
      else due.push(each);
    }
    bench.tick(STEP_MS);
  }
  waits.sort((a, b) => a - b);
  return { p50: waits[waits.length >> 1]!, p99: waits[Math.floor(waits.length * 0.99)]!, failed };
}

for (const hostile of ["floods", "hangs", "fails"] as const) {
  test(`others wait no longer, and lose nothing, when a tenant ${hostile}`, () => {
    const seed = Number(process.env["SEED"] ?? 6);
    const alone = run("absent", seed);
    const beside = run(hostile, seed);
    const said = `SEED=${seed}: ${JSON.stringify({ alone, beside })}`;
    assert.equal(beside.failed, 0, said);
    assert.ok(beside.p99 <= RATIO_MAX * alone.p99, said);
    assert.ok(beside.p50 <= RATIO_MAX * alone.p50, said);
  });
}
