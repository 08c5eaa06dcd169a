// A moderator that asks the upstream and waits: what is asked, what comes of the answer, and what
// happens to those who do it wrong.
import assert from "node:assert/strict";
import test from "node:test";
import { CONSULTATION_FAILURES, judgementBytes } from "#model/consultation.ts";
import { PROMPT_BYTES_MAX, REVIEWS_OPEN_MAX, STRIKE_COUNT_MAX } from "#model/limits.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import type { Outcome } from "#model/outcome.ts";
import { readPromptParts } from "#model/prompt-parts.ts";
import { GlassModeratorHost, moderatorComponent } from "#testing/moderating.ts";
import type { AskedReview, BegunReview } from "./moderator-host.ts";
import { CALL_NUMBER_MAX } from "./review-turn.ts";

const component = moderatorComponent("hostile-moderator");
const POLICY = Buffer.alloc(104, 7);
const MALFORMED = CONSULTATION_FAILURES.indexOf("malformed");
const SCORES = CATEGORIES.map((_, category) => category / 16);

function newHost(options: ConstructorParameters<typeof GlassModeratorHost>[0] = {}, tenants = 4) {
  const host = new GlassModeratorHost(options);
  const number = host.admit(component);
  for (let tenant = 0; tenant < tenants; tenant++) {
    assert.equal(host.open(tenant, number, POLICY), "ok");
  }
  return host;
}

function saying(text: string, conversation = "c"): ModerationRequest {
  return { conversation, user: "ann", text, tsMs: 5 };
}

/** Judges and begins the review, as a shard does. */
function ask(host: GlassModeratorHost, tenant: number, call: number, text: string): BegunReview {
  host.say(tenant, saying(text));
  return host.review(tenant, call, saying(text));
}

function askedOf({ outcome, asked, opinion }: BegunReview): AskedReview {
  assert.equal(outcome, "ok");
  assert.equal(opinion, undefined);
  assert.ok(asked !== undefined);
  return asked;
}

function end(
  host: GlassModeratorHost,
  tenant: number,
  call: number,
  asked: AskedReview,
  reason: string,
) {
  return host.endReview(tenant, call, asked.resultAt, undefined, judgementBytes(SCORES, reason));
}

test("a tenant that waits leaves its slot, lives on, and has its own answer in any slot", () => {
  const host = newHost({ slotCount: 2 }, 10);
  const tenants = Array.from({ length: 10 }, (_, tenant) => tenant);
  const asked = tenants.map((tenant) => askedOf(ask(host, tenant, 1, `tenant ${tenant} asks`)));
  for (const tenant of tenants) host.say(tenant, saying("and goes on"));
  for (const tenant of [3, 1, 9, 0, 2, 8, 4, 7, 5, 6]) {
    const { job, prompt, resultAt } = asked[tenant]!;
    assert.equal(job, "moderation");
    const parts = readPromptParts(prompt)!;
    assert.deepEqual(
      parts.map(({ kind, name }) => [kind, name]),
      [
        ["policy", ""],
        ["turn", "ann"],
        ["subject", "ann"],
      ],
    );
    assert.equal(parts.at(-1)!.text, `tenant ${tenant} asks`);
    const answer = judgementBytes(SCORES, `about ${tenant}`);
    // Somewhere within other bytes.
    const around = Buffer.concat([Buffer.alloc(7, 0xff), answer, Buffer.alloc(3, 0xff)]);
    const { outcome, opinion } = host.endReview(
      tenant,
      1,
      resultAt,
      undefined,
      around,
      7,
      answer.length,
    );
    assert.equal(outcome, "ok");
    assert.deepEqual(opinion?.scores, SCORES);
    assert.equal(opinion.reason, `about ${tenant}`);
    assert.equal(opinion.applied, true);
  }
});

test("a prompt is the caller's own: no later turn changes it, and its bytes can be sent", () => {
  const host = newHost();
  const { prompt } = askedOf(ask(host, 0, 1, "first"));
  const before = Buffer.from(prompt);
  ask(host, 1, 1, "second");
  assert.deepEqual(prompt, before);
  assert.equal(prompt.byteLength, prompt.buffer.byteLength);
  const sent = structuredClone(prompt.buffer, { transfer: [prompt.buffer as ArrayBuffer] });
  assert.deepEqual(Buffer.from(sent), before);
});

test("every failure is told as what it is; the state is as if nothing had been asked", () => {
  const [host, quiet] = [newHost(), newHost()];
  for (const [failure, name] of CONSULTATION_FAILURES.entries()) {
    const { resultAt } = askedOf(ask(host, 0, CALL_NUMBER_MAX - failure, name));
    quiet.say(0, saying(name));
    assert.notEqual(host.stateHash(0), quiet.stateHash(0));
    const { outcome, opinion } = host.endReview(0, CALL_NUMBER_MAX - failure, resultAt, failure);
    assert.equal(outcome, "ok");
    assert.equal(opinion?.severity, failure);
    assert.equal(opinion.applied, false);
    assert.equal(host.stateHash(0), quiet.stateHash(0), name);
  }
});

