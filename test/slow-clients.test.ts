// The whole server among clients that are slow, many, or hostile by their bytes: a neighbour who
// asks meanwhile is answered, and what they held is given back.
import { type Application, startApplication } from "#cli/application.ts";
import { loadConfig } from "#config/load.ts";
import { openLog } from "#observe/log.ts";
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from "node:zlib";

/** Generous: machines are busy. A server that waits for one of these clients would never answer. */
const NEIGHBOUR_MS_MAX = 20_000;
const CLIENTS = 200;
const EVENTS = "/v1/tenants/acme/events";

let application: Application;
const sockets = new Set<Socket>();

before(async () => {
  const flags = {
    httpPort: "0",
    udpPort: "0",
    dataDir: ":memory:",
    shardCount: "1",
    slotCount: "8",
    kernelStage: "off",
    kernelTelemetry: "off",
  };
  const { config } = loadConfig({ file: undefined, environment: {}, flags });
  application = await startApplication(config, openLog("silent"));
  const body = '{"user":"ada","text":"the boss fight is on"}';
  const headers = { "content-type": "application/json" };
  const path = "/v1/tenants/neighbour/events";
  const sent = await fetch(application.url + path, { method: "POST", headers, body });
  assert.equal(sent.status, 202);
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  await application.stop();
});

type Client = { readonly socket: Socket; heard: string; isClosed: boolean };

function client(words: string | Uint8Array = ""): Client {
  const { hostname, port } = new URL(application.url);
  const socket = connect(Number(port), hostname);
  const it: Client = { socket, heard: "", isClosed: false };
  sockets.add(socket);
  socket.on("error", () => undefined);
  socket.on("data", (data: Buffer) => (it.heard = (it.heard + data.toString()).slice(0, 4_000)));
  socket.on("close", () => {
    it.isClosed = true;
    sockets.delete(socket);
  });
  if (words.length > 0) socket.write(words);
  return it;
}

function clients(count: number, words: (index: number) => string): Client[] {
  return Array.from({ length: count }, (_, index) => client(words(index)));
}

function leave(all: readonly Client[]): void {
  for (const { socket } of all) socket.destroy();
}

async function askNeighbour(): Promise<void> {
  const signal = AbortSignal.timeout(NEIGHBOUR_MS_MAX);
  const answer = await fetch(`${application.url}/v1/tenants/neighbour/summary?window=all`, {
    signal,
  });
  assert.equal(answer.status, 200);
  const { eventCount } = (await answer.json()) as { eventCount: number };
  assert.equal(eventCount, 1);
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 20) {
    assert(waited < NEIGHBOUR_MS_MAX * 2, `never: ${what}`);
    await sleep(20);
  }
}

const HEAD = `POST ${EVENTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
const SLOW: readonly [string, (index: number) => string][] = [
  ["connections that say nothing", () => ""],
  ["headers that never end", () => `${HEAD}X-A: `],
  ["bodies that never come", () => `${HEAD}Content-Length: 1000000\r\n\r\n{`],
  ["chunks that never end", () => `${HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n{`],
];

for (const [name, words] of SLOW) {
  test(`${CLIENTS} ${name}: the neighbour is answered`, async () => {
    const all = clients(CLIENTS, words);
    await askNeighbour();
    leave(all);
    await askNeighbour();
  });
}

test("a body that does not come is cut with 408, by the product's own rate", async () => {
  const it = client(`${HEAD}Content-Length: 1000000\r\n\r\n{`);
  await until("it is cut", () => it.isClosed);
  assert.match(it.heard, /^HTTP\/1\.1 408 [^]*requestTooSlow/);
});

test("headers that do not end are cut with 408", async () => {
  const it = client("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ");
  await until("it is cut", () => it.isClosed);
  assert.match(it.heard, /^HTTP\/1\.1 408 /);
});

test("who asks and does not read the answers holds up nobody", async () => {
  const request = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const all = clients(20, () => request.repeat(30));
  for (const { socket } of all) socket.pause();
  await askNeighbour();
  leave(all);
});

test("who listens live and does not read holds up nobody", async () => {
  const path = "/v1/tenants/neighbour/live";
  const all = clients(100, () => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  for (const { socket } of all) socket.pause();
  await askNeighbour();
  leave(all);
});

test("pipelines without end are cut, and the neighbour is answered", async () => {
  const request = "GET /v1/tenants/neighbour/summary HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const all = clients(10, () => request.repeat(2_000));
  await askNeighbour();
  await until("each is cut", () => all.every(({ isClosed }) => isClosed));
});

const SIZE = 64 * 1024 * 1024;
const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
for (const [coding, pack] of [
  ["gzip", gzipSync],
  ["br", (bytes: Buffer) => brotliCompressSync(bytes, FAST)],
  ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
  // Of two codings the outer one is undone; what is inside is no JSON.
  ["gzip", (bytes: Buffer) => gzipSync(gzipSync(bytes))],
] as const) {
  test(`bombs of ${coding} stop at the limit, and the neighbour is answered`, async () => {
    const body = new Uint8Array(pack(Buffer.alloc(SIZE)));
    const headers = { "content-type": "application/json", "content-encoding": coding };
    const url = application.url + EVENTS;
    const sent = Array.from({ length: 8 }, async () => {
      const answer = await fetch(url, { method: "POST", headers, body });
      await answer.arrayBuffer();
      return answer.status;
    });
    await askNeighbour();
    for (const status of await Promise.all(sent)) assert([400, 413, 429].includes(status));
  });
}

const STRANGE: readonly [string, string, number][] = [
  ["deep JSON", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`, 400],
  ["deep arrays", `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`, 202],
  ["a number of a million digits", `{"text":"a","tsMs":${"9".repeat(100_000)}}`, 400],
  ["a million empty events", `[${"{},".repeat(1_000_000)}{}]`, 202],
];

for (const [name, body, status] of STRANGE) {
  test(`${name}: an answer, and the neighbour has one`, async () => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(application.url + EVENTS, { method: "POST", headers, body });
    await answer.arrayBuffer();
    assert.equal(answer.status, status);
    await askNeighbour();
  });
}

test("headers and queries without end are refused", async () => {
  const big = client(`GET / HTTP/1.1\r\nHost: localhost\r\n${"X-A: b\r\n".repeat(20_000)}\r\n`);
  await until("it is refused", () => big.isClosed);
  assert(big.heard === "" || big.heard.startsWith("HTTP/1.1 431 "), big.heard.slice(0, 80));
  const query = Array.from({ length: 1_000 }, (_, index) => `a${index}=1`).join("&");
  const url = `${application.url}/v1/tenants/neighbour/summary?${query}`;
  const answer = await fetch(url);
  assert((await answer.text()).length < 20_000);
  assert(answer.status < 500, `${answer.status}`);
  await askNeighbour();
});
