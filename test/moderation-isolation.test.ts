// Moderators of many tenants side by side, in random order, in few slots: each tenant's answers and
// state are byte for byte what they are when it is alone, and no tenant's words are ever found in
// another's memory, image or answers.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { CONSULTATION_FAILURES, judgementBytes } from "#model/consultation.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { readPromptParts } from "#model/prompt-parts.ts";
import { canaryOf, checkCanaries, withCanary } from "#testing/canaries.ts";
import { GlassModeratorHost, moderatorComponent } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";

const TENANTS = 5;
const DAY_MS = 86_400_000;
const NAMES = ["hostile-moderator", "moderate"] as const;

/** One step of one tenant. Words stand for the tenant's own: see `canaryOf`. */
type Step = { readonly tenant: number } & (
  | {
      /** Judged; and the upstream is asked about it. */
      readonly kind: "say" | "ask";
      readonly request: Omit<ModerationRequest, "tsMs">;
      readonly afterMs: number;
    }
  /** One that waits is told how its call ended. */
  | { readonly kind: "answer"; readonly which: number; readonly failure: number | undefined }
  | { readonly kind: "fail"; readonly text: string }
  | { readonly kind: "configure"; readonly policy: number }
  | { readonly kind: "read" | "forget"; readonly conversation: string }
  | { readonly kind: "usage" | "rest" | "close" }
  | { readonly kind: "advance"; readonly afterMs: number }
);

