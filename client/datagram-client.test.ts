import assert from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import {
  type Datagram,
  DATAGRAM_BYTES_ETHERNET,
  FLAG_METRIC,
  HEADER_BYTES,
  KIND_REQUEST,
  readDatagram,
  SAMPLE_MAX,
  writeHeader,
} from "../src/model/datagram.ts";
import { WEIGHT_MAX } from "../src/model/limits.ts";
import { DatagramClient, type DatagramClientOptions } from "./datagram-client.ts";

/** What a client sent, with names for indexes: a record before its names fails the test. */
class Receiver {
  readonly socket: Socket;
  readonly datagrams: Datagram[] = [];
  readonly lines: string[] = [];
  readonly #names = new Map<string, string>();
  #heard = Promise.withResolvers<RemoteInfo>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("message", (bytes, from) => {
      this.#take(bytes);
      this.#heard.resolve(from);
      this.#heard = Promise.withResolvers();
    });
  }

  static async open(t: TestContext): Promise<Receiver> {
    const socket = createSocket({ type: "udp4" });
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.setRecvBufferSize(4 * 1024 * 1024);
    t.after(() => void socket.close());
    return new Receiver(socket);
  }

  get port(): number {
    return (this.socket.address() as AddressInfo).port;
  }

  /** Resolves once `condition` holds; looks after each datagram. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#heard.promise;
  }

  /** Of the next datagram. */
  async from(): Promise<RemoteInfo> {
    return this.#heard.promise;
  }

  #take(bytes: Uint8Array): void {
    const datagram = readDatagram(bytes);
    assert(typeof datagram !== "string", "a client sends no faulty datagram");
    this.datagrams.push(datagram);
    const { sender } = datagram.header;
    for (const { of, index, name } of datagram.entries) {
      const key = `${sender} ${of} ${index}`;
      assert.equal(this.#names.get(key) ?? name, name, "an index is never bound again");
      this.#names.set(key, name);
    }
    for (const { tenant, term, value, flags } of datagram.records) {
      const tenantName = this.#names.get(`${sender} tenant ${tenant}`);
      const termName = this.#names.get(`${sender} term ${term}`);
      assert(tenantName !== undefined && termName !== undefined, "names go before records");
      this.lines.push([tenantName, termName, value, flags].join(" "));
    }
  }
}

function open(t: TestContext, receiver: Receiver, options: DatagramClientOptions): DatagramClient {
  const client = new DatagramClient({ port: receiver.port, ...options });
  t.after(() => client.close());
  return client;
}

test("whatever is recorded arrives, in order, under its names", async (t) => {
  const receiver = await Receiver.open(t);
  const step = fc.record({
    tenant: fc.constantFrom("acme", "a", "x:y.z_1-2", "T".repeat(64)),
    term: fc.constantFrom("goal", "größe", "🏆", "term with blanks", "x".repeat(40)),
    sample: fc.boolean(),
    value: fc.integer({ min: 1, max: WEIGHT_MAX }),
  });
  const run = async (
    steps: { tenant: string; term: string; sample: boolean; value: number }[],
    datagramBytes: number,
  ): Promise<void> => {
    receiver.lines.length = 0;
    const client = new DatagramClient({ port: receiver.port, datagramBytes, flushMs: 1 });
    for (const { tenant, term, sample, value } of steps) {
      assert(sample ? client.sample(tenant, term, value) : client.record(tenant, term, value));
    }
    await client.close();
    await receiver.until(() => receiver.lines.length >= steps.length);
    const want = steps.map(({ tenant, term, sample, value }) =>
      [tenant, term, value, sample ? FLAG_METRIC : 0].join(" "),
    );
    assert.deepEqual(receiver.lines, want);
    assert.equal(client.stats.recordsSent, steps.length);
    assert.equal(client.stats.recordsDropped, 0);
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 300 }), fc.integer({ min: 128, max: 4_000 }), run),
    { numRuns: 25 },
  );
});

test("ten thousand tenants: few datagrams, no gaps, nothing missing", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { dictionaryMs: 3_600_000 });
  for (let i = 0; i < 20_000; i++) client.record(`tenant-${i % 10_000}`, `term-${i % 100}`, 3);
  await client.flush();
  await receiver.until(() => receiver.lines.length === 20_000);
  const sequences = receiver.datagrams.map(({ header }) => header.sequence);
  assert.deepEqual(
    sequences,
    sequences.map((_, i) => i),
  );
  assert.equal(new Set(receiver.datagrams.map(({ header }) => header.sender)).size, 1);
  const { recordsSent, datagramsSent, bytesSent, dictionaryBytesSent, ...rest } = client.stats;
  assert.equal(recordsSent, 20_000);
  assert.equal(datagramsSent, receiver.datagrams.length);
  assert(datagramsSent < 20, `${datagramsSent} datagrams`);
  assert.equal(
    bytesSent,
    20_000 * 16 + (datagramsSent - rest.dictionariesSent) * 32 + dictionaryBytesSent,
  );
  assert.equal(rest.tenantCount, 10_000);
  assert.equal(rest.termCount, 100);
});

test("a datagram for Ethernet is never larger than one packet", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { datagramBytes: DATAGRAM_BYTES_ETHERNET });
  let largest = 0;
  receiver.socket.on("message", (bytes) => (largest = Math.max(largest, bytes.length)));
  for (let i = 0; i < 1_000; i++) client.record(`tenant-${i}`, "goal");
  await client.flush();
  await receiver.until(() => receiver.lines.length === 1_000);
  assert.equal(largest, DATAGRAM_BYTES_ETHERNET);
});

