import assert from "node:assert/strict";
import test from "node:test";
import { JUDGE_BYTES_MAX, POLICY_BYTES_MAX, STRIKE_COUNT_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import {
  CLASSIFIER,
  GlassModeratorHost,
  moderatorComponent,
  requestBytes,
} from "#testing/moderating.ts";
import { hostileComponent } from "#testing/hostile-guest.ts";
import { IsolateHost } from "./host.ts";
import { ModeratorHost } from "./moderator-host.ts";

const component = moderatorComponent("hostile-moderator");
const POLICY = Buffer.alloc(104, 7);

function newHost(options: ConstructorParameters<typeof GlassModeratorHost>[0] = {}) {
  const host = new GlassModeratorHost(options);
  const number = host.admit(component);
  for (let tenant = 0; tenant < 4; tenant++) assert.equal(host.open(tenant, number, POLICY), "ok");
  return host;
}

test("a message is judged and remembered; its conversation is told and forgotten", () => {
  const host = newHost();
  const first = host.say(0, { id: "1", user: "ann", conversation: "c", text: "hello 🎉" });
  assert.equal(first.outcome, "ok");
  assert.deepEqual(first.report?.contextUsed, []);
  assert.equal(first.report.reason, "hello 🎉");
  assert.equal(first.report.policyVersion, 0x07070707);
  const second = host.say(0, { conversation: "c", text: "and again", doNotStore: true });
  assert.deepEqual(
    second.report?.contextUsed.map(({ id }) => id),
    ["1"],
  );
  const turns = host.conversation(0, "c");
  assert.deepEqual(
    turns.report?.map(({ id, user, text }) => ({ id, user, text })),
    [{ id: "1", user: "ann", text: "hello 🎉" }],
  );
  assert.deepEqual(host.conversation(1, "c"), { outcome: "ok", report: [] });
  assert.equal(host.usage(0).report?.judgedCount, 2);
  assert.deepEqual(host.forget(0, "c"), { outcome: "ok", report: true });
  assert.deepEqual(host.forget(0, "c"), { outcome: "ok", report: false });
  assert.deepEqual(host.conversation(0, "x".repeat(129)), { outcome: "ok", report: [] });
  assert.deepEqual(host.forget(0, "x".repeat(129)), { outcome: "ok", report: false });
});

test("the longest request and policy fit; the classifier's rows come as they are", () => {
  const host = newHost();
  const context = Array.from({ length: 8 }, () => ({ text: "y".repeat(4096) }));
  const bytes = requestBytes({ text: "x".repeat(16_384), context });
  assert.ok(bytes.length > JUDGE_BYTES_MAX - 64);
  assert.equal(host.judge(0, bytes, 0, bytes.length).outcome, "ok");
  assert.equal(host.configure(0, Buffer.alloc(POLICY_BYTES_MAX, 1)), "ok");
  const row = 0x0807060504030201n;
  const imports = { messageRow: () => row, replyRow: () => 0n, parameter: () => 0.5 };
  const scores = [imports, CLASSIFIER].map((each) => {
    const options = { slotCount: 1, imageBytesMax: 1 << 20, tenantCountMax: 1, guarded: false };
    const other = new ModeratorHost(options, each);
    other.open(0, other.admit(component), POLICY);
    const request = requestBytes({ text: "the same" });
    return other.judge(0, request, 0, request.length).report!.scores;
  });
  assert.notDeepEqual(scores[0], scores[1]);
});

const MISDEEDS: readonly (readonly [text: string, outcome: Outcome])[] = [
  ["!spin", "exceededTime"],
  ["!trap", "trapped"],
  ["!grow", "exceededMemory"],
  ["!deep", "exceededStack"],
  ["!lie0", "brokeContract"],
  ["!lie1", "brokeContract"],
  ["!lie2", "brokeContract"],
  ["!lie3", "brokeContract"],
  ["!lie4", "brokeContract"],
  ["!lie5", "brokeContract"],
  ["!lie6", "brokeContract"],
  ["!lie7", "brokeContract"],
  ["!lie8", "brokeContract"],
  ["!lie9", "brokeContract"],
];

for (const [text, outcome] of MISDEEDS) {
  test(`a moderator that does ${text} ends ${outcome}, leaves no trace, and hurts nobody`, () => {
    const host = newHost({ guarded: true, turnMsMax: 20 });
    const quiet = newHost();
    const hello = { conversation: "c", text: "hello", tsMs: 5 };
    for (const each of [host, quiet]) for (const tenant of [0, 1]) each.say(tenant, hello);
    const before = host.stateHash(0);
    for (let strike = 1; strike <= STRIKE_COUNT_MAX; strike++) {
      assert.equal(guarded(host, 0, text), outcome);
      assert.equal(host.strikeCount(0), strike);
    }
    assert.equal(host.lastFailure(0), outcome);
    assert.equal(guarded(host, 0, "hello"), "quarantined");
    assert.equal(host.stateHash(0), before);
    for (const each of [host, quiet]) each.say(1, hello);
    assert.equal(host.stateHash(1), quiet.stateHash(1));
    host.release(0);
    assert.deepEqual(host.say(0, hello), quiet.say(0, hello));
    assert.equal(host.stateHash(0), quiet.stateHash(0));
  });
}

/** A turn under the guard. */
function guarded(host: GlassModeratorHost, tenant: number, text: string): Outcome {
  let outcome: Outcome | undefined;
  const turn = (): void => {
    ({ outcome } = host.say(tenant, { conversation: "c", text, tsMs: 6 }));
  };
  const ended = (): boolean => host.runSlice(turn) === "done" || outcome !== undefined;
  while (!ended() && host.timedOutTenant === -1);
  return outcome ?? "exceededTime";
}

test("a moderator that hogs its image is put back to the last one", () => {
  const host = newHost({ slotCount: 1 });
  host.say(0, { conversation: "c", text: "hello", tsMs: 5 });
  const before = host.stateHash(0);
  assert.equal(host.say(0, { text: "!hog!!" }).outcome, "ok");
  assert.equal(host.stateHash(0), before);
  assert.equal(host.lastFailure(0), "exceededMemory");
});

test("images of two worlds are under one bound, and each may still rest what it has", () => {
  const imageBytesMax = 64 * 1024;
  const options = { slotCount: 2, imageBytesMax, tenantCountMax: 400, guarded: false };
  const summarizers = new IsolateHost(options);
  const moderators = new ModeratorHost({ ...options, sharesWith: summarizers }, CLASSIFIER);
  const judge = moderators.admit(component);
  const sum = summarizers.admit(hostileComponent());
  const request = requestBytes({ conversation: "c", text: "hello" });
  let opened = 0;
  while (moderators.open(opened, judge, POLICY) === "ok") {
    moderators.judge(opened, request, 0, request.length);
    opened += 1;
    assert.ok(opened < 400);
  }
  assert.equal(summarizers.open(0, sum, { clock: "wall", spans: 31 }), "refused");
  assert.equal(moderators.judge(0, request, 0, request.length).outcome, "refused");
  assert.equal(moderators.conversation(0, "c").report?.length, 1);
  for (let tenant = 0; tenant < opened; tenant++) moderators.close(tenant);
  assert.equal(summarizers.open(0, sum, { clock: "wall", spans: 31 }), "ok");
});
