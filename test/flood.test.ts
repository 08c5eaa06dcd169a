// The load generator says exactly what it sent: held against a receiver that adds up every record.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { Child } from "../bench/child.ts";
import type { FloodedMessage, PreparedMessage, TotalsMessage } from "../bench/children/flood.ts";
import { tenantName } from "../bench/workload.ts";
import { findFfi } from "#kernel/libc.ts";
import { readDatagram } from "#model/datagram.ts";

const skip = process.platform !== "linux" || findFfi() === undefined ? "needs node:ffi" : false;

test("what the generator says it sent is what arrives", { skip, timeout: 300_000 }, async (t) => {
  const socket = createSocket({ type: "udp4" });
  t.after(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.setRecvBufferSize(8 * 1024 * 1024);
  const names = new Map<number, string>();
  const received = new Map<string, { count: number; weight: number; terms: Map<number, number> }>();
  const sequences: number[] = [];
  const termNames = new Map<number, string>();
  let eventCount = 0;
  let heard = Promise.withResolvers<void>();
  socket.on("message", (bytes) => {
    const datagram = readDatagram(bytes);
    assert(typeof datagram !== "string", "the generator sends no faulty datagram");
    sequences.push(datagram.header.sequence);
    for (const { of, index, name } of datagram.entries) {
      (of === "tenant" ? names : termNames).set(index, name);
    }
    for (const { tenant, term, value } of datagram.records) {
      const name = names.get(tenant);
      assert(name !== undefined, "names come first");
      const sums = received.get(name) ?? { count: 0, weight: 0, terms: new Map() };
      received.set(name, sums);
      sums.count += 1;
      sums.weight += value;
      sums.terms.set(term, (sums.terms.get(term) ?? 0) + value);
      eventCount += 1;
    }
    heard.resolve();
    heard = Promise.withResolvers<void>();
  });

  const generator = await Child.start(new URL("../bench/children/flood.ts", import.meta.url));
  t.after(() => generator.stop());
  const settings = {
    host: "127.0.0.1",
    port: (socket.address() as AddressInfo).port,
    seed: 5,
    tenantCount: 300,
    tenantExponent: 1,
    termCount: 40,
    termExponent: 1.1,
    weightMax: 9,
    poolEvents: 2_000,
    datagramBytes: 1_472,
  };
  generator.send({ type: "prepare", settings });
  const prepared = await generator.next<PreparedMessage>("prepared");
  assert.equal(prepared.datagramEvents, 90);
  assert.equal(prepared.datagramBytes, 1_472);
  let sent = 0;
  // The pool is sent more than twice, at a rate and without.
  for (const eventsPerSecond of [0, 100_000]) {
    const options = { events: 2_500, eventsPerSecond, secondsMax: 20 };
    generator.send({ type: "flood", options });
    const { result } = await generator.next<FloodedMessage>("flooded");
    assert.equal(result.events, Math.ceil(2_500 / 90) * 90);
    assert.equal(result.datagrams * 90, result.events);
    sent += result.events;
  }
  while (eventCount < sent) await heard.promise;

  generator.send({ type: "totals", tenants: [0] });
  const totals = await generator.next<TotalsMessage>("totals");
  for (let tenant = 0; tenant < settings.tenantCount; tenant++) {
    const got = received.get(tenantName(tenant));
    assert.equal(totals.counts[tenant], got?.count ?? 0);
    assert.equal(totals.weights[tenant], got?.weight ?? 0);
    const terms = [...(got?.terms ?? [])];
    const checksum = terms.reduce((sum, [term, weight]) => sum + weight * (term + 1), 0);
    assert.equal(totals.checksums[tenant], checksum);
  }
  const first = received.get(tenantName(0))!;
  const want = Object.fromEntries(
    [...first.terms].map(([term, weight]) => [termNames.get(term)!, weight]),
  );
  assert.deepEqual(totals.terms[tenantName(0)], want);
  assert.deepEqual(sequences, [...sequences.keys()], "one sequence, without gaps");
  assert.equal(eventCount, sent);
});