const tenant = fc.nat({ max: TENANTS - 1 });
const conversation = fc.constantFrom("c1", "c2", "c3");
const user = fc.constantFrom(undefined, "ann", "bob", "cy");
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...sentences()) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 80 }) },
  { weight: 1, arbitrary: fc.constantFrom("", " ", "🎉🎉", "x".repeat(5000), "word ".repeat(700)) },
);
const afterMs = fc.constantFrom(0, 1000, 60_000, -5000, DAY_MS);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      tenant,
      kind: fc.constantFrom("say" as const, "ask" as const),
      afterMs,
      request: fc.record(
        {
          id: fc.constantFrom("1", "2", "3", "4"),
          conversation,
          user,
          role: fc.constantFrom("moderator", "guest"),
          replyTo: fc.constantFrom("1", "2", "9"),
          text,
          doNotStore: fc.boolean(),
          context: fc.array(fc.record({ user, text }), { maxLength: 3 }),
        },
        { requiredKeys: ["text"] },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      tenant,
      kind: fc.constant("answer" as const),
      which: fc.nat(),
      failure: fc.option(fc.nat({ max: CONSULTATION_FAILURES.length - 1 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      tenant,
      kind: fc.constant("fail" as const),
      // Not `!hog!!`: an image that is too large is found when it is written, sooner or later.
      text: fc.constantFrom("!trap", "!grow", "!lie1", "!lie5"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      tenant,
      kind: fc.constant("configure" as const),
      policy: fc.nat({ max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      tenant,
      kind: fc.constantFrom("read" as const, "forget" as const),
      conversation,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ tenant, kind: fc.constantFrom("usage" as const, "rest" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ tenant, kind: fc.constant("advance" as const), afterMs }) },
  { weight: 1, arbitrary: fc.record({ tenant, kind: fc.constant("close" as const) }) },
);

function sentences(): string[] {
  return [
    "how do I install the driver",
    "you are a complete idiot",
    "thanks, that worked",
    "I will find you",
    "people like them should go away",
    "I agree with you",
    "that is what he said: you are worthless",
    "no",
  ];
}

function policyOf(number: number, owner: number): Uint8Array {
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const, guidance: canaryOf(owner) };
  const lists = [{ term: canaryOf(owner), action: "flag" as const }, { term: "driver" }];
  const policies = [
    POLICY_DEFAULT,
    { ...POLICY_DEFAULT, doNotStore: true, blockList: lists },
    {
      ...POLICY_DEFAULT,
      allowList: [{ term: "idiot" }],
      roles: [{ role: "moderator", leniency: 0.2, exempt: number === 1 }],
      context: { turnsMax: 2, bytesMax: 300, ageMsMax: 60_000 },
    },
  ];
  const policy = { ...policies[number]!, consult };
  return policyBytes({ version: number, setAtMs: 0, note: undefined, policy })!;
}

/** Runs the steps of a tenant, one at a time; what it says and what it stands at follow. */
class Player {
  readonly host: GlassModeratorHost;
  readonly #component: number;
  /** Reviews that wait, by tenant. */
  readonly #open: Open[][] = Array.from({ length: TENANTS }, () => []);
  readonly #callCounts = Array.from({ length: TENANTS }, () => 0);
  readonly #nowMs = Array.from({ length: TENANTS }, () => 1_700_000_000_000);

  constructor(component: Uint8Array, slotCount: number) {
    this.host = new GlassModeratorHost({ slotCount, tenantCountMax: TENANTS });
    this.#component = this.host.admit(component);
  }

  play(step: Step): unknown {
    const { host } = this;
    const { tenant } = step;
    if (!host.isOpen(tenant)) {
      const opened = host.open(tenant, this.#component, policyOf(0, tenant));
      if (opened !== "ok") return opened;
    }
    if ("afterMs" in step) this.#nowMs[tenant]! += step.afterMs;
    const nowMs = this.#nowMs[tenant]!;
    switch (step.kind) {
      case "say":
        return host.say(tenant, { ...withCanary(tenant, step.request), tsMs: nowMs });
      case "ask":
        return this.#ask(tenant, { ...withCanary(tenant, step.request), tsMs: nowMs });
      case "answer":
        return this.#answer(tenant, step.which, step.failure);
      case "fail":
        return host.say(tenant, { text: step.text, conversation: "c1", tsMs: nowMs });
      case "configure":
        return host.configure(tenant, policyOf(step.policy, tenant));
      case "read":
        return host.conversation(tenant, step.conversation + canaryOf(tenant));
      case "forget":
        return host.forget(tenant, step.conversation + canaryOf(tenant));
      case "usage":
        return host.usage(tenant);
      case "rest":
        return host.stateHash(tenant);
      case "advance":
        return host.advance(tenant, nowMs);
      case "close":
        this.#open[tenant] = [];
        return host.close(tenant);
    }
  }

  #ask(tenant: number, request: ModerationRequest): unknown {
    const { host } = this;
    const verdict = host.say(tenant, request);
    // A call's number stands in the tenant's state while it waits, so each tenant has its own.
    const call = (this.#callCounts[tenant]! += 1);
    const { outcome, opinion, asked } = host.review(tenant, call, request);
    if (asked === undefined) return { verdict, outcome, opinion };
    const { prompt, resultAt } = asked;
    // The hostile one cuts a long text.
    assert.ok(prompt.includes(canaryOf(tenant)) || prompt.length > 4096);
    for (let other = 0; other < TENANTS; other++) {
      assert.ok(other === tenant || !prompt.includes(canaryOf(other)), `${other} in a prompt`);
    }
    this.#open[tenant]!.push({ call, resultAt });
    return { verdict, outcome, resultAt, parts: readPromptParts(prompt) };
  }

  #answer(tenant: number, which: number, failure: number | undefined): unknown {
    const open = this.#open[tenant]!;
    if (open.length === 0) return undefined;
    const [{ call, resultAt }] = open.splice(which % open.length, 1) as [Open];
    const scores = CATEGORIES.map((_, category) => ((which + category) % 17) / 16);
    const answer = judgementBytes(scores, `because of ${canaryOf(tenant)}`);
    const bytes = failure === undefined ? answer : undefined;
    return this.host.endReview(tenant, call, resultAt, failure, bytes);
  }
}

type Open = { readonly call: number; readonly resultAt: number };

for (const name of NAMES) {
  for (const slotCount of [1, 2, 16]) {
    test(`${name}, ${slotCount} slots: each tenant is as it is alone, and keeps its words`, () => {
      const component = moderatorComponent(name);
      fc.assert(
        fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
          const together = new Player(component, slotCount);
          const answers = steps.map((each) => {
            const answer = structuredClone(together.play(each));
            checkCanaries(together.host, TENANTS);
            return answer;
          });
          assert.equal(together.host.stats.replayFailures, 0);
          for (let owner = 0; owner < TENANTS; owner++) {
            const alone = new Player(component, 1);
            for (const [index, each] of steps.entries()) {
              if (each.tenant === owner) assert.deepEqual(alone.play(each), answers[index]);
            }
            assert.equal(alone.host.isOpen(owner), together.host.isOpen(owner));
            assert.equal(alone.host.stats.replayFailures, 0);
            if (!alone.host.isOpen(owner)) continue;
            assert.equal(alone.host.stateHash(owner), together.host.stateHash(owner));
            assert.equal(alone.host.strikeCount(owner), together.host.strikeCount(owner));
          }
        }),
        { numRuns: 25, seed: SEED },
      );
    });
  }

  test(`${name}: a canary is found where it may be, so it would be found where it may not`, () => {
    const player = new Player(moderatorComponent(name), 2);
    const asked = player.play({
      tenant: 0,
      kind: "ask",
      afterMs: 0,
      request: { conversation: "c1", user: "ann", text: "hello" },
    });
    assert.ok(JSON.stringify(asked).includes(`"text":"hello ${canaryOf(0)}"`));
    player.host.stateHash(0);
    assert.ok(player.host.image(0).includes(canaryOf(0)));
    const [memory] = player.host.memories();
    assert.ok(memory!.bytes.includes(canaryOf(0)));
  });
}
