import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { promisify } from "node:util";
import { type Datagram, FLAG_METRIC, readDatagram } from "../src/model/datagram.ts";

const execute = promisify(execFile);
/** Ends an example that hangs; a machine may be slow, and busy. */
const HANG_MS = 300_000;

async function run(example: string, args: readonly string[]): Promise<string> {
  const file = new URL(example, import.meta.url).pathname;
  const { stdout } = await execute(process.execPath, [file, ...args], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    timeout: HANG_MS,
  });
  return stdout;
}

test("count-goals counts goals", async (t) => {
  const socket = createSocket({ type: "udp4" });
  t.after(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.setRecvBufferSize(1024 * 1024);
  const datagrams: Datagram[] = [];
  const recordCount = (): number => datagrams.reduce((sum, one) => sum + one.records.length, 0);
  const all = new Promise<void>((resolve) => {
    socket.on("message", (bytes) => {
      const datagram = readDatagram(bytes);
      assert(typeof datagram !== "string");
      datagrams.push(datagram);
      if (recordCount() >= 3_600) resolve();
    });
  });
  const { port } = socket.address() as AddressInfo;
  const said = await run("count-goals.ts", ["127.0.0.1", `${port}`]);
  await all;
  assert.match(said, /^3600 records in \d+ datagrams, 0 dropped\n$/);
  const records = datagrams.flatMap((datagram) => datagram.records);
  assert.equal(records.filter(({ flags }) => flags === FLAG_METRIC).length, 1_800);
  const names = new Set(datagrams.flatMap(({ entries }) => entries.map(({ name }) => name)));
  assert.equal(names.size, 20 + 4 + 1);
});

test("post-messages posts messages", async (t) => {
  let lines: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      lines = body.trimEnd().split("\n");
      const answer = { accepted: lines.length, rejected: 0, errors: [] };
      response.writeHead(202).end(JSON.stringify(answer));
    });
  });
  t.after(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const said = await run("post-messages.ts", [
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  ]);
  assert.equal(said, "10 accepted, 0 rejected, 0 dropped\n");
  assert.equal(lines.length, 10);
});
