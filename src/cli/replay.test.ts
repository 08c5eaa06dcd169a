import { openLog } from "#observe/log.ts";
import { Problem } from "#model/problem.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { assembleServer } from "./server.ts";
import { renderCard } from "./card.ts";
import { Client } from "./client.ts";
import { Community } from "./community.ts";
import { readEventStream } from "./event-stream.ts";
import { replay, type ReplayOptions } from "./replay.ts";
import { COLUMNS, widthOf } from "./terminal.ts";

async function open(t: TestContext, files: Record<string, string> = {}) {
  const engine = new FakeEngine();
  const { server } = await assembleServer(engine, openLog("silent"));
  await server.listen({ host: "127.0.0.1", port: 0 });
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-replay-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  t.after(async () => {
    rmSync(folder, { recursive: true });
    await server.close();
  });
  const { port } = server.server.address() as AddressInfo;
  const client = new Client(`http://127.0.0.1:${port}/`);
  const looks: TrendingAnswer[] = [];
  const run = async (options: Partial<ReplayOptions> = {}) =>
    replay(
      client,
      {
        paths: [folder],
        tenant: undefined,
        speed: Infinity,
        everyMs: 60_000,
        everyLook: false,
        limit: Infinity,
        ...options,
      },
      { look: (answer) => void looks.push(answer), progress: () => undefined },
    );
  return { engine, client, looks, run };
}

const LOG = [
  "[10:00] <ada> quiet here",
  "[10:01] <ada> boss boss boss",
  "[10:01] <bo> boss",
  "[10:03] <cy> later",
].join("\n");

test("replay: in order, on the log's clock; cards where something trends", async (t) => {
  const { engine, looks, run } = await open(t, { "2008-12-11-#games.txt": LOG });
  const totals = await run();
  assert.deepEqual(totals.tenants, ["games"]);
  assert.equal(totals.events, 4);
  assert.equal(totals.accepted, 4);
  // Looks: after 10:00, after 10:01, and at the end. In the first nothing trends yet.
  assert.deepEqual([totals.looks, totals.trendingLooks, looks.length], [3, 2, 2]);
  assert.equal(looks[0]?.asOfMs, Date.UTC(2008, 11, 11, 10, 1, 30));
  assert.equal((await engine.tenant("games")).clock, "event");
  const sent = engine.offers.flatMap(({ body }) =>
    Buffer.from(body)
      .toString("utf8")
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; tsMs: number; tenant?: string }),
  );
  assert.deepEqual(
    sent.map(({ id }) => id.split(":")[1]),
    ["1", "2", "3", "4"],
  );
  assert.ok(sent.every((event, index) => event.tsMs >= (sent[index - 1]?.tsMs ?? 0)));
});

test("replay: --every shows each step, --limit ends it, --tenant names all", async (t) => {
  const { looks, run } = await open(t, { "a.txt": LOG, "b.jsonl": '{"text":"x","ts":1}\n' });
  const totals = await run({ everyLook: true, limit: 3, tenant: "all" });
  assert.deepEqual(totals.tenants, ["all"]);
  assert.equal(totals.events, 3);
  assert.equal(looks.length, totals.looks);
});

test("replay: a tenant with live events is left alone", async (t) => {
  const { client, run } = await open(t, { "chat.txt": LOG });
  await client.postEvents("chat", '{"text":"now"}');
  await assert.rejects(run(), /tenant chat takes live events on this server; .* --tenant/);
});

test("replay: what the server refuses is counted by reason", async (t) => {
  const lines =
    '{"text":"x","ts":1}\n{"text":"x","ts":1,"id":"a"}\n{"text":"x","ts":1,"id":"a"}\n{"ts":1}';
  const { run } = await open(t, { "chat.jsonl": lines });
  const totals = await run();
  assert.deepEqual([totals.accepted, totals.duplicates], [3, 1]);
  assert.deepEqual(totals.skipped, { "no text": 1 });
});

test("replay: a paced log waits, and cuts a long silence short", async (t) => {
  const lines = [0, 1, 2, 500_000].map((s) => JSON.stringify({ text: "x", ts: 1_700_000_000 + s }));
  const { run } = await open(t, { "chat.jsonl": lines.join("\n") });
  const startedMs = performance.now();
  const totals = await run({ speed: 10_000 });
  // An hour is the longest silence: 3,602 s at 10,000 times the speed are 0.36 s, 500,000 s were
  // 50. A timer counts from when its turn of the loop began: it may end a little early.
  const elapsedMs = performance.now() - startedMs;
  assert.ok(elapsedMs >= 300 && elapsedMs < 20_000, String(elapsedMs));
  assert.equal(totals.accepted, 4);
});

