import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import test from "node:test";
import type { ConsultationFailure } from "#model/consultation.ts";
import { type Fault } from "#stand-in/faults.ts";
import { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import { fence } from "./fence.ts";
import {
  failureOf,
  retryAfterMs,
  type UpstreamAnswer,
  usageOf,
  withoutPrompt,
} from "./completion.ts";
import { requestForm } from "./request-form.ts";
import { readAnswers } from "./structured-output.ts";
import { type ChatRequest, Upstream } from "./upstream.ts";

const PROMPT = fence(
  [[{ kind: "subject", name: "ann", text: "you idiot" }]],
  () => "a91f44c02be7d8365f10",
);
const REQUEST: ChatRequest = {
  form: requestForm("moderation", { model: "small-1", structuredOutput: "schema" }),
  user: PROMPT.text,
  tokensMax: 200,
};

function ask(upstream: Upstream, request = REQUEST): Promise<UpstreamAnswer> {
  return new Promise((resolve) => void upstream.send(request, resolve));
}

async function withUpstream(
  options: { apiKey?: string; serverKey?: string },
  run: (upstream: Upstream, standIn: StandInUpstream) => Promise<void>,
): Promise<void> {
  const { apiKey, serverKey } = options;
  const standIn = await StandInUpstream.start({
    model: "small-1",
    ...(serverKey === undefined ? {} : { apiKey: serverKey }),
  });
  const upstream = new Upstream({
    baseUrl: standIn.baseUrl,
    apiKey,
    connectionsMax: 2,
  });
  try {
    await run(upstream, standIn);
  } finally {
    await upstream.stop();
    await standIn.stop();
  }
}

test("an answer comes with its tokens, and is of the schema", async () => {
  await withUpstream({ apiKey: "k", serverKey: "k" }, async (upstream, standIn) => {
    const answer = await ask(upstream);
    assert.equal(answer.kind, "content");
    const reading = readAnswers("moderation", answer.content, [PROMPT.cases[0]!.id]);
    assert.ok("answers" in reading);
    assert.equal(reading.answers[0]!.scores.toxicity, 0.9);
    assert.ok(answer.usage!.promptTokens > 10 && answer.usage!.completionTokens > 10);
    const { body } = standIn.seen[0]!;
    assert.deepEqual(
      body.messages.map(({ role }) => role),
      ["system", "user"],
    );
  });
});

const ends: { fault: Fault; failure: ConsultationFailure; mayRetry: boolean; detail: RegExp }[] = [
  { fault: "rateLimited", failure: "rateLimited", mayRetry: true, detail: /429: Rate limit/ },
  { fault: "serverError", failure: "unavailable", mayRetry: true, detail: /500/ },
  { fault: "halfClosed", failure: "unavailable", mayRetry: true, detail: /No answer/ },
  { fault: "reset", failure: "unavailable", mayRetry: true, detail: /No answer/ },
  { fault: "garbage", failure: "malformed", mayRetry: false, detail: /not JSON/ },
  { fault: "html", failure: "malformed", mayRetry: false, detail: /text\/html/ },
  { fault: "huge", failure: "malformed", mayRetry: false, detail: /more than 65536 bytes/ },
  { fault: "wrongKey", failure: "refused", mayRetry: false, detail: /401: Incorrect API key/ },
  { fault: "unknownModel", failure: "refused", mayRetry: false, detail: /404/ },
  { fault: "redirect", failure: "refused", mayRetry: false, detail: /307/ },
];
for (const { fault, ...expected } of ends) {
  test(`an upstream that fails has a name for it, and is asked again: ${fault}`, async () => {
    await withUpstream({}, async (upstream, standIn) => {
      standIn.script.push(fault);
      const answer = await ask(upstream);
      assert.ok(answer.kind === "failed");
      assert.equal(answer.failure, expected.failure);
      assert.equal(answer.mayRetry, expected.mayRetry);
      assert.match(answer.detail, expected.detail);
      if (fault === "rateLimited") assert.equal(answer.retryAfterMs, 20);
      assert.equal((await ask(upstream)).kind, "content");
    });
  });
}

for (const fault of ["stalled", "dripping"] as const) {
  test(`who cancels frees the connection: ${fault}`, async () => {
    await withUpstream({}, async (upstream, standIn) => {
      standIn.script.push(fault, fault);
      const sendings = [0, 1].map(() => upstream.send(REQUEST, () => assert.fail("was cancelled")));
      while (standIn.seen.length < 2) await new Promise(setImmediate);
      const third = ask(upstream);
      for (const sending of sendings) sending.cancel();
      assert.equal((await third).kind, "content");
      assert.equal(standIn.openCountMax, 2);
    });
  });
}

test("a call that is cancelled before it is sent is not sent", async () => {
  await withUpstream({}, async (upstream, standIn) => {
    const sending = upstream.send(REQUEST, () => assert.fail("was cancelled"));
    sending.cancel();
    assert.equal((await ask(upstream)).kind, "content");
    assert.ok(standIn.seen.length <= 2);
  });
});

test("the wrong key and an unknown model are told as what they are", async () => {
  await withUpstream({ apiKey: "wrong", serverKey: "right" }, async (upstream) => {
    const answer = await ask(upstream);
    assert.ok(answer.kind === "failed" && answer.failure === "refused");
    assert.match(answer.detail, /401/);
    assert.match(answer.detail, /provided: \[the key\]/, "which the server repeats");
    assert.ok(!answer.detail.includes("wrong"));
  });
  const form = requestForm("moderation", { model: "none", structuredOutput: "schema" });
  await withUpstream({}, async (upstream) => {
    const answer = await ask(upstream, { ...REQUEST, form });
    assert.ok(answer.kind === "failed" && answer.failure === "refused");
  });
});

/** What is told of a server's answer, written as it goes over the wire. */
async function told(apiKey: string, answer: string): Promise<UpstreamAnswer> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  const upstream = new Upstream({ baseUrl, apiKey, connectionsMax: 1 });
  try {
    return await ask(upstream);
  } finally {
    await upstream.stop();
    server.close();
    await once(server, "close");
  }
}

