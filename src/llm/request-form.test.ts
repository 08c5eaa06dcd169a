import assert from "node:assert/strict";
import test from "node:test";
import { type Job, JOBS } from "#model/consultation.ts";
import { requestForm } from "./request-form.ts";

type Settings = Parameters<typeof requestForm>[1];
const SETTINGS: Settings = { model: "small-1", structuredOutput: "schema" };

/** As it is sent. */
function bodyOf(settings: Partial<Settings>, job: Job = "moderation"): Record<string, unknown> {
  const { before, isCounted, after } = requestForm(job, { ...SETTINGS, ...settings });
  const tokens = isCounted ? "256" : "";
  const body = `${before.toString()}${tokens}${after.toString()}"hello"}]}`;
  return JSON.parse(body) as Record<string, unknown>;
}

test("a request has the model, the bound, the schema and two messages", () => {
  const body = bodyOf({});
  assert.deepEqual(Object.keys(body), [
    "model",
    "temperature",
    "response_format",
    "max_tokens",
    "messages",
  ]);
  assert.deepEqual([body["model"], body["temperature"], body["max_tokens"]], ["small-1", 0, 256]);
  const [system, user] = body["messages"] as { role: string; content: string }[];
  assert.equal(system!.role, "system");
  assert.deepEqual(user, { role: "user", content: "hello" });
});

test("a server that knows less is asked for less", () => {
  assert.deepEqual(bodyOf({ structuredOutput: "object" })["response_format"], {
    type: "json_object",
  });
  assert.ok(!("response_format" in bodyOf({ structuredOutput: "none" })));
  for (const job of JOBS) {
    const body = JSON.stringify(bodyOf({ structuredOutput: "none" }, job));
    assert.match(body, /JSON object/, "some servers refuse json_object without the word");
  }
});

test("what a server wants beside it comes in its place", () => {
  const extras: readonly { extra: object; has: object; lacks: readonly string[] }[] = [
    { extra: { seed: 7, top_p: 1 }, has: { seed: 7, top_p: 1, max_tokens: 256 }, lacks: [] },
    { extra: { temperature: null }, has: {}, lacks: ["temperature"] },
    { extra: { temperature: 1 }, has: { temperature: 1 }, lacks: [] },
    {
      extra: { max_completion_tokens: null },
      has: { max_completion_tokens: 256 },
      lacks: ["max_tokens"],
    },
    {
      extra: { max_completion_tokens: 4_000 },
      has: { max_completion_tokens: 4_000 },
      lacks: ["max_tokens"],
    },
    { extra: { max_tokens: 99 }, has: { max_tokens: 99 }, lacks: [] },
    { extra: { messages: [], stream: true }, has: {}, lacks: ["stream"] },
  ];
  for (const { extra, has, lacks } of extras) {
    const body = bodyOf({ extra: extra as Record<string, unknown> });
    assert.partialDeepStrictEqual(body, has);
    for (const name of lacks) assert.ok(!(name in body), `${JSON.stringify(extra)}: ${name}`);
    assert.equal((body["messages"] as unknown[]).length, 2);
  }
});