test("client: waits when the server is behind, and gives up on what does not pass", async (t) => {
  const { engine, client } = await open(t);
  engine.failNext(new Problem("busy", "Behind.", { retryAfterSeconds: 0 }));
  assert.equal((await client.postEvents("acme", '{"text":"x"}')).accepted, 1);
  engine.failNext(new Problem("tenantLimit", "All taken."));
  await assert.rejects(client.postEvents("acme", '{"text":"x"}'), {
    code: "tenantLimit",
    status: 429,
  });
  assert.equal(await client.probe(), "ours");
  const other = createServer((socket) => socket.resume().end("SSH-2.0-x\r\n"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  assert.equal(await new Client(`http://127.0.0.1:${port}`).probe(), "other");
  await new Promise((resolve) => other.close(resolve));
  assert.equal(await new Client(`http://127.0.0.1:${port}`).probe(), "nobody");
});

test("event stream: whatever the chunks, the same events", async () => {
  const text =
    ': hi\nretry: 5\n\nid: 7\nevent: trending\ndata: {"a":\r\n' +
    'data: "ü🔥"}\r\n\r\ndata\n\ndata:x\n\n';
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    const events = await Array.fromAsync(readEventStream(chunks));
    assert.deepEqual(
      events,
      [
        { id: "7", name: "trending", data: '{"a":\n"ü🔥"}' },
        { id: "7", name: "message", data: "" },
        { id: "7", name: "message", data: "x" },
      ],
      `chunks of ${size}`,
    );
  }
});

for (const text of [
  `a\u001B[31mred ${"word ".repeat(40)}`,
  `https://example.org/${"x".repeat(150)} and more`,
  "今天天气很好".repeat(20),
  `${"👩‍👩‍👧‍👦⚽".repeat(30)} goal`,
]) {
  test(`card: ${text.slice(0, 12)} fits 80 columns and escapes nothing`, async (t) => {
    const { client } = await open(t);
    await client.postEvents("acme", JSON.stringify({ text, user: "ada" }));
    const card = renderCard(await client.trending("acme", 10), { time: "2008-12-11 10:01" });
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(card, /\u001B\[31m/);
    for (const line of card.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
  });
}

test("community: the same seed says the same, in time, with topics that rise and fall", () => {
  const [first, second, other] = [7, 7, 8].map((seed) =>
    new Community(seed, 1_000_000).messagesUntil(1_000_000 + 180_000),
  );
  assert.deepEqual(first, second);
  assert.notDeepEqual(first, other);
  assert.ok(first !== undefined && first.length > 180 * 20, "a few dozen messages a second");
  let lastMs = 0;
  const ids = new Set<string>();
  for (const { event } of first) {
    assert.ok(event.tsMs >= lastMs);
    assert.doesNotMatch(event.text, /[{}]/, "a slot without words");
    lastMs = event.tsMs;
    ids.add(event.id);
  }
  assert.equal(ids.size, first.length);
  // A topic's share of its channel swings: in some 10 s it is all the talk, in others nothing.
  const goals = Array.from({ length: 18 }, () => 0);
  for (const { tenant, event } of first) {
    if (tenant !== "match-derby" || !/goal/i.test(event.text)) continue;
    const at = Math.floor((event.tsMs - 1_000_000) / 10_000);
    goals[at] = (goals[at] ?? 0) + 1;
  }
  const channelTopics = first.filter(({ tenant }) => tenant === "match-derby").length;
  assert.ok(channelTopics > 180 * 8);
  assert.ok(Math.max(...goals) > 5 * (Math.min(...goals) + 1), goals.join(" "));
});

test("community: asked in steps or at once, it says the same", () => {
  const whole = new Community(3, 0).messagesUntil(60_000);
  const stepped = new Community(3, 0);
  const parts = Array.from({ length: 60 }, (_, second) =>
    stepped.messagesUntil((second + 1) * 1_000),
  );
  assert.deepEqual(parts.flat(), whole);
});
