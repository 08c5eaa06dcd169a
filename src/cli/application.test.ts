import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { assembleServer, closeServer } from "./server.ts";

async function open(t: TestContext) {
  const engine = new FakeEngine();
  const { server, beginStop } = await assembleServer(engine, openLog("silent"));
  await server.listen({ host: "127.0.0.1", port: 0 });
  t.after(async () => server.close());
  const { port } = server.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const post = async (): Promise<Response> =>
    fetch(`${url}/v1/tenants/acme/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"text":"hi"}',
    });
  return { engine, server, beginStop, port, url, post };
}

test("application: a stop answers what is in flight, and refuses what is new", async (t) => {
  const { engine, server, beginStop, url, post } = await open(t);
  const release = engine.holdOffers();
  const inFlight = post();
  while (engine.offerCalls === 0) await turn();
  beginStop();
  const refused = await post();
  assert.equal(refused.status, 503);
  assert.equal(((await refused.json()) as { code: string }).code, "stopping");
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  const closed = server.close();
  release();
  const answer = await inFlight;
  assert.equal(answer.status, 202);
  assert.equal(((await answer.json()) as { accepted: number }).accepted, 1);
  await closed;
});

test("application: a client that leaves in the middle of its body harms nobody", async (t) => {
  const { engine, port, post } = await open(t);
  const socket = connect(port, "127.0.0.1");
  const head = "POST /v1/tenants/acme/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n";
  socket.write(`${head}Content-Type: application/json\r\n\r\n{"text":`);
  await once(socket, "connect");
  socket.resetAndDestroy();
  assert.equal((await post()).status, 202);
  assert.equal(engine.offers.length, 1);
});

test("application: a client that never ends its body does not hold up a stop", async (t) => {
  const { server, beginStop, port } = await open(t);
  const socket = connect(port, "127.0.0.1");
  const arrived = once(server.server, "request");
  const head = "POST /v1/tenants/acme/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n";
  socket.write(`${head}Content-Type: application/json\r\n\r\n{"text":`);
  await arrived;
  const left = once(socket, "close");
  socket.on("error", () => undefined).resume();
  beginStop();
  await closeServer(server, 1);
  await left;
});

test("application: what is no HTTP is told so", async (t) => {
  const { port } = await open(t);
  const socket = connect(port, "127.0.0.1");
  socket.write("HELO mail\r\n\r\n");
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /application\/problem\+json/);
});
