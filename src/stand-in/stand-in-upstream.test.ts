// The official client takes the stand-in for what it stands in for.
import assert from "node:assert/strict";
import test from "node:test";
import { AuthenticationError, OpenAI, RateLimitError } from "openai";
import { FAULTS, fateOf, type Plan } from "./faults.ts";
import { StandInUpstream } from "./stand-in-upstream.ts";

const PROMPT = [
  "#a91f44c02be7d8365f10 case a91f44c0-1",
  "#a91f44c02be7d8365f10 message to judge by",
  "| you idiot",
  "#a91f44c02be7d8365f10 end of case a91f44c0-1",
].join("\n");

async function withClient(
  apiKey: string,
  run: (client: OpenAI, standIn: StandInUpstream) => Promise<void>,
): Promise<void> {
  const standIn = await StandInUpstream.start({ apiKey: "right", model: "small-1" });
  try {
    await run(new OpenAI({ apiKey, baseURL: standIn.baseUrl, maxRetries: 0 }), standIn);
  } finally {
    await standIn.stop();
  }
}

const REQUEST = {
  model: "small-1",
  messages: [{ role: "user" as const, content: PROMPT }],
  response_format: {
    type: "json_schema" as const,
    json_schema: { name: "moderation", schema: {} },
  },
};

test("an answer is the same, whole or in pieces, and comes with its tokens", async () => {
  await withClient("right", async (client) => {
    const whole = await client.chat.completions.create(REQUEST);
    assert.ok(whole.usage!.total_tokens > 0);
    let pieces = "";
    const stream = await client.chat.completions.create({ ...REQUEST, stream: true });
    for await (const { choices } of stream) pieces += choices[0]?.delta.content ?? "";
    const content = whole.choices[0]!.message.content!;
    assert.equal(pieces, content);
    const { answers } = JSON.parse(content) as { answers: { id: string }[] };
    assert.deepEqual(
      answers.map(({ id }) => id),
      ["a91f44c0-1"],
    );
    const models = await client.models.list();
    assert.equal(models.data[0]!.id, "small-1");
  });
});

test("a wrong key and too many requests are told in OpenAI's form", async () => {
  await withClient("wrong", async (client) => {
    await assert.rejects(client.chat.completions.create(REQUEST), AuthenticationError);
  });
  await withClient("right", async (client, standIn) => {
    standIn.script.push("rateLimited");
    await assert.rejects(client.chat.completions.create(REQUEST), RateLimitError);
  });
});

test("fates are those of the plan, and the same for the same seed, prompt and attempt", () => {
  const plan: Plan = {
    latency: { medianMs: 100, spread: 0.5 },
    faults: { serverError: 0.1, stalled: 0.05 },
  };
  const fates = Array.from({ length: 4_000 }, (_, n) => fateOf(plan, 7, `prompt ${n}`, 0));
  const share = (fault: string | undefined): number =>
    fates.filter((fate) => fate.fault === fault).length / fates.length;
  assert.ok(Math.abs(share("serverError") - 0.1) < 0.02);
  assert.ok(Math.abs(share("stalled") - 0.05) < 0.015);
  const delays = fates.map(({ delayMs }) => delayMs).toSorted((a, b) => a - b);
  assert.ok(Math.abs(delays[2_000]! - 100) < 5);
  assert.ok(Math.abs(delays[3_960]! - 100 * Math.exp(2.33 * 0.5)) < 40);
  assert.deepEqual(fateOf(plan, 7, "prompt 3", 0), fates[3]);
  assert.notDeepEqual(fateOf(plan, 7, "prompt 3", 1), fates[3]);
  assert.equal(new Set(FAULTS).size, FAULTS.length);
});
