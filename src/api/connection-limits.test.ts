import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { addressGroup, connectionStats, limitConnections } from "./connection-limits.ts";

const HANG_MS = 60_000;

type Limits = Parameters<typeof limitConnections>;

/** Answers each request with the bytes of its body, once it is whole. */
async function serve(t: TestContext, bounds: Partial<Limits[1]>, options: Limits[2]) {
  const server = createServer((request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => response.end(`${bytes}`));
  });
  const all = { connectionsMax: 1_000, connectionsPerAddressMax: 0, ...bounds };
  limitConnections(server, all, options);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return server;
}

type Client = { readonly socket: Socket; readonly heard: () => string; closed: Promise<unknown> };

async function open(t: TestContext, server: Server): Promise<Client> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => void socket.once("close", resolve));
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return { socket, heard: () => text, closed };
}

async function until(what: () => boolean): Promise<void> {
  const endMs = performance.now() + HANG_MS;
  while (!what()) {
    assert(performance.now() < endMs, `never: ${what.toString()}`);
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
}

test("beyond its address's bound a client is told so; one that leaves makes room", async (t) => {
  const server = await serve(t, { connectionsPerAddressMax: 2 }, { groupOf: (each) => each });
  const first = await open(t, server);
  await open(t, server);
  await until(() => connectionStats(server)!.openCount === 2);
  const third = await open(t, server);
  await third.closed;
  assert.match(third.heard(), /^HTTP\/1\.1 429 Too many connections\r\n[^]*"connectionLimit"/);
  assert.equal(connectionStats(server)!.refusedOfAddressCount, 1);
  first.socket.destroy();
  await until(() => connectionStats(server)!.openCount === 1);
  const fourth = await open(t, server);
  fourth.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => fourth.heard().endsWith("\r\n\r\n0"));
});

test("beyond the bound of all a connection is closed and counted; others go on", async (t) => {
  const server = await serve(t, { connectionsMax: 2 }, {});
  const first = await open(t, server);
  await open(t, server);
  await until(() => connectionStats(server)!.openCount === 2);
  const third = await open(t, server);
  await third.closed;
  await until(() => connectionStats(server)!.refusedCount === 1);
  first.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => first.heard().endsWith("\r\n\r\n0"));
});

test("a body that drips is waited for no more, and its client is told 408", async (t) => {
  const server = await serve(t, {}, { rateMs: 200 });
  const client = await open(t, server);
  client.socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
  const drip = setInterval(() => client.socket.write("x"), 20);
  await client.closed;
  clearInterval(drip);
  assert.match(client.heard(), /^HTTP\/1\.1 408 [^]*"requestTooSlow"/);
  assert.equal(connectionStats(server)!.slowBodyCount, 1);
});

test("a body that stops in the middle is cut, too, whatever came before", async (t) => {
  const server = await serve(t, {}, { rateMs: 200 });
  const client = await open(t, server);
  client.socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.socket.write(`10000\r\n${"x".repeat(0x1_0000)}\r\n`);
  await client.closed;
  assert.match(client.heard(), /^HTTP\/1\.1 408 /);
});

test("a body at the least rate is taken, however long it is", async (t) => {
  const server = await serve(t, {}, { rateMs: 200 });
  const client = await open(t, server);
  const parts = 40;
  client.socket.write(
    `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${parts * 1_024}\r\n\r\n`,
  );
  for (let part = 0; part < parts; part++) {
    client.socket.write("x".repeat(1_024));
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
  await until(() => client.heard().endsWith(`\r\n\r\n${parts * 1_024}`));
  assert.equal(connectionStats(server)!.slowBodyCount, 0);
});

test("who waits for an answer is not slow, nor is one whose body nobody reads", async (t) => {
  const server = createServer((_request, response) => {
    setTimeout(() => response.end("late"), 1_000);
  });
  limitConnections(server, { connectionsMax: 10, connectionsPerAddressMax: 0 }, { rateMs: 100 });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const client = await open(t, server);
  client.socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n");
  client.socket.write("x".repeat(900_000));
  await until(() => client.heard().endsWith("late"));
  assert.equal(connectionStats(server)!.slowBodyCount, 0);
});

test("a pipeline that does not wait for answers is cut", async (t) => {
  let begunCount = 0;
  const server = createServer(() => (begunCount += 1));
  limitConnections(server, { connectionsMax: 10, connectionsPerAddressMax: 0 });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const client = await open(t, server);
  client.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100));
  await client.closed;
  await until(() => connectionStats(server)!.pipelineCount === 1);
  assert.equal(begunCount, 64);
});

test("an address counts as what one client has of them, and this machine has no bound", () => {
  const groups: readonly [string, string | undefined][] = [
    ["127.0.0.1", undefined],
    ["127.9.9.9", undefined],
    ["::1", undefined],
    ["::ffff:127.0.0.1", undefined],
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:ffff::2", "2001:db8:0:0::/64"],
    ["2001:DB8:0:1::", "2001:db8:0:1::/64"],
    ["2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::2", "0:0:0:0::/64"],
  ];
  for (const [address, group] of groups) assert.equal(addressGroup(address), group, address);
});
