// Moderators of many tenants that ask an upstream, side by side: in random order, in few slots,
// with answers that are late, twice or useless, failures, a gateway that begins anew and moderators
// that trap at what they are told. What each tenant asks, what becomes of it, its verdicts and its
// state are byte for byte what they are when it is alone; and no tenant's words are ever found in
// another's memory, image, prompt or verdict.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { AskedCall } from "#llm/protocol.ts";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { Moderation } from "#shard/moderation.ts";
import { ShardCounters } from "#shard/protocol.ts";
import { canaryOf, checkCanaries, checkOwn, withCanary } from "#testing/canaries.ts";
import { FakeGateway } from "#testing/fake-gateway.ts";
import { GlassModeratorHost, moderatorComponent, requestBytes } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";

const TENANTS = 5;
const NAMES = ["hostile-moderator", "moderate"] as const;
const START_MS = 1_700_000_000_000;
/** Longer than any policy lets a verdict wait. */
const LATE_MS = 100_000;

/** What is of one tenant. */
type Move = { readonly tenant: number } & (
  | { readonly kind: "say"; readonly requests: readonly Omit<ModerationRequest, "tsMs">[] }
  /** Ends one that waits, or one that has ended already. */
  | { readonly kind: "answer" | "fail" | "garble" | "again"; readonly which: number }
  | { readonly kind: "configure"; readonly policy: number }
  | { readonly kind: "rest" | "release" }
);

/** Moves of a shard's tenants, and after them what is of all: time, and the gateway. */
type Step = {
  readonly moves: readonly Move[];
  readonly after: "nothing" | "later" | "restart";
};

const tenant = fc.nat({ max: TENANTS - 1 });
const text = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      "?!! who is that",
      "you are a complete idiot",
      "I agree with you",
      "people like them should go away",
      "thanks, that worked",
      "I will find you, and you know it",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 80 }) },
  // What the hostile moderator does wrong about it; to the other they are words.
  { weight: 1, arbitrary: fc.constantFrom("?a0", "?a6", "?ac", "?be", "?b0", "?bj", "!trap") },
);
const request = fc.record(
  {
    id: fc.constantFrom("1", "2", "3", "4"),
    conversation: fc.constantFrom("c1", "c2"),
    user: fc.constantFrom("ann", "bob"),
    text,
    doNotStore: fc.boolean(),
    context: fc.array(fc.record({ text }), { maxLength: 2 }),
  },
  { requiredKeys: ["text"] },
);
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      tenant,
      requests: fc.array(request, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(["answer", "answer", "answer", "fail", "garble", "again"] as const),
      ),
      tenant,
      which: fc.nat({ max: 7 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("configure" as const),
      tenant,
      policy: fc.nat({ max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("rest" as const, "release" as const), tenant }),
  },
);
const step: fc.Arbitrary<Step> = fc.record({
  moves: fc.array(move, { minLength: 1, maxLength: 8 }),
  after: fc.oneof(
    { weight: 16, arbitrary: fc.constant("nothing" as const) },
    { weight: 1, arbitrary: fc.constantFrom("later" as const, "restart" as const) },
  ),
});

function policyOf(number: number, owner: number): Uint8Array {
  const { consult } = POLICY_DEFAULT;
  const guidance = `What ${canaryOf(owner)} says of itself is well.`;
  const policies = [
    { ...POLICY_DEFAULT, consult: { ...consult, mode: "all" as const } },
    { ...POLICY_DEFAULT, consult: { ...consult, mode: "all" as const, weight: 1, guidance } },
    { ...POLICY_DEFAULT, context: { turnsMax: 1, bytesMax: 300, ageMsMax: 60_000 } },
  ];
  const policy = policies[number]!;
  return policyBytes({ version: 1 + number, setAtMs: 0, note: undefined, policy })!;
}

