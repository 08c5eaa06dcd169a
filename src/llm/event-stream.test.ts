import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { UpstreamAnswer } from "./completion.ts";
import { EventStream } from "./event-stream.ts";

const USAGE = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };

function chunk(delta: object, finish: string | null = null): string {
  return JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] });
}

const EVENTS = [
  ": a comment",
  `data: ${chunk({ role: "assistant", content: "" })}`,
  `event: ignored\ndata:${chunk({ content: "héllo " })}`,
  `data: ${chunk({ content: "wörld 👋" })}`,
  `data: ${chunk({}, "stop")}`,
  `data: ${JSON.stringify({ choices: [], usage: USAGE })}`,
  "data: [DONE]",
];
const CONTENT: UpstreamAnswer = {
  kind: "content",
  content: "héllo wörld 👋",
  usage: { promptTokens: 10, completionTokens: 3, cachedTokens: 0 },
};

function read(text: string | Uint8Array, cuts: readonly number[] = []): UpstreamAnswer {
  const bytes = Buffer.from(text);
  const stream = new EventStream();
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    const to = Math.min(cut, bytes.length);
    if (!stream.add(bytes.subarray(from, to))) break;
    from = to;
  }
  return stream.end();
}

test("an answer is the same however it is cut and however its lines end", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = EVENTS.map((event) => event.replaceAll("\n", end) + end + end).join("");
    const bytes = Buffer.from(text);
    assert.deepEqual(read(text), CONTENT, JSON.stringify(end));
    const everywhere = Array.from(bytes.keys());
    assert.deepEqual(read(text, everywhere), CONTENT, "byte by byte");
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length })), (cuts) => {
        assert.deepEqual(read(text, cuts), CONTENT);
      }),
    );
  }
});

test("what is no answer has a name", () => {
  const cases: readonly { text: string; failure: string; detail: RegExp }[] = [
    { text: "", failure: "unavailable", detail: /broke off/ },
    { text: `data: ${chunk({ content: "a" })}\n\n`, failure: "unavailable", detail: /broke off/ },
    { text: "data: {broken\n\n", failure: "malformed", detail: /not JSON/ },
    { text: 'data: {"error":{"message":"x"}}\n\n', failure: "malformed", detail: /failed while/ },
    {
      text: `data: ${chunk({ content: "a" }, "length")}\n\n`,
      failure: "malformed",
      detail: /as many tokens/,
    },
    {
      text: `data: ${chunk({ refusal: "no" }, "stop")}\n\n`,
      failure: "refused",
      detail: /refuses/,
    },
  ];
  for (const { text, failure, detail } of cases) {
    const answer = read(text);
    assert.ok(answer.kind === "failed", text);
    assert.equal(answer.failure, failure);
    assert.match(answer.detail, detail);
  }
});

test("a line, an answer and a stream without end are cut off", () => {
  const endless: Readonly<Record<string, string>> = {
    line: "data: xxxxxxxxxxxxxxxx",
    data: `data: ${"x".repeat(1_000)}\n`,
    answer: `data: ${chunk({ content: "x".repeat(1_000) })}\n\n`,
    comments: `: ${"x".repeat(1_000)}\n\n`,
  };
  for (const [name, piece] of Object.entries(endless)) {
    const stream = new EventStream();
    let byteCount = 0;
    while (stream.add(Buffer.from(piece)) && byteCount < 1e7) byteCount += piece.length;
    assert.ok(byteCount < 5e6, `${name}: ${byteCount} bytes`);
    const answer = stream.end();
    assert.ok(answer.kind === "failed" && answer.failure === "malformed", name);
  }
});