test("a key is not told on however the server writes it", async () => {
  const key = 'sk-a/b"c';
  const escaped = key.replaceAll(/./g, (each) => `\\u00${each.charCodeAt(0).toString(16)}`);
  for (const written of ['sk-a\\/b\\"c', 'sk-a/b\\"c', escaped]) {
    const body = `{"error":{"message":"no ${written}"}}`;
    const head = `HTTP/1.1 401 No\r\ncontent-length: ${body.length}\r\n\r\n`;
    const answer = await told(key, `${head}${body}`);
    assert.equal(answer.kind === "failed" && answer.detail, "It answered 401: no [the key]");
  }
  const head = `HTTP/1.1 200 OK\r\ncontent-type: x/${key}\r\ncontent-length: 0\r\n\r\n`;
  const typed = await told(key, head);
  assert.equal(
    typed.kind === "failed" && typed.detail,
    'An answer of type "x/[the key]", not JSON.',
  );
});

test("what a server says of an error is one line, of what can be seen", async () => {
  const body = '{"error":{"message":"no\\u001b[2J\\r\\n\\u202eway \\u0000"}}';
  const head = `HTTP/1.1 400 No\r\ncontent-length: ${body.length}\r\n\r\n`;
  const answer = await told("key", `${head}${body}`);
  assert.equal(answer.kind === "failed" && answer.detail, "It answered 400: no [2J way");
});

test("an error is one however long its page is", async () => {
  const page = "x".repeat(70_000);
  const lengths = [`content-length: ${page.length}\r\n`, "connection: close\r\n"];
  for (const length of lengths) {
    const type = "content-type: text/html\r\n";
    const busy = await told("k", `HTTP/1.1 503 Busy\r\n${type}${length}\r\n${page}`);
    assert.ok(busy.kind === "failed" && busy.failure === "unavailable");
    assert.deepEqual([busy.mayRetry, busy.opensBreaker], [true, true]);
    const after = "retry-after: 1\r\n";
    const many = await told("k", `HTTP/1.1 429 Many\r\n${after}${length}\r\n${page}`);
    assert.ok(many.kind === "failed" && many.failure === "rateLimited");
    assert.equal(many.retryAfterMs, 1_000);
  }
});

test("what an answer took is believed only if it may be true", () => {
  const of = (prompt: unknown, completion: unknown, cached?: unknown): unknown => {
    const details = { cached_tokens: cached };
    const usage = { prompt_tokens: prompt, completion_tokens: completion };
    return usageOf({ ...usage, prompt_tokens_details: details });
  };
  assert.deepEqual(of(9, 4, 99), { promptTokens: 9, completionTokens: 4, cachedTokens: 9 });
  assert.deepEqual(of(9, 0, -1), { promptTokens: 9, completionTokens: 0, cachedTokens: 0 });
  for (const bad of [-1, "9", 0.5, null, undefined, {}, 2 ** 53 - 1, 1_000_001]) {
    assert.equal(of(bad, 4), undefined, `${JSON.stringify(bad)} for the prompt`);
    assert.equal(of(9, bad), undefined, `${JSON.stringify(bad)} for the answer`);
  }
  assert.equal(of(0, 4), undefined);
  assert.equal(usageOf(undefined), undefined);
});