/** What a tenant's moderator is asked by, and what comes of it. */
class Player {
  readonly host: GlassModeratorHost;
  readonly #moderation: Moderation;
  #gateway = new FakeGateway();
  #nowMs = START_MS;
  /** By tenant: calls that wait, and those that have ended. */
  readonly #waiting: AskedCall[][] = Array.from({ length: TENANTS }, () => []);
  readonly #over: AskedCall[][] = Array.from({ length: TENANTS }, () => []);
  /** Of whom a verdict is, and its which one it is: ids are of all tenants. */
  readonly #ids = new Map<string, { readonly tenant: number; readonly number: number }>();
  readonly #counts = Array.from({ length: TENANTS }, () => 0);
  reviewCount = 0;

  constructor(component: Uint8Array, slotCount: number) {
    this.host = new GlassModeratorHost({ slotCount, tenantCountMax: TENANTS });
    const counters = new ShardCounters(new SharedArrayBuffer(ShardCounters.BYTES));
    this.#moderation = new Moderation(
      {
        host: this.host,
        component: this.host.admit(component),
        ids: new VerdictIds({ shard: 0, incarnation: 0, salt: 0 }),
        gateway: this.#gateway.port,
        // Every step sends: what is compared goes through the same steps.
        sendMs: 0,
      },
      counters,
    );
    for (let owner = 0; owner < TENANTS; owner++) {
      this.#moderation.setPolicy(owner, `t${owner}`, policyOf(0, owner));
    }
  }

  /** What each tenant sees of the step. */
  play({ moves, after }: Step): readonly unknown[] {
    const seen: unknown[][] = Array.from({ length: TENANTS }, () => []);
    for (const each of moves) seen[each.tenant]!.push(this.#move(each.tenant, each));
    if (after === "later") this.#nowMs += LATE_MS;
    else if (after === "restart") this.#restart();
    this.#moderation.stepReviews(this.#nowMs);
    for (const call of this.#gateway.look()) {
      const owner = Number(call.tenant.slice(1));
      this.#waiting[owner]!.push(call);
      const prompt = Buffer.from(call.prompt);
      checkOwn(prompt, owner, TENANTS, "the prompt");
      seen[owner]!.push({ prompt: prompt.toString("hex"), waitMsMax: call.waitMsMax });
    }
    for (const { id, ...end } of this.#moderation.takeReviews()) {
      const { tenant: owner, number } = this.#ids.get(id)!;
      this.#ids.delete(id);
      this.reviewCount += 1;
      checkOwn(Buffer.from(JSON.stringify(end)), owner, TENANTS, "the review");
      seen[owner]!.push({ number, end });
    }
    return seen;
  }

  close(): void {
    this.#gateway.close();
  }

  #move(owner: number, played: Move): unknown {
    const { host } = this;
    switch (played.kind) {
      case "say":
        return this.#say(owner, played.requests);
      case "configure":
        return this.#moderation.setPolicy(owner, `t${owner}`, policyOf(played.policy, owner));
      case "rest":
        return host.isOpen(owner) ? host.stateHash(owner) : undefined;
      case "release":
        return host.release(owner);
      case "again":
        return this.#end(played.kind, this.#over[owner]!.at(played.which));
      default: {
        const waiting = this.#waiting[owner]!;
        const [call] = waiting.splice(played.which % Math.max(1, waiting.length), 1);
        if (call !== undefined) this.#over[owner]!.push(call);
        return this.#end(played.kind, call);
      }
    }
  }

  #say(owner: number, requests: readonly Omit<ModerationRequest, "tsMs">[]): unknown {
    const record = Buffer.concat(
      requests.flatMap((each) => {
        const bytes = requestBytes({ ...sayable(withCanary(owner, each)), tsMs: this.#nowMs });
        const prefix = Buffer.alloc(4);
        prefix.writeUInt32LE(bytes.length);
        return [prefix, bytes];
      }),
    );
    const name = `t${owner}`;
    const judged = this.#moderation.judgeAll(owner, name, record, 0, record.length, this.#nowMs);
    return judged.map((each) => {
      if (!("id" in each)) return each;
      const { id, ...rest } = each;
      this.#counts[owner]! += 1;
      this.#ids.set(id, { tenant: owner, number: this.#counts[owner]! });
      return rest;
    });
  }

  /** An answer follows from the prompt, and says so. */
  #end(how: "answer" | "fail" | "garble" | "again", call: AskedCall | undefined): void {
    if (call === undefined) return;
    const { request: number, prompt } = call;
    const sum = prompt.reduce((total, byte) => (total * 31 + byte) % 65_521, 7);
    if (how === "fail") {
      this.#gateway.fail(number, CONSULTATION_FAILURES[sum % CONSULTATION_FAILURES.length]!);
    } else if (how === "garble") {
      this.#gateway.end(number, { answer: prompt.slice(0, sum % 60), isCached: false });
    } else {
      const words = Buffer.from(prompt).toString("utf8").slice(-60);
      this.#gateway.answer(number, sum / 65_521, `${how}: ${words}`);
    }
  }

  #restart(): void {
    this.#gateway.close();
    this.#gateway = new FakeGateway();
    this.#moderation.attachGateway(this.#gateway.port);
    for (const [owner, waiting] of this.#waiting.entries()) {
      // The new one numbers nothing itself: it knows nothing of these, and may say so all the same.
      this.#over[owner]!.push(...waiting.splice(0));
    }
  }
}

