/** Event datagrams: every way in counts the same, and what is refused has a reason. */
import {
  DATAGRAM_BYTES_MAX,
  HEADER_BYTES,
  readDatagram,
  RECORD_BYTES,
  writeRecord,
} from "#model/datagram.ts";
import type { Random } from "#std/random.ts";
import {
  sampleRecord,
  tenantIndexes,
  termEntry,
  TestSender,
  weightRecord,
} from "#testing/datagrams.ts";
import { type TenantBatch, TestStage, type Way, wayMissing } from "#testing/stage.ts";
import assert from "node:assert/strict";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const WAYS: readonly Way[] = ["dgram", "recvmmsg", "kernel"];
/** Stages keep what senders are called; after so many inputs they begin anew. */
const CASES_OF_STAGE = 200;
const LENGTH_BYTES = 2;

export const datagrams: FuzzTarget = {
  sentence: "event datagrams, by each way in that this machine has; all count alike",
  caseCount: 120,
  open: (): FuzzSubject => {
    const ways = WAYS.filter((way) => wayMissing(way) === false);
    let stages: TestStage[] = [];
    let cases = 0;
    const close = (): void => {
      for (const stage of stages) stage[Symbol.dispose]();
      stages = [];
    };
    return {
      seeds: seeds(),
      dictionary: ["NXE1", Buffer.from([1, 1]), Buffer.from([1, 2]), "acme", Buffer.alloc(8)],
      mutate: anotherRecord,
      check: (input) => {
        if (cases++ % CASES_OF_STAGE === 0) {
          close();
          stages = ways.map((way) => new TestStage(way));
        }
        const parts = datagramsOf(input);
        const wanted = parts.map((datagram) => readDatagram(datagram));
        const results = stages.map((stage) => resultOf(stage, parts));
        for (const [index, result] of results.entries()) {
          const label = `${ways[0]} and ${ways[index]} differ`;
          assert.deepEqual(result.batches, results[0]!.batches, label);
          assert.deepEqual(result.refused, results[0]!.refused, label);
        }
        const faults = wanted.filter((each) => typeof each === "string");
        const refused = Object.values(results[0]!.refused).reduce((sum, count) => sum + count, 0);
        assert(refused >= faults.length, `${faults.join(" ")}: refused are ${refused}`);
        // What is counted hangs on what the sender said before, so on the cases before.
        return [...new Set(faults)].toSorted().join(" ");
      },
      close,
    };
  },
};

type Result = { readonly batches: TenantBatch[]; readonly refused: Record<string, number> };

/** What its tenants get by the input; of a stage that goes on, by the difference. */
function resultOf(stage: TestStage, parts: readonly Uint8Array[]): Result {
  const before = refusals(stage);
  stage.send(...parts);
  const batches = [...stage.turn(), ...stage.turn()];
  const after = refusals(stage);
  const refused = Object.fromEntries(
    Object.entries(after).map(([fault, count]) => [fault, count - (before[fault] ?? 0)]),
  );
  const sorted = batches.toSorted((a, b) => (a.tenant + a.bytes < b.tenant + b.bytes ? -1 : 1));
  return { batches: sorted, refused };
}

function refusals({ stats }: TestStage): Readonly<Record<string, number>> {
  return { ...stats.refusedDatagrams, ...stats.refusedRecords };
}

/** Several of them, each behind its length. */
function framed(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16LE(part.length);
      return [length, part];
    }),
  );
}

function datagramsOf(input: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const bytes = Buffer.from(input);
  for (let at = 0; at + LENGTH_BYTES <= bytes.length && parts.length < 16;) {
    const end = at + LENGTH_BYTES + bytes.readUInt16LE(at);
    const part = bytes.subarray(at + LENGTH_BYTES, Math.min(end, bytes.length));
    // UDP carries no more, and an empty one is as good as none.
    if (part.length > 0) parts.push(part.subarray(0, DATAGRAM_BYTES_MAX));
    at = end;
  }
  return parts;
}

function seeds(): Uint8Array[] {
  const [acme = 0, bolt = 0] = tenantIndexes(["acme", "bolt"]);
  return [1n, 7n, 2n ** 63n].map((id) => {
    const sender = new TestSender(id);
    const dictionary = sender.dictionary([
      [acme, "acme"],
      [bolt, "bolt"],
      termEntry(3, "boss fight"),
      termEntry(4, "größe"),
    ]);
    const records = [weightRecord(acme, 3, 5), sampleRecord(bolt, 4, 12), weightRecord(bolt, 3, 1)];
    return framed([dictionary, sender.records(records), sender.records([records[0]!])]);
  });
}

/** A record where one is, as the sender of the first seed might write it, or as nobody would. */
function anotherRecord(random: Random, input: Uint8Array): Uint8Array {
  const bytes = Buffer.from(input);
  const from = LENGTH_BYTES + HEADER_BYTES;
  if (bytes.length < from + RECORD_BYTES) return bytes;
  const at = from + random.below(bytes.length - from - RECORD_BYTES + 1);
  const few = (): number => (random.chance(1, 2) ? random.below(6) : random.u32());
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const record = { tenant: few(), term: few(), value: few(), flags: random.below(4) };
  writeRecord(view, at, record);
  return bytes;
}