test("a job that is not a moderator's is answered at once; a review may ask nothing", () => {
  const [host, quiet] = [newHost(), newHost()];
  for (const text of ["?bi", "?bj"]) {
    const { outcome, asked, opinion } = ask(host, 0, 1, text);
    quiet.say(0, saying(text));
    assert.equal(outcome, "ok");
    assert.equal(asked, undefined);
    assert.equal(opinion?.applied, false);
  }
  assert.equal(host.stateHash(0), quiet.stateHash(0));
});

test("as many calls wait as a tenant may have; one more asks nothing, and hurts none", () => {
  const host = newHost({ slotCount: 1 });
  const asked = Array.from({ length: REVIEWS_OPEN_MAX }, (_, index) =>
    askedOf(ask(host, 0, index + 1, `${index}`)),
  );
  const { outcome, opinion } = ask(host, 0, 99, "one more");
  assert.equal(outcome, "ok");
  assert.equal(opinion?.applied, false);
  ask(host, 1, 1, "the other takes the only slot");
  for (const [index, each] of asked.entries()) {
    assert.equal(end(host, 0, index + 1, each, `${index}`).opinion?.reason, `${index}`);
  }
});

const BEGINNINGS: Readonly<Record<string, Outcome>> = {
  b0: "brokeContract", // It waits, and has not asked.
  b1: "brokeContract", // It asks twice.
  b2: "brokeContract", // The answer shall go behind the memory,
  b3: "brokeContract", // or where it is not aligned.
  b4: "brokeContract", // The prompt is too long,
  b5: "brokeContract", // is no parts,
  b6: "brokeContract", // is behind the memory.
  b7: "brokeContract", // There is no such job.
  b8: "brokeContract", // It ends while its call is open,
  b9: "brokeContract", // waits for an empty set,
  ba: "brokeContract", // waits for another's set.
  bb: "brokeContract", // It ends without a result,
  bc: "brokeContract", // with two,
  bd: "brokeContract", // with one and a call that is open.
  be: "trapped",
  bf: "exceededTime",
  bg: "brokeContract", // It drops a call that has not returned,
  bh: "brokeContract", // uses a handle of nobody's.
  bk: "brokeContract", // Its opinion has eight scores,
  bl: "brokeContract", // no action,
  bm: "brokeContract", // a score that is no number,
  bn: "brokeContract", // a severity beyond the scale,
  bo: "brokeContract", // scores behind the memory.
  bp: "brokeContract", // It yields.
  bq: "brokeContract", // It drops the set that its call is in,
  br: "brokeContract", // or its call, and ends as if it had not asked.
};

for (const [misdeed, outcome] of Object.entries(BEGINNINGS)) {
  test(`a review that begins with ${misdeed} is ${outcome}, asks nothing, leaves no trace`, () => {
    const host = newHost({ guarded: true, turnMsMax: 20 });
    const quiet = newHost();
    for (const each of [host, quiet]) each.say(0, saying(`?${misdeed}`));
    // As long as the other: whatever is left of its prompt would do for the other's.
    const open = askedOf(host.review(0, 7, saying("yes")));
    const before = host.stateHash(0);
    for (let strike = 1; strike <= STRIKE_COUNT_MAX; strike++) {
      const begun = guarded(host, 0, () => host.review(0, 8, saying(`?${misdeed}`)));
      assert.deepEqual(begun ?? { ...CUT_OFF, asked: undefined }, {
        outcome,
        asked: undefined,
        opinion: undefined,
      });
      assert.equal(host.strikeCount(0), strike);
    }
    assert.equal(host.review(0, 8, saying("fair")).outcome, "quarantined");
    assert.equal(end(host, 0, 7, open, "late").outcome, "quarantined");
    assert.equal(host.stateHash(0), before);
    host.release(0);
    assert.equal(end(host, 0, 7, open, "late").opinion?.reason, "late");
    assert.equal(host.stateHash(0), quiet.stateHash(0));
  });
}

const ENDINGS: Readonly<Record<string, Outcome>> = {
  a0: "trapped",
  a1: "exceededTime",
  a2: "brokeContract", // It waits again.
  a3: "brokeContract", // It keeps its call,
  a4: "brokeContract", // its set.
  a5: "brokeContract", // It drops its call twice.
  a6: "brokeContract", // It ends without a result,
  a7: "brokeContract", // with two.
  a8: "brokeContract", // It asks again.
  a9: "brokeContract", // It uses a handle of another's.
  aa: "brokeContract", // It flags what is no category.
  ab: "brokeContract", // It makes another set.
};

