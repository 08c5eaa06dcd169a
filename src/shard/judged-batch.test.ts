import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  TERM_BYTES_MAX,
  USER_BYTES_MAX,
} from "#model/limits.ts";
import { readBatch, writeBatch, type BatchEvent } from "#testing/batch.ts";
import { readRequest } from "#testing/moderation-bytes.ts";
import { EventRequests, textsOf } from "./event-request.ts";
import { KeptEvents } from "./kept-events.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
/** A grapheme may be many bytes, and the batch is bounded in bytes. */
const within = (bytesMax: number, given = text): fc.Arbitrary<string> =>
  given.filter((each) => Buffer.byteLength(each) <= bytesMax);
const term = within(TERM_BYTES_MAX, fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }));
const event: fc.Arbitrary<Partial<BatchEvent>> = fc.record({
  weight: fc.integer({ min: 1, max: 9 }),
  tsMs: fc.integer({ min: 0, max: 2 ** 43 }),
  id: within(EVENT_ID_BYTES_MAX),
  user: within(USER_BYTES_MAX),
  conversation: within(CONVERSATION_BYTES_MAX),
  text: fc.oneof(text, fc.constant("")),
  terms: fc.array(term, { maxLength: 3 }),
  metrics: fc.array(fc.record({ name: fc.constant("m"), value: fc.integer() }), { maxLength: 2 }),
});
const events = fc.array(event, { maxLength: 30 });
const OFFSET = 24;

/** A memory with the batch somewhere within it. */
function memoryOf(batch: Uint8Array): Uint8Array {
  const memory = new Uint8Array(batch.length + 2 * OFFSET).fill(0xee);
  memory.set(batch, OFFSET);
  return memory;
}

test("what is kept of a batch is a batch, and says where its events were", () => {
  const kept = new KeptEvents();
  fc.assert(
    fc.property(events, fc.infiniteStream(fc.boolean()), (all, coin) => {
      const drops = all.map(() => coin.next().value as boolean);
      const batch = writeBatch(all, 77);
      kept.keep(memoryOf(batch), OFFSET, (index) => drops[index]!);
      const read = readBatch(kept.bytes.subarray(0, kept.byteCount));
      const whole = readBatch(batch);
      const expected = whole.events.filter((_, index) => !drops[index]);
      assert.deepEqual(read, { nowMs: 77, events: expected });
      assert.equal(kept.eventCount, expected.length);
      for (const [index, each] of read.events.entries()) {
        assert.deepEqual(whole.events[kept.indexOf(index)], each);
      }
    }),
  );
});

test("an event as a message to judge says what the event says; without text there is none", () => {
  const requests = new EventRequests();
  fc.assert(
    fc.property(events, (all) => {
      const memory = memoryOf(writeBatch(all));
      const view = new DataView(memory.buffer);
      requests.end = 0;
      let offset = OFFSET + 16;
      for (const each of readBatch(memory.subarray(OFFSET, -OFFSET)).events) {
        const at = requests.end;
        assert.equal(requests.append(view, memory, offset), each.text !== "");
        offset += view.getUint32(offset, true);
        if (each.text === "") {
          assert.equal(requests.end, at);
          continue;
        }
        const byteCount = requests.bytes.readUInt32LE(at);
        assert.equal(requests.end, at + 4 + byteCount);
        const request = readRequest(requests.bytes.subarray(at + 4, requests.end));
        const { id, user, conversation, tsMs } = each;
        const expected = { tsMs, flags: 0, id, conversation, user, text: each.text, context: [] };
        assert.deepEqual(request, { ...expected, role: "", replyTo: "", language: "" });
        assert.deepEqual(textsOf(requests.bytes, at + 4), {
          messageId: id || undefined,
          conversation: conversation || undefined,
          user: user || undefined,
          text: each.text,
        });
      }
    }),
  );
});