test("of a failure nothing is told that the server repeats of the prompt", () => {
  const { text } = PROMPT;
  assert.equal(withoutPrompt("It answered 400: too long", text), "It answered 400: too long");
  for (let from = 0; from < 20; from++) {
    const detail = `It answered 400: ${"-".repeat(from)}${text.slice(from, from + 40)}`;
    assert.equal(withoutPrompt(detail, text), "It answered 400: it repeats what it was asked.");
  }
});

test("a server that streams though nobody asked it to is read all the same", async () => {
  const standIn = await StandInUpstream.start({ alwaysStreams: true });
  const upstream = new Upstream({ baseUrl: standIn.baseUrl, connectionsMax: 1 });
  try {
    for (let n = 0; n < 2; n++) {
      const answer = await ask(upstream);
      assert.ok(answer.kind === "content");
      const reading = readAnswers("moderation", answer.content, [PROMPT.cases[0]!.id]);
      assert.ok("answers" in reading);
      assert.ok(answer.usage!.completionTokens > 10);
    }
    standIn.script.push("otherId");
    assert.equal((await ask(upstream)).kind, "content");
  } finally {
    await upstream.stop();
    await standIn.stop();
  }
});

test("a stream that breaks off, or never ends, is no answer, and is given up", async () => {
  const bodies = [
    'data: {"choices":[{"delta":{"content":"{"}}]}\n\n',
    `data: ${"x".repeat(70_000)}`,
  ];
  const failures: string[] = [];
  for (const body of bodies) {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n");
        // The second one never ends.
        if (body === bodies[0]) socket.end(body);
        else socket.write(body);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const upstream = new Upstream({ baseUrl: `http://127.0.0.1:${port}/v1`, connectionsMax: 1 });
    const answer = await ask(upstream);
    failures.push(answer.kind === "failed" ? answer.failure : answer.kind);
    await upstream.stop();
    server.close();
    await once(server, "close");
  }
  assert.deepEqual(failures, ["unavailable", "malformed"]);
});

test("nobody there, or nobody who speaks HTTP, is unavailable", async () => {
  const server = createServer((socket) => socket.resume().end("what?\r\n\r\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const upstream = new Upstream({
    baseUrl: `http://127.0.0.1:${port}/v1/`,
    connectionsMax: 1,
  });
  const spoken = await ask(upstream);
  assert.ok(spoken.kind === "failed" && spoken.failure === "unavailable");
  server.close();
  await once(server, "close");
  const gone = await ask(upstream);
  assert.ok(gone.kind === "failed" && gone.failure === "unavailable" && gone.mayRetry);
  await upstream.stop();
});

test("what a server says of the key, with stars in it, is not told on", () => {
  const message = "Incorrect API key provided: sk-abcd*****wxyz. You can find it elsewhere.";
  const { detail } = failureOf(401, undefined, JSON.stringify({ error: { message } }));
  assert.equal(
    detail,
    "It answered 401: Incorrect API key provided: [the key] You can find it elsewhere.",
  );
});

test("a server that says which key it was given does not tell it on", async () => {
  const body = JSON.stringify({ error: { message: "Bearer sk-secret-1 is unknown." } });
  const type = "content-type: application/json";
  const head = `HTTP/1.1 401 No\r\n${type}\r\ncontent-length: ${body.length}`;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(`${head}\r\n\r\n${body}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  const upstream = new Upstream({ baseUrl, apiKey: "sk-secret-1", connectionsMax: 1 });
  const answer = await ask(upstream);
  assert.ok(answer.kind === "failed" && answer.failure === "refused");
  assert.equal(answer.detail, "It answered 401: Bearer [the key] is unknown.");
  await upstream.stop();
  server.close();
  await once(server, "close");
});

test("how long to wait is read in every form, and is bounded", () => {
  const nowMs = Date.parse("2026-11-21T12:00:00Z");
  assert.equal(retryAfterMs("50", "7", nowMs), 50);
  assert.equal(retryAfterMs("", "7", nowMs), 7_000);
  assert.equal(retryAfterMs("", "Sat, 21 Nov 2026 12:00:05 GMT", nowMs), 5_000);
  assert.equal(retryAfterMs("", "Sat, 21 Nov 2026 11:00:00 GMT", nowMs), 0);
  assert.equal(retryAfterMs("", "soon", nowMs), undefined);
  assert.equal(retryAfterMs("", "", nowMs), undefined);
  assert.equal(retryAfterMs("", "999999", nowMs), 30_001);
});