for (const [misdeed, outcome] of Object.entries(ENDINGS)) {
  test(`a review that ends with ${misdeed} is ${outcome}, still waits, is told once more`, () => {
    const host = newHost({ guarded: true, turnMsMax: 20 });
    const quiet = newHost();
    for (const each of [host, quiet]) each.say(0, saying(`?${misdeed}`));
    const asked = askedOf(host.review(0, 7, saying(`?${misdeed}`)));
    const before = host.stateHash(0);
    const ended = guarded(host, 0, () => end(host, 0, 7, asked, "answer"));
    assert.deepEqual(ended ?? CUT_OFF, { outcome, opinion: undefined });
    assert.equal(host.strikeCount(0), 1);
    assert.equal(host.stateHash(0), before);
    const { opinion } = host.endReview(0, 7, asked.resultAt, MALFORMED);
    assert.equal(opinion?.severity, MALFORMED);
    assert.equal(host.stateHash(0), quiet.stateHash(0));
  });
}

test("a task that fails whatever it is told stays open in its tenant, and only that", () => {
  const host = newHost();
  const asked = askedOf(ask(host, 0, 7, "?ac"));
  assert.equal(end(host, 0, 7, asked, "answer").outcome, "trapped");
  assert.equal(host.endReview(0, 7, asked.resultAt, MALFORMED).outcome, "trapped");
  assert.equal(askedOf(ask(host, 0, 8, "fair")).job, "moderation");
});

test("whoever is judged asks nothing, also after a review was cut off", () => {
  const host = newHost({ guarded: true, turnMsMax: 20, slotCount: 1 });
  host.say(0, saying("?bf"));
  // Nothing is done again then, which would end the review's turn, too.
  host.commitAll();
  guarded(host, 0, () => host.review(0, 1, saying("?bf")));
  for (const text of ["?j1", "?j0", "?j2"]) {
    assert.equal(host.say(1, saying(text)).outcome, "brokeContract", text);
    assert.equal(host.review(0, 1, saying("fair")).outcome, "ok");
    assert.equal(host.say(2, saying(text)).outcome, "brokeContract", text);
  }
});

test("an answer to a call that was never made is the tenant's own end of a turn", () => {
  const host = newHost();
  const asked = askedOf(ask(host, 0, 1, "fair"));
  assert.equal(end(host, 0, 2, asked, "whose?").outcome, "trapped");
  assert.equal(end(host, 1, 1, asked, "whose?").outcome, "trapped");
  assert.equal(end(host, 0, 1, asked, "mine").opinion?.reason, "mine");
  assert.equal(end(host, 0, 1, asked, "twice").outcome, "trapped");
});

test("without room for another image no review begins, and those that wait end", () => {
  const imageBytesMax = 96 * 1024;
  const host = new GlassModeratorHost({ slotCount: 2, imageBytesMax, tenantCountMax: 400 });
  const number = host.admit(component);
  assert.equal(host.open(0, number, POLICY), "ok");
  const asked = askedOf(ask(host, 0, 1, "fair"));
  let tenant = 1;
  while (host.open(tenant, number, POLICY) === "ok") {
    host.say(tenant, saying("x".repeat(500)));
    host.commitAll();
    tenant += 1;
    assert.ok(tenant < 400);
  }
  assert.equal(host.review(0, 2, saying("fair")).outcome, "refused");
  assert.equal(end(host, 0, 1, asked, "fair").opinion?.reason, "fair");
});

test("the longest request and answer fit; prompts are as long as they may be", () => {
  const host = newHost();
  const request = { text: "x".repeat(16_384), context: [{ text: "y".repeat(4096) }] };
  const asked = askedOf(host.review(0, 1, request));
  assert.ok(asked.prompt.length > 4096 && asked.prompt.length <= PROMPT_BYTES_MAX);
  const reason = "z".repeat(8 * 1024 - 38);
  assert.equal(end(host, 0, 1, asked, reason).opinion?.reason, reason);
});

const CUT_OFF = { outcome: "exceededTime", opinion: undefined } as const;

/** A turn under the guard; undefined: it was cut off. */
function guarded<Ended>(
  host: GlassModeratorHost,
  tenant: number,
  turn: () => Ended,
): Ended | undefined {
  let ended: Ended | undefined;
  const slice = (): void => {
    ended = turn();
  };
  while (host.runSlice(slice) !== "done" && ended === undefined) {
    if (host.timedOutTenant === -1) continue;
    assert.equal(host.timedOutTenant, tenant);
    return undefined;
  }
  return ended;
}