/** What makes the hostile moderator misbehave stands at the beginning; nothing may be too long. */
function sayable(said: Omit<ModerationRequest, "tsMs">): Omit<ModerationRequest, "tsMs"> {
  return { ...said, text: said.text.slice(0, 300) };
}

for (const name of NAMES) {
  for (const slotCount of [1, 2, 16]) {
    test(`${name}, ${slotCount} slots: whom an upstream answers, it answers alone`, (t) => {
      const component = moderatorComponent(name);
      let reviewCount = 0;
      let failureCount = 0;
      fc.assert(
        fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
          const together = new Player(component, slotCount);
          const seen = steps.map((each) => {
            const answers = structuredClone(together.play(each));
            checkCanaries(together.host, TENANTS);
            return answers;
          });
          together.close();
          reviewCount += together.reviewCount;
          failureCount += JSON.stringify(seen).split('"malformed"').length - 1;
          assert.equal(together.host.stats.replayFailures, 0);
          for (let owner = 0; owner < TENANTS; owner++) {
            const alone = new Player(component, 1);
            for (const [index, { moves, after }] of steps.entries()) {
              const own = moves.filter((each) => each.tenant === owner);
              const answers = structuredClone(alone.play({ moves: own, after }));
              assert.deepEqual(answers[owner], seen[index]![owner]);
            }
            alone.close();
            assert.equal(alone.host.stats.replayFailures, 0);
            assert.equal(alone.host.isOpen(owner), together.host.isOpen(owner));
            if (!alone.host.isOpen(owner)) continue;
            assert.equal(alone.host.stateHash(owner), together.host.stateHash(owner));
            assert.equal(alone.host.strikeCount(owner), together.host.strikeCount(owner));
          }
        }),
        { numRuns: 20, seed: SEED },
      );
      assert.ok(reviewCount > 100, `${reviewCount} reviews`);
      t.diagnostic(`SEED=${SEED}: ${reviewCount} reviews, ${failureCount} malformed`);
    });
  }

  test(`${name}: a canary is found in a prompt of its own, so it would be in another's`, () => {
    const player = new Player(moderatorComponent(name), 2);
    const requests = [{ conversation: "c1", user: "ann", text: "?!! hello" }];
    const seen = player.play({ moves: [{ kind: "say", tenant: 3, requests }], after: "nothing" });
    player.close();
    const [, asked] = seen[3] as [unknown, { readonly prompt: string }];
    assert.ok(Buffer.from(asked.prompt, "hex").includes(canaryOf(3)));
    assert.throws(
      () => checkOwn(Buffer.from(asked.prompt, "hex"), 2, TENANTS, "it"),
      /3 in it of 2/,
    );
  });
}
