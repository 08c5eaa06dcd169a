import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { HttpClient, type Refusal } from "./http-client.ts";

type Line = Record<string, unknown>;

/** A server that answers as it is told, and keeps the lines of the requests it took. */
async function serve(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, lines: Line[]) => void,
): Promise<{ url: string; bodies: Line[][] }> {
  const bodies: Line[][] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const raw = Buffer.concat(chunks);
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
      const lines = body.toString().trimEnd().split("\n");
      const events = lines.map((line) => JSON.parse(line) as Line);
      bodies.push(events);
      answer(request, response, events);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

function accept(_request: IncomingMessage, response: ServerResponse, lines: Line[]): void {
  response.writeHead(202, { "content-type": "application/json" });
  response.end(JSON.stringify({ accepted: lines.length, rejected: 0, errors: [] }));
}

test("events arrive once each, in order, whatever the size of the bodies", async (t) => {
  const { url, bodies } = await serve(t, accept);
  const events = fc.array(
    fc.record({ tenant: fc.constantFrom("a", "b"), text: fc.string({ unit: "grapheme" }) }),
    { maxLength: 50 },
  );
  const run = async (
    list: { tenant: string; text: string }[],
    bodyBytes: number,
    gzip: boolean,
  ): Promise<void> => {
    bodies.length = 0;
    const client = new HttpClient({ url, bodyBytes, gzip });
    for (const event of list) assert(client.send(event));
    await client.close();
    const got = bodies.flat();
    assert.deepEqual(
      got.map(({ tenant, text }) => ({ tenant, text })),
      list.map(({ tenant, text }) => ({ tenant, text })),
    );
    assert.equal(new Set(got.map(({ id }) => id)).size, list.length, "each has its id");
    assert.equal(client.stats.accepted, list.length);
    assert.equal(client.stats.waiting, 0);
  };
  const sizes = fc.integer({ min: 1, max: 2_000 });
  await fc.assert(fc.asyncProperty(events, sizes, fc.boolean(), run), { numRuns: 25 });
});

test("one thousand events are few requests", async (t) => {
  const { url, bodies } = await serve(t, accept);
  const client = new HttpClient({ url });
  for (let i = 0; i < 1_000; i++) client.send({ tenant: "acme", user: `u${i}`, text: "hello" });
  await client.flush();
  assert.equal(bodies.length, 1);
  assert.equal(client.stats.requests, 1);
  await client.close();
});

test("what an answer waits for is asked for, and where the events are is told", async (t) => {
  const asked: (string | undefined)[] = [];
  const { url } = await serve(t, (request, response, lines) => {
    asked.push(request.url);
    const ack = new URL(request.url ?? "", "http://x").searchParams.get("ack") ?? "disk";
    response
      .writeHead(202)
      .end(JSON.stringify({ ack, accepted: lines.length, rejected: 0, errors: [] }));
  });
  for (const ack of [undefined, "memory", "disk"] as const) {
    const client = new HttpClient({ url, ...(ack !== undefined && { ack }) });
    assert.equal(client.stats.ack, undefined);
    client.send({ tenant: "acme", text: "hello" });
    await client.close();
    assert.equal(client.stats.ack, ack ?? "disk");
  }
  assert.deepEqual(asked, ["/v1/events", "/v1/events?ack=memory", "/v1/events?ack=disk"]);
});

test("an event leaves by itself when it is old enough", async (t) => {
  const taken = Promise.withResolvers<void>();
  const { url } = await serve(t, (request, response, lines) => {
    accept(request, response, lines);
    taken.resolve();
  });
  const client = new HttpClient({ url, flushMs: 1 });
  client.send({ tenant: "acme", text: "hello" });
  await taken.promise;
  await client.close();
});

test("busy is tried again, with the same events, and nothing is counted twice", async (t) => {
  let refusals = 3;
  const { url, bodies } = await serve(t, (request, response, lines) => {
    if (refusals-- === 0) {
      accept(request, response, lines);
      return;
    }
    const status = [429, 503, 507][refusals];
    assert(status !== undefined);
    response.writeHead(status, { "retry-after": "0" }).end(JSON.stringify({ code: "busy" }));
  });
  const client = new HttpClient({ url });
  client.send({ tenant: "acme", text: "hello" });
  await client.close();
  assert.equal(bodies.length, 4);
  for (const body of bodies) assert.deepEqual(body, bodies[0]);
  const { accepted, retries, dropped } = client.stats;
  assert.deepEqual({ accepted, retries, dropped }, { accepted: 1, retries: 3, dropped: 0 });
});

test("Retry-After longer than we may try is not waited for", async (t) => {
  const { url, bodies } = await serve(t, (_request, response) => {
    response.writeHead(429, { "retry-after": "3600" }).end("busy");
  });
  const client = new HttpClient({ url });
  client.send({ tenant: "acme", text: "hello" });
  await client.close();
  assert.equal(bodies.length, 1);
  assert.equal(client.stats.dropped, 1);
  assert.equal(client.stats.lastFailure, "429: busy");
});

test("a connection that breaks is tried again with the same ids", async (t) => {
  let breaks = 1;
  const { url, bodies } = await serve(t, (request, response, lines) => {
    if (breaks-- > 0) request.socket.destroy();
    else accept(request, response, lines);
  });
  const client = new HttpClient({ url });
  client.send({ tenant: "acme", text: "hello" });
  await client.close();
  assert.equal(bodies.length, 2);
  assert.deepEqual(bodies[1], bodies[0]);
  assert.equal(client.stats.accepted, 1);
});

test("what the server refuses is told, and does not stop the rest", async (t) => {
  let requests = 0;
  const { url } = await serve(t, (request, response, lines) => {
    requests += 1;
    if (requests === 2) {
      response.writeHead(415).end("no");
      return;
    }
    if (requests === 3) {
      accept(request, response, lines);
      return;
    }
    const errors = [{ index: 1, code: "textTooLong", message: "too long" }];
    response.writeHead(202).end(JSON.stringify({ accepted: 1, rejected: 1, errors }));
  });
  const refusals: Refusal[] = [];
  const client = new HttpClient({ url, onRefusal: (refusal) => refusals.push(refusal) });
  client.send({ tenant: "acme", id: "1", text: "one" });
  client.send({ tenant: "acme", id: "2", text: "two" });
  await client.flush();
  client.send({ tenant: "acme", text: "three" });
  await client.flush();
  client.send({ tenant: "acme", text: "four" });
  await client.close();
  assert.equal(refusals.length, 1);
  assert.equal(refusals[0]?.code, "textTooLong");
  assert.equal((JSON.parse(refusals[0]?.line ?? "{}") as Line)["id"], "2");
  const { accepted, rejected, dropped, retries } = client.stats;
  assert.deepEqual([accepted, rejected, dropped, retries], [2, 1, 1, 0]);
});

test("what of an accepted event did not count is told, with its line", async (t) => {
  const { url } = await serve(t, (_request, response) => {
    const warnings = [{ index: 1, code: "metricLimit", message: "one name too many" }];
    response.writeHead(202);
    response.end(JSON.stringify({ accepted: 2, rejected: 0, errors: [], warnings }));
  });
  const warnings: Refusal[] = [];
  const client = new HttpClient({ url, onWarning: (warning) => warnings.push(warning) });
  client.send({ tenant: "acme", id: "1", text: "one" });
  client.send({ tenant: "acme", id: "2", metrics: { other: 1 } });
  await client.close();
  assert.equal(client.stats.accepted, 2);
  assert.deepEqual(
    warnings.map(({ line, code }) => [(JSON.parse(line) as Line)["id"], code]),
    [["2", "metricLimit"]],
  );
});

test("another server's 202 is no answer", async (t) => {
  const { url, bodies } = await serve(t, (_request, response) => response.writeHead(202).end("{}"));
  const client = new HttpClient({ url });
  client.send({ tenant: "acme", text: "hello" });
  await client.close();
  assert.equal(bodies.length, 1);
  assert.equal(client.stats.lastFailure, "no answer of NexusCore");
});

test("a queue that is full drops, and says so", async (t) => {
  const open = Promise.withResolvers<void>();
  const { url } = await serve(t, (request, response, lines) => {
    void open.promise.then(() => accept(request, response, lines));
  });
  const client = new HttpClient({ url, queueBytesMax: 64 * 1024, bodyBytes: 1_000 });
  const text = "x".repeat(1_000);
  const taken = Array.from({ length: 100 }, () => client.send({ tenant: "acme", text }));
  const takenCount = taken.filter(Boolean).length;
  assert(takenCount > 50 && takenCount < 64, `${takenCount}`);
  assert.equal(client.stats.dropped, 100 - takenCount);
  open.resolve();
  await client.close();
  assert.equal(client.stats.accepted, takenCount);
});

test("closing does not wait for a server that never answers", async (t) => {
  const { url } = await serve(t, () => undefined);
  const client = new HttpClient({ url });
  client.send({ tenant: "acme", text: "hello" });
  await client.close({ timeoutMs: 20 });
  assert.equal(client.stats.dropped, 1);
  assert(!client.send({ tenant: "acme", text: "hello" }));
});

test("an event that is too large is a clear error", () => {
  const client = new HttpClient();
  assert.throws(
    () => client.send({ tenant: "acme", text: "x".repeat(65_536) }),
    /at most 65536 bytes as JSON/,
  );
  assert.throws(() => new HttpClient({ url: "no url" }), TypeError);
  assert.throws(() => new HttpClient({ bodyBytes: 1e9 }), RangeError);
});

test("a key is sent as a Bearer: of the option, else of NEXUSCORE_KEY", async (t) => {
  const sent: (string | undefined)[] = [];
  const { url } = await serve(t, (request, response, lines) => {
    sent.push(request.headers.authorization);
    accept(request, response, lines);
  });
  const before = process.env["NEXUSCORE_KEY"];
  t.after(() => {
    if (before === undefined) delete process.env["NEXUSCORE_KEY"];
    else process.env["NEXUSCORE_KEY"] = before;
  });
  const send = async (options: { key?: string }): Promise<void> => {
    const client = new HttpClient({ url, ...options });
    client.send({ tenant: "acme", text: "hello" });
    await client.close();
  };
  delete process.env["NEXUSCORE_KEY"];
  await send({});
  await send({ key: "nxc_a" });
  process.env["NEXUSCORE_KEY"] = "nxc_b";
  await send({});
  await send({ key: "nxc_a" });
  assert.deepEqual(sent, [undefined, "Bearer nxc_a", "Bearer nxc_b", "Bearer nxc_a"]);
});