test("records leave by themselves when they are old enough", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { flushMs: 1 });
  client.record("acme", "goal", 2);
  await receiver.until(() => receiver.lines.length === 1);
  assert.deepEqual(receiver.lines, ["acme goal 2 0"]);
});

test("all names are sent again and again", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { dictionaryMs: 50, datagramBytes: 128 });
  for (let i = 0; i < 20; i++) client.record(`tenant-${i}`, "goal");
  const times = new Map<string, number>();
  await receiver.until(() => {
    times.clear();
    for (const { entries } of receiver.datagrams) {
      for (const { name } of entries) times.set(name, (times.get(name) ?? 0) + 1);
    }
    return times.size === 21 && [...times.values()].every((count) => count >= 3);
  });
});

test("all names are sent at once when the receiver asks us for them", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { dictionaryMs: 3_600_000 });
  client.record("acme", "goal");
  const heard = receiver.from();
  await client.flush();
  const { port } = await heard;
  await receiver.until(() => receiver.lines.length === 1);
  const { sender } = receiver.datagrams[0]!.header;
  receiver.datagrams.length = 0;
  const request = Buffer.alloc(HEADER_BYTES);
  const ask = (of: bigint): void => {
    const view = new DataView(request.buffer, request.byteOffset);
    writeHeader(view, { kind: KIND_REQUEST, count: 0, sender: of, sequence: 0 });
    receiver.socket.send(Buffer.from(request), port, "127.0.0.1");
  };
  ask(sender ^ 2n);
  receiver.socket.send(Buffer.from("noise"), port, "127.0.0.1");
  ask(sender);
  ask(sender);
  await receiver.until(() => receiver.datagrams.length === 1);
  assert.deepEqual(
    receiver.datagrams[0]!.entries.map(({ name }) => name),
    ["acme", "goal"],
  );
  client.record("acme", "goal");
  await client.flush();
  await receiver.until(() => receiver.lines.length === 2);
  // The second request came too soon after the first: one echo for both.
  assert.equal(client.stats.requestsReceived, 2);
  assert.equal(client.stats.dictionariesSent, 2);
});

test("what has no room is dropped and counted, and nothing grows", async (t) => {
  const receiver = await Receiver.open(t);
  // Two datagrams of six records each, and nothing leaves while this function runs.
  const client = open(t, receiver, { datagramBytes: 128, bufferBytesMax: 256, flushMs: 60_000 });
  const taken = Array.from({ length: 100 }, () => client.record("acme", "goal"));
  assert.equal(taken.filter(Boolean).length, 12);
  assert.equal(client.stats.recordsDropped, 88);
  assert.equal(client.stats.recordsWaiting, 12);
  await client.flush();
  await receiver.until(() => receiver.lines.length === 12);
  assert(client.record("acme", "goal"), "there is room again");
});

test("names have a limit too", async (t) => {
  const receiver = await Receiver.open(t);
  const client = open(t, receiver, { tenantCountMax: 2, termCountMax: 2 });
  assert(client.record("a", "x"));
  assert(client.record("b", "y"));
  assert(!client.record("c", "x"));
  assert(!client.record("a", "z"));
  assert(client.record("a", "y"));
  assert.equal(client.stats.recordsDropped, 2);
  assert.equal(client.stats.tenantCount, 2);
});

test("nobody listens: sending fails without a sound, close ends, records are counted", async () => {
  const socket = createSocket({ type: "udp4" });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  await new Promise<void>((resolve) => void socket.close(resolve));
  const client = new DatagramClient({ port });
  for (let i = 0; i < 3; i++) {
    client.record("acme", "goal");
    await client.flush();
  }
  await client.close();
  const { recordsSent, recordsDropped, recordsWaiting } = client.stats;
  assert.equal(recordsSent + recordsDropped, 3);
  assert.equal(recordsWaiting, 0);
  assert(!client.record("acme", "goal"), "after close nothing is taken");
  await client.flush();
  await client.close();
});

test("a host that does not exist costs what was recorded, and no more", async () => {
  const client = new DatagramClient({ host: "nowhere.invalid" });
  client.record("acme", "goal");
  await client.close({ timeoutMs: 10 });
  assert.equal(client.stats.recordsDropped, 1);
  assert.equal(client.stats.recordsWaiting, 0);
});

test("what cannot be recorded is a clear error", (t) => {
  const client = new DatagramClient({ port: 9 });
  t.after(() => client.close());
  assert.throws(() => client.record("a b", "x"), /"a b" is no tenant id; use 1 to 64/);
  assert.throws(() => client.record("", "x"), RangeError);
  assert.throws(() => client.record("a", ""), /"" is no term: 1 to 40 bytes/);
  assert.throws(() => client.record("a", "x".repeat(41)), RangeError);
  assert.throws(() => client.record("a", "\n"), RangeError);
  for (const weight of [0, 1.5, -1, Number.NaN, WEIGHT_MAX + 1]) {
    assert.throws(() => client.record("a", "x", weight), /whole number from 1 to 1000000/);
  }
  for (const value of [0.5, -1, SAMPLE_MAX + 1]) {
    assert.throws(() => client.sample("a", "x", value), /A sample is a whole number from 0/);
  }
  assert.throws(
    () => new DatagramClient({ port: 70_000 }),
    /port is a whole number from 1 to 65535/,
  );
  assert.throws(() => new DatagramClient({ datagramBytes: 100 }), RangeError);
  assert.equal(client.stats.tenantCount, 1, "only legal names take an index");
});
