// Reviews at random over few and many slots: begun, evicted, restored, failed, answered in any
// order. In any slot a tenant is the same function of its calls, and every answer is its own.
import assert from "node:assert/strict";
import test from "node:test";
import { CONSULTATION_FAILURES, judgementBytes } from "#model/consultation.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import { REVIEWS_OPEN_MAX } from "#model/limits.ts";
import { readPromptParts } from "#model/prompt-parts.ts";
import { Random } from "#std/random.ts";
import { GlassModeratorHost, moderatorComponent } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";
import type { BegunReview } from "./moderator-host.ts";

const TENANTS = 24;
const STEPS = 12_000;
const CALL_NUMBERS = 200;
const MALFORMED = CONSULTATION_FAILURES.indexOf("malformed");
const MISDEEDS = ["?b1", "?b3", "?b5", "?b8", "?bc", "?be", "?bh", "?bn", "!trap", "!lie4", "?j0"];
/** What goes wrong when the answer is there; told once more as a failure it ends. */
const LATE_MISDEEDS = ["?a0", "?a2", "?a3", "?a6", "?a8", "?a9", "?aa"];

const component = moderatorComponent("hostile-moderator");
const policy = Buffer.alloc(104, 3);

type Open = { readonly call: number; readonly resultAt: number; readonly text: string };

/** Hosts of 1, 2 and 16 slots, of which the same is asked. */
class Hosts {
  readonly #hosts = [1, 2, 16].map((slotCount) => {
    const options = { slotCount, tenantCountMax: TENANTS, strikeCountMax: 255 };
    const host = new GlassModeratorHost(options);
    assert.equal(host.admit(component), 0);
    return host;
  });

  get first(): GlassModeratorHost {
    return this.#hosts[0]!;
  }

  /** What all of them say. */
  all<Said>(ask: (host: GlassModeratorHost) => Said, where: string): Said {
    const [said, ...others] = this.#hosts.map(ask);
    for (const other of others) assert.deepEqual(other, said, where);
    return said!;
  }

  get statistics(): { restores: number; evictions: number; replayFailures: number } {
    const { restores, replayFailures } = this.#hosts[2]!.stats;
    return { restores, evictions: this.first.stats.evictions, replayFailures };
  }
}

test(`${STEPS} steps at random: the same in 1, 2 and 16 slots, every answer its own`, () => {
  const random = new Random(SEED);
  const hosts = new Hosts();
  const open: Open[][] = Array.from({ length: TENANTS }, () => []);
  const words = Array.from({ length: TENANTS }, (_, tenant) => `canary-${tenant}-`);
  let [answered, failed, askedAgain] = [0, 0, 0];
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    hosts.all((host) => host.open(tenant, 0, policy), "open");
  }
  for (let step = 0; step < STEPS; step++) {
    const where = `SEED=${SEED} step ${step}`;
    const tenant = random.below(TENANTS);
    const mine = open[tenant]!;
    const text = textOf(random, words[tenant]!, step);
    const request: ModerationRequest = {
      text,
      user: `user-${words[tenant]}`,
      conversation: `c${random.below(3)}`,
      tsMs: step,
    };
    const kind = random.below(20);
    if (kind < 6) {
      hosts.all((host) => host.say(tenant, request), where);
      const call = freeNumber(random, mine);
      const begun = hosts.all((host) => copied(host.review(tenant, call, request)), where);
      if (begun.asked !== undefined) {
        assert.ok(mine.length < REVIEWS_OPEN_MAX, where);
        checkPrompt(begun.asked.prompt, words[tenant]!, where);
        mine.push({ call, resultAt: begun.asked.resultAt, text });
      }
    } else if (kind < 13 && mine.length > 0) {
      const [{ call, resultAt, text: about }] = mine.splice(random.below(mine.length), 1) as [Open];
      const failure = random.chance(1, 4) ? random.below(CONSULTATION_FAILURES.length) : undefined;
      const answer = failure === undefined ? judgementBytes(SCORES, about) : undefined;
      const ended = hosts.all((h) => h.endReview(tenant, call, resultAt, failure, answer), where);
      if (ended.outcome !== "ok") {
        askedAgain += 1;
        const again = hosts.all((h) => h.endReview(tenant, call, resultAt, MALFORMED), where);
        assert.equal(again.opinion?.severity, MALFORMED, where);
      } else if (failure === undefined) {
        answered += 1;
        assert.equal(ended.opinion?.reason, about, where);
        assert.deepEqual(ended.opinion.scores, SCORES, where);
      } else {
        failed += 1;
        assert.equal(ended.opinion?.severity, failure, where);
      }
    } else if (kind < 17) hosts.all((host) => host.say(tenant, request), where);
    else if (kind === 17) {
      const call = freeNumber(random, mine);
      const ended = hosts.all((host) => host.endReview(tenant, call, 0x22000, 1), where);
      assert.equal(ended.outcome, "trapped", where);
    } else if (kind === 18) hosts.all((host) => host.advance(tenant, step), where);
    else if (random.chance(1, 20)) {
      hosts.all((host) => host.close(tenant), where);
      hosts.all((host) => host.open(tenant, 0, policy), where);
      mine.length = 0;
    } else hosts.all((host) => host.stateHash(tenant), where);
    if (hosts.first.strikeCount(tenant) > 200) hosts.all((host) => host.release(tenant), where);
  }
  const { restores, evictions, replayFailures } = hosts.statistics;
  assert.ok(
    answered > 1_000 && failed > 300 && askedAgain > 100,
    `${answered} ${failed} ${askedAgain}`,
  );
  assert.ok(restores > 500 && evictions > 5_000, `${restores} ${evictions}`);
  assert.equal(replayFailures, 0);
});

const SCORES = CATEGORIES.map((_, category) => category / 32);

function textOf(random: Random, word: string, step: number): string {
  if (random.chance(1, 8)) return MISDEEDS[random.below(MISDEEDS.length)]!;
  if (random.chance(1, 8)) return LATE_MISDEEDS[random.below(LATE_MISDEEDS.length)]!;
  return `${word}${step}${" and so on".repeat(random.below(40))}`;
}

/** Of no open call of the tenant. */
function freeNumber(random: Random, open: readonly Open[]): number {
  for (;;) {
    const call = 1 + random.below(CALL_NUMBERS);
    if (open.every((each) => each.call !== call)) return call;
  }
}

/** The prompt as text, so that it is compared by what it says. */
function copied({ outcome, asked, opinion }: BegunReview) {
  return { outcome, opinion, asked: asked && { ...asked, prompt: [...asked.prompt] } };
}

function checkPrompt(bytes: readonly number[], word: string, where: string): void {
  const parts = readPromptParts(Uint8Array.from(bytes));
  assert.ok(parts !== undefined, where);
  for (const { kind, name, text } of parts) {
    if (kind === "policy") continue;
    assert.equal(name, `user-${word}`, where);
    assert.ok(text.startsWith(word) || /^[?!][a-z]/.test(text), where);
  }
}
