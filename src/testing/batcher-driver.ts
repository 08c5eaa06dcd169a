/** Runs events through a batcher and decodes what comes out, with every element accounted for. */
import assert from "node:assert/strict";
import type { Batcher, RecordKind } from "#batcher/batcher.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import { type BatchEvent, readBatch } from "./batch.ts";
import type { OracleAnswer as Answer } from "./event-oracle.ts";

export const NOW_MS = 1_795_197_600_000;

/** Runs `group` and decodes every batch: [origin, index] -> tenant and event. */
export function takeEvents(batcher: Batcher): Map<string, { tenant: string; event: BatchEvent }> {
  const events = new Map<string, { tenant: string; event: BatchEvent }>();
  const batchCount = batcher.group(NOW_MS);
  for (let batch = 0; batch < batchCount; batch++) {
    const start = batcher.batchByteOffset(batch);
    const byteCount = batcher.batchByteCount(batch);
    assert.ok(byteCount <= BATCH_BYTES_MAX);
    const read = readBatch(batcher.memory.subarray(start, start + byteCount));
    assert.equal(read.nowMs, NOW_MS);
    assert.equal(read.events.length, batcher.batchEventCount(batch));
    for (const [k, event] of read.events.entries()) {
      const key = `${batcher.eventOrigin(batch, k)}/${batcher.eventIndex(batch, k)}`;
      assert.ok(!events.has(key), `${key} came twice`);
      events.set(key, { tenant: batcher.tenantName(batcher.batchTenant(batch)), event });
    }
  }
  batcher.clear();
  return events;
}

/** What the batcher makes of up to 100 elements, in order; every one is accounted for once. */
export function judge(
  batcher: Batcher,
  elements: readonly Uint8Array[],
  options: { tenant?: string; kind?: RecordKind } = {},
): Answer[] {
  const { kind = "elements" } = options;
  const tenant = options.tenant === undefined ? -1 : batcher.tenantAdd(options.tenant);
  const record = kind === "elements" ? elementsRecord(elements) : linesRecord(elements);
  batcher.input.set(record);
  batcher.parse(kind, record.length, tenant, 9, 0, NOW_MS);
  assert.equal(batcher.consumedBytes, record.length);
  assert.equal(batcher.elementCount, elements.length);
  assert.equal(batcher.errorCount, batcher.rejectedCount);
  const answers: (Answer | undefined)[] = elements.map(() => undefined);
  for (let i = 0; i < batcher.errorCount; i++) {
    const index = batcher.errorIndex(i);
    assert.equal(answers[index], undefined);
    answers[index] = EVENT_ERRORS[batcher.errorCode(i)]!.code;
  }
  const events = takeEvents(batcher);
  assert.equal(events.size, batcher.acceptedCount);
  for (const [key, event] of events) {
    const index = Number(key.slice(2));
    assert.equal(answers[index], undefined, `${index} is both accepted and rejected`);
    answers[index] = event;
  }
  return answers.map((answer, index) => {
    assert.ok(answer !== undefined, `${index} is neither accepted nor rejected`);
    return answer;
  });
}

export function elementsRecord(elements: readonly Uint8Array[], firstIndex = 0): Uint8Array {
  const parts = elements.flatMap((bytes, i) => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(firstIndex + i, 0);
    header.writeUInt32LE(bytes.length, 4);
    return [header, bytes, Buffer.alloc(-bytes.length & 3)];
  });
  return Buffer.concat(parts);
}

export function linesRecord(lines: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
}

export function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
}

/** Order of metrics is not part of the contract. */
export function comparable(answer: Answer): unknown {
  if (typeof answer === "string") return answer;
  const metrics = answer.event.metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { tenant: answer.tenant, event: { ...answer.event, metrics } };
}
