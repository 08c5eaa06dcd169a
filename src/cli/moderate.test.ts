import { VERDICT_EXAMPLE, MESSAGE_EXAMPLE } from "#api/moderation-examples.ts";
import type { VerdictAnswer } from "#model/verdict-answer.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { assembleServer } from "./server.ts";
import {
  moderate,
  type ModerateOptions,
  renderLine,
  renderVerdict,
  upstreamWords,
} from "./moderate.ts";
import { COLUMNS, widthOf } from "./terminal.ts";

const VERDICT = VERDICT_EXAMPLE as unknown as VerdictAnswer;

test("moderate: a verdict as text says what, why, by which scores, and what was read", () => {
  const text = renderVerdict(VERDICT, MESSAGE_EXAMPLE.text);
  assert.match(text, /^acme · flag ─+ severity 61 of 100\n/);
  assert.match(text, /“nobody wants you here, you idiot”/);
  assert.match(text, /Insult 0\.93 is over the threshold 0\.65/);
  assert.match(text, /!insult \.93\/\.65 +!toxicity \.91\/\.60/);
  assert.match(text, / profanity \.08\s/, "without a threshold it is off");
  assert.match(text, /context: 1 message \(1 replied to\)/);
  assert.match(text, /language: en \(detected\), judged in full/);
  assert.match(text, /by the default policy, nexuscore-embedded-1\+[\w.]+;\s+v_\w+/);
});

test("moderate: what became of a second opinion is told, and what stands without one", () => {
  const asked = { model: "m", waitMs: 811.7 };
  const told = (upstream: VerdictAnswer["upstream"], degraded: boolean) =>
    upstreamWords({ ...VERDICT, upstream, degraded } as VerdictAnswer);
  assert.equal(told(undefined, false), undefined);
  assert.equal(
    told({ ...asked, outcome: "answered", detail: undefined }, false),
    "m was asked and answered in 812 ms",
  );
  assert.equal(
    told({ ...asked, outcome: "timedOut", detail: "No answer in time." }, true),
    "without the opinion of m (timedOut, 812 ms: No answer in time); " +
      "the verdict is the embedded one",
  );
});

test("moderate: a policy that only observes, lists, weak languages and warnings are told", () => {
  const text = renderVerdict(
    {
      ...VERDICT,
      action: "allow",
      proposedAction: "block",
      language: { tag: "de", source: "given", support: "lists" },
      listEntry: "free nitro",
      policy: { version: 3, source: "tenant" },
      contextUsed: [],
      warnings: [{ code: "contextShortened", message: "Of 40 messages the newest 16 were read." }],
    },
    "x",
  );
  assert.match(text, /^acme · allow \(would be: block\) ─/);
  assert.match(text, /de \(given\), judged by word lists alone/);
  assert.match(text, /list entry: free nitro/);
  assert.match(text, /warning: Of 40 messages/);
  assert.match(text, /by policy 3,/);
  assert.match(text, /context: none/);
});

test("moderate: no line is too long, and no text of others reaches the terminal raw", () => {
  const wild = `\u001B[31m${"long ".repeat(60)}${"漢".repeat(90)}\u202E`;
  const verdict = { ...VERDICT, tenant: "t".repeat(64), reason: wild, listEntry: wild };
  const full = renderVerdict(verdict, wild);
  const lines = [
    renderLine(VERDICT, wild),
    renderLine({ index: 0, problem: { detail: wild } }, ""),
  ];
  for (const line of [...full.split("\n"), ...lines]) {
    assert.ok(widthOf(line) <= COLUMNS || /^t{64}/.test(line), line);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(line, /[\u0000-\u001F\u202E]/);
  }
  assert.match(lines[0] ?? "", /^flag {3}61 insult \.93 +·\[31mlong/);
});

async function run(t: TestContext, options: Partial<ModerateOptions>): Promise<string> {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  t.after(async () => server.close());
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const printed: string[] = [];
  t.mock.method(process.stdout, "write", (text: unknown) => {
    printed.push(String(text));
    return true;
  });
  const input = Readable.from([]);
  try {
    const usual = { url, tenant: "acme", text: "", message: {}, json: false, input };
    await moderate({ ...usual, ...options });
  } finally {
    t.mock.restoreAll();
  }
  return printed.join("");
}

test("moderate: a text is judged; as JSON it is the server's answer", async (t) => {
  assert.match(await run(t, { text: "you idiot" }), /^acme · flag/);
  const message = { user: "eve", doNotStore: true };
  const json = JSON.parse(
    await run(t, { text: "you idiot", message, json: true }),
  ) as VerdictAnswer;
  assert.deepEqual([json.action, json.user], ["flag", "eve"]);
});

test("moderate: each line is a message; what is wrong with one ends no other", async (t) => {
  const lines = [
    "hello",
    "",
    "you idiot",
    "x".repeat(20_000),
    ...Array.from({ length: 150 }, () => "hi"),
  ];
  const text = await run(t, { input: Readable.from([lines.join("\n")]) });
  const printed = text.trimEnd().split("\n");
  assert.equal(printed.length, 153);
  assert.match(printed[0] ?? "", /^allow {3}2 +hello$/);
  assert.match(printed[1] ?? "", /^flag {3}92 insult \.92 +you idiot$/);
  assert.match(printed[2] ?? "", /^error {5}In the message: \/text has 20000 bytes/);
  const json = await run(t, { input: Readable.from([lines.join("\n")]), json: true });
  const values = json
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { index?: number });
  assert.deepEqual(
    values.map(({ index }) => index).filter((index) => index !== undefined),
    [2],
  );
});

test("moderate: lines that no server takes cost themselves, not those beside them", async (t) => {
  const lines = Array.from({ length: 40 }, (_, n) =>
    n % 2 === 0 ? "\u0001".repeat(90_000) : "hi",
  );
  lines.push("x".repeat(3_000_000), "you idiot");
  const text = await run(t, { input: Readable.from([lines.join("\n")]) });
  const words = text
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(0, 5).trim());
  assert.deepEqual(words, [
    ...Array.from({ length: 20 }, () => ["error", "allow"]).flat(),
    "error",
    "flag",
  ]);
});

test("moderate: without a text and without lines it says so", async (t) => {
  await assert.rejects(run(t, {}), /no text to judge/);
});

test("moderate: a conversation goes on from line to line", async (t) => {
  const input = Readable.from(["one\ntwo\n"]);
  const json = await run(t, { input, json: true, message: { conversation: "general" } });
  const [, second] = json
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as VerdictAnswer);
  assert.equal(second?.contextUsed.length, 1);
});
