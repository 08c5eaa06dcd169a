// Guests that misbehave: each ends in exactly one Outcome, and their neighbours' answers and states
// are byte for byte what they are without them, in the same slots, of the same component.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { IsolateHost } from "#isolate/host.ts";
import { STRIKE_COUNT_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import { SPANS } from "#model/summary.ts";
import { ALL_SPANS } from "#model/window.ts";
import { Random } from "#std/random.ts";
import { commandBatch, hostileComponent, randomBatch } from "#testing/hostile-guest.ts";
import { writeBatch } from "#testing/batch.ts";
import { SEED } from "#testing/seed.ts";

const component = hostileComponent();
const report = new Uint32Array(5);
const fates = new Uint8Array(1024);

const SETTINGS = { clock: "wall", spans: ALL_SPANS } as const;
const NEIGHBOURS = 5;
const BAD = NEIGHBOURS;
const TURN_MS = 20;

/** What happens in one call; the guard decides about time. */
type Call = (host: IsolateHost) => Outcome;

const batch =
  (bytes: Uint8Array): Call =>
  (host) =>
    host.ingest(BAD, bytes, 0, bytes.length, report, fates);
const command = (...arguments_: Parameters<typeof commandBatch>) =>
  batch(commandBatch(...arguments_));
const plain = batch(writeBatch([{ tsMs: 8, text: "hello" }]));
const trending: Call = (host) => host.trending(BAD, 10, "trend").outcome;
const summary: Call = (host) => host.summary(BAD, "hour", 10).outcome;
const conversations: Call = (host) => host.conversations(BAD, 10).outcome;
const conversation: Call = (host) => host.conversation(BAD, "general").outcome;
const sketch: Call = (host) => host.sketch(BAD, "all").outcome;
const advance: Call = (host) => host.advance(BAD, 5);
const write: Call = (host) => {
  host.commitAll();
  return host.lastFailure(BAD) ?? "ok";
};

/** `calls`: all but the last end `ok`. */
const MISDEEDS: readonly { name: string; outcome: Outcome; calls: readonly Call[] }[] = [
  { name: "spins", outcome: "exceededTime", calls: [command("spin")] },
  {
    name: "spins in trending",
    outcome: "exceededTime",
    calls: [command("armTrending", 40), trending],
  },
  {
    name: "spins in advance",
    outcome: "exceededTime",
    calls: [command("armTrending", 43), advance],
  },
  { name: "spins in realloc", outcome: "exceededTime", calls: [command("armArena", 3), plain] },
  { name: "spins in post-return", outcome: "exceededTime", calls: [command("armArena", 4)] },
  { name: "grows", outcome: "exceededMemory", calls: [command("grow")] },
  { name: "grows by nothing", outcome: "exceededMemory", calls: [command("growByNothing")] },
  { name: "grows in realloc", outcome: "exceededMemory", calls: [command("armArena", 6), plain] },
  { name: "hogs its image", outcome: "exceededMemory", calls: [command("hog", 40), write] },
  { name: "traps", outcome: "trapped", calls: [command("trap")] },
  { name: "traps in trending", outcome: "trapped", calls: [command("armTrending", 41), trending] },
  { name: "traps in advance", outcome: "trapped", calls: [command("armTrending", 44), advance] },
  { name: "traps in realloc", outcome: "trapped", calls: [command("armArena", 2), plain] },
  { name: "traps in post-return", outcome: "trapped", calls: [command("armArena", 5)] },
  { name: "reads out of bounds", outcome: "trapped", calls: [command("outOfBounds")] },
  { name: "divides by zero", outcome: "trapped", calls: [command("divideByZero")] },
  { name: "recurses", outcome: "exceededStack", calls: [command("recurse")] },
  {
    name: "recurses in trending",
    outcome: "exceededStack",
    calls: [command("armTrending", 42), trending],
  },
  {
    name: "reallocs beyond the memory",
    outcome: "brokeContract",
    calls: [command("armArena", 1), plain],
  },
  {
    name: "reallocs at the edge",
    outcome: "brokeContract",
    calls: [command("armArena", 7), plain],
  },
  ...[
    [1, "a wild report"],
    [2, "a misaligned report"],
    [3, "fates without end"],
    [4, "fates beyond the memory"],
    [5, "too few fates"],
    [6, "counts that do not add up"],
    [7, "an unknown fate"],
    [8, "a report that passes the end"],
    [9, "an unknown fate and a refused metric"],
  ].map(([lie, name]) => ({
    name: `answers with ${name}`,
    outcome: "brokeContract" as const,
    calls: [command("lieNow", lie as number)],
  })),
  ...[
    [16, "a term that is not UTF-8"],
    [17, "an overlong term"],
    [18, "half a surrogate pair"],
    [19, "a term cut in a character"],
    [20, "a wild term"],
    [21, "a term without end"],
    [22, "a list without end"],
    [23, "a misaligned list"],
    [24, "a wild list"],
    [25, "an option that is neither"],
    [26, "a small memory that is much to read"],
    [27, "a list whose bytes pass 2^32"],
  ].map(([lie, name]) => ({
    name: `answers with ${name}`,
    outcome: "brokeContract" as const,
    calls: [command("armTrending", lie as number), trending],
  })),
  ...answers(summary, [
    [60, "a summary of another span"],
    [61, "a span that there is not"],
    [62, "a term in a summary that is not UTF-8"],
    [63, "terms without end"],
    [64, "wild metrics"],
    [65, "quantiles without end"],
    [66, "misaligned examples"],
    [67, "numbers whose bytes pass 2^32"],
    [68, "a kind of line that there is not"],
    [69, "a text that passes the end"],
    [70, "a line of a user that is neither"],
    [71, "few lines that are much to read"],
    [72, "a wild summary"],
    [73, "a misaligned summary"],
    [74, "a summary that passes the end"],
    [75, "an example with an option of 255"],
  ]),
  ...answers(conversations, [
    [80, "wild conversations"],
    [81, "conversations without end"],
    [82, "misaligned conversations"],
    [83, "a conversation whose name is cut in a character"],
    [84, "conversations whose bytes pass 2^32"],
  ]),
  ...answers(conversation, [
    [90, "a conversation that is neither"],
    [91, "wild participants"],
    [92, "a conversation that passes the end"],
    [93, "a participant with half a surrogate pair"],
  ]),
  ...answers(sketch, [
    [100, "a sketch without end"],
    [101, "a wild sketch"],
    [102, "a misaligned sketch"],
    [103, "a sketch that passes the end"],
  ]),
  ...(
    [
      ["spins in summary", 40, "exceededTime", summary],
      ["traps in conversations", 41, "trapped", conversations],
      ["recurses in conversation", 42, "exceededStack", conversation],
      ["traps in sketch", 41, "trapped", sketch],
    ] as const
  ).map(([name, deed, outcome, call]) => ({
    name,
    outcome,
    calls: [command("armTrending", deed), call],
  })),
  ...(
    [
      ["reallocs a name beyond the memory", 1, "brokeContract"],
      ["traps in the realloc of a name", 2, "trapped"],
      ["grows in the realloc of a name", 6, "exceededMemory"],
      ["reallocs a name at the edge", 7, "brokeContract"],
    ] as const
  ).map(([name, lie, outcome]) => ({
    name,
    outcome,
    calls: [command("armArena", lie), conversation],
  })),
];

/** Lies in the answer to one question, by their numbers in lie-summary.ts. */
function answers(call: Call, lies: readonly (readonly [lie: number, name: string])[]) {
  return lies.map(([lie, name]) => ({
    name: `answers with ${name}`,
    outcome: "brokeContract" as const,
    calls: [command("armTrending", lie), call],
  }));
}

function newHost(slotCount: number): IsolateHost {
  return new IsolateHost({
    slotCount,
    imageBytesMax: 64 << 20,
    tenantCountMax: NEIGHBOURS + 1,
    turnMsMax: TURN_MS,
  });
}

/** Makes a call in a slice of its own; a thread without CPU makes it again. */
function guarded(host: IsolateHost, call: Call): Outcome {
  for (;;) {
    let outcome: Outcome = "exceededTime";
    const turns = host.stats.turns;
    const strikes = host.strikeCount(BAD);
    const end = host.runSlice(() => void (outcome = call(host)));
    if (end === "done") return outcome;
    if (host.timedOutTenant !== -1) return "exceededTime";
    if (host.stats.turns > turns) return "ok";
    // It had ended when the guard came for nobody.
    if (host.strikeCount(BAD) > strikes) return host.lastFailure(BAD)!;
  }
}

/** What one question, by chance, is answered. */
function answerOf(host: IsolateHost, tenant: number, random: Random): string {
  const limit = random.below(10);
  const { outcome, report: answer } = [
    () => host.trending(tenant, limit, "trend"),
    () => host.summary(tenant, SPANS[limit % SPANS.length]!, limit),
    () => host.conversations(tenant, limit),
    () => host.conversation(tenant, "x".repeat(limit)),
    () => host.sketch(tenant, "day"),
  ][random.below(5)]!();
  assert.equal(outcome, "ok");
  return JSON.stringify(answer) ?? "none";
}

/**
 * Drives the neighbours by chance, with `misdeed` in between; hashes everything they answer and
 * are.
 */
function neighbourTrace(slotCount: number, seed: number, misdeed?: readonly Call[]): string {
  const random = new Random(seed);
  const host = newHost(slotCount);
  const number = host.admit(component);
  const hash = createHash("sha256");
  if (misdeed !== undefined) assert.equal(host.open(BAD, number, SETTINGS), "ok");
  for (let tenant = 0; tenant < NEIGHBOURS; tenant++) {
    assert.equal(host.open(tenant, number, { clock: "event", spans: ALL_SPANS }), "ok");
  }
  const stepCount = 60;
  for (let step = 0; step < stepCount; step++) {
    const tenant = random.below(NEIGHBOURS);
    const bytes = randomBatch(random);
    const neighbour = guarded(host, () =>
      host.ingest(tenant, bytes, 0, bytes.length, report, fates),
    );
    assert.equal(neighbour, "ok");
    hash.update(report);
    hash.update(answerOf(host, tenant, random));
    const call = misdeed?.[step - 20];
    if (call !== undefined) guarded(host, call);
  }
  for (let tenant = 0; tenant < NEIGHBOURS; tenant++) hash.update(host.stateHash(tenant));
  return hash.digest("hex");
}

const undisturbed = new Map([1, 2, 16].map((count) => [count, neighbourTrace(count, SEED)]));

test("answers and states do not depend on how many slots there are", () => {
  assert.equal(new Set(undisturbed.values()).size, 1);
});

for (const { name, outcome, calls } of MISDEEDS) {
  test(`a guest that ${name} ends ${outcome} and is where it was`, () => {
    const host = newHost(2);
    const number = host.admit(component);
    assert.equal(host.open(BAD, number, SETTINGS), "ok");
    assert.equal(guarded(host, plain), "ok");
    for (const call of calls.slice(0, -1)) assert.equal(guarded(host, call), "ok");
    // A hog's state is too large to be written: it is back where it was written last.
    if (!name.startsWith("hogs")) host.commitAll();
    const before = name.startsWith("hogs") ? undefined : host.stateHash(BAD);
    assert.equal(guarded(host, calls.at(-1)!), outcome);
    assert.equal(host.lastFailure(BAD), outcome);
    assert.equal(host.strikeCount(BAD), 1);
    assert.equal(host.stats.outcomes[outcome], 1);
    if (before !== undefined) assert.equal(host.stateHash(BAD), before);
  });

  test(`the neighbours of a guest that ${name} see nothing of it`, () => {
    for (const [slotCount, trace] of undisturbed) {
      assert.equal(neighbourTrace(slotCount, SEED, calls), trace, `${slotCount} slots`);
    }
  });
}

test(`after ${STRIKE_COUNT_MAX} strikes a tenant is quarantined until it is released`, () => {
  const host = newHost(2);
  const number = host.admit(component);
  host.open(BAD, number, SETTINGS);
  assert.equal(plain(host), "ok");
  const before = host.stateHash(BAD);
  for (let strike = 1; strike <= STRIKE_COUNT_MAX; strike++) {
    assert.equal(host.quarantined(BAD), false);
    assert.equal(command("trap")(host), "trapped");
    assert.equal(host.strikeCount(BAD), strike);
  }
  assert.equal(host.quarantined(BAD), true);
  const calls = [plain, trending, advance, summary, conversations, conversation, sketch];
  for (const call of calls) assert.equal(call(host), "quarantined");
  assert.equal(host.reconfigure(BAD, SETTINGS), "quarantined");
  assert.equal(host.stats.outcomes.quarantined, calls.length + 1);
  assert.equal(host.stateHash(BAD), before);
  host.release(BAD);
  assert.equal(plain(host), "ok");
  assert.notEqual(host.stateHash(BAD), before);
});

test("a tenant never finds another's bytes, in any slot", () => {
  const random = new Random(SEED);
  for (const slotCount of [1, 2, 3]) {
    const host = newHost(slotCount);
    const number = host.admit(component);
    for (let tenant = 0; tenant < NEIGHBOURS; tenant++) {
      assert.equal(host.open(tenant, number, SETTINGS), "ok");
    }
    for (let step = 0; step < 300; step++) {
      const tenant = random.below(NEIGHBOURS);
      const deed = random.chance(1, 2) ? "paint" : "search";
      const bytes = random.chance(1, 12) ? commandBatch("trap") : commandBatch(deed, tenant + 1);
      host.ingest(tenant, bytes, 0, bytes.length, report, fates);
      host.release(tenant);
      const { report: answer } = host.trending(tenant, 1, "trend");
      assert.equal(answer?.userCount, 0, `SEED=${SEED} slots ${slotCount} tenant ${tenant}`);
    }
    assert.ok(host.stats.evictions > 50);
  }
});

test("the search of the last test does find what it looks for", () => {
  const host = newHost(1);
  host.open(0, host.admit(component), SETTINGS);
  for (const bytes of [commandBatch("paint", 1), commandBatch("search", 2)]) {
    assert.equal(host.ingest(0, bytes, 0, bytes.length, report, fates), "ok");
  }
  assert.equal(host.trending(0, 1, "trend").report?.userCount, (12 * 4096) / 4);
});
