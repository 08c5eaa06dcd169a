import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { LOG_BLOCK_BYTES_MAX } from "#model/limits.ts";
import { DamagedRecord, type LogBlock } from "./durable-store.ts";
import { BLOCK_HEADER_BYTES, BlockReader, ENTRY_HEADER_BYTES, TurnLog } from "./turn-log.ts";

const entries = fc.array(
  fc.record({
    world: fc.integer({ min: 0, max: 3 }),
    kind: fc.integer({ min: 1, max: 65_535 }),
    tenant: fc.nat(131_071),
    first: fc.nat(),
    second: fc.nat(),
    body: fc.uint8Array({ maxLength: 200 }),
  }),
  { minLength: 1, maxLength: 40 },
);

type Entry = typeof entries extends fc.Arbitrary<(infer One)[]> ? One : never;

function sealed(list: readonly Entry[], stream = 7): LogBlock {
  const log = new TurnLog(stream);
  for (const { world, kind, tenant, first, second, body } of list) {
    assert.ok(log.hasRoom(body.length));
    log.append(world, kind, tenant, first, second, body, 0, body.length);
    log.publish();
  }
  const block = log.seal(1_795_000_000_000)!;
  return { ...block, bytes: block.bytes.slice() };
}

test("what was appended is read back, in its order", () => {
  fc.assert(
    fc.property(entries, (list) => {
      const reader = new BlockReader();
      reader.open(sealed(list));
      assert.equal(reader.nowMs, 1_795_000_000_000);
      for (const { world, kind, tenant, first, second, body } of list) {
        assert.ok(reader.next());
        const { bytes, bodyOffset, bodyBytes } = reader;
        const read = bytes.subarray(bodyOffset, bodyOffset + bodyBytes);
        assert.deepEqual([...read], [...body]);
        const numbers = [reader.world, reader.kind, reader.tenant, reader.first, reader.second];
        assert.deepEqual(numbers, [world, kind, tenant, first, second]);
      }
      assert.equal(reader.next(), false);
    }),
  );
});

test("a block that is cut, longer, changed in any bit, or another one's is refused", () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 0, max: 7 }), (list, at, bit) => {
      const block = sealed(list);
      const { bytes } = block;
      const refused = (other: LogBlock): void => {
        assert.throws(() => new BlockReader().open(other), DamagedRecord);
      };
      refused({ ...block, bytes: bytes.subarray(0, at % bytes.length) });
      refused({ ...block, bytes: Buffer.concat([bytes, Buffer.alloc(8)]) });
      const flipped = Uint8Array.from(bytes);
      flipped[at % bytes.length]! ^= 1 << bit;
      refused({ ...block, bytes: flipped });
      refused({ ...block, number: block.number + 1 });
      refused({ ...block, stream: block.stream + 1 });
    }),
  );
});

test("a turn that was appended and not published is not in the log", () => {
  const log = new TurnLog(1);
  const body = Buffer.from("a turn that was ended in the middle");
  log.append(1, 2, 3, 0, 0, body, 0, body.length);
  assert.equal(log.seal(0), undefined);
  log.append(1, 2, 3, 0, 0, body, 0, body.length);
  log.appendAt(1, 3, 4, 1_795_000_000_000.5);
  log.publish();
  const reader = new BlockReader();
  reader.open(log.seal(0)!);
  assert.ok(reader.next());
  assert.deepEqual([reader.kind, reader.tenant, reader.time], [3, 4, 1_795_000_000_000.5]);
  assert.equal(reader.next(), false);
});

test("blocks are numbered without a gap, and empty ones take no number", () => {
  const log = new TurnLog(1, 41);
  assert.equal(log.number, 42);
  assert.equal(log.seal(0), undefined);
  log.appendAt(1, 3, 0, 1);
  log.publish();
  assert.equal(log.seal(0)?.number, 42);
  assert.equal(log.number, 43);
});

test("numbers go on beyond 32 bits", () => {
  const log = new TurnLog(1, 2 ** 40);
  log.appendName(5, "acme", 1, 2 ** 41);
  const block = log.seal(0)!;
  assert.equal(block.number, 2 ** 40 + 1);
  const reader = new BlockReader();
  reader.open(block);
  assert.ok(reader.next());
  assert.equal(reader.bytes.readDoubleLE(reader.bodyOffset), 2 ** 41);
  assert.throws(() => new BlockReader().open({ ...block, number: 1 }), DamagedRecord);
});

test("a block takes what fits and says when nothing more does", () => {
  const log = new TurnLog(1);
  const body = Buffer.alloc(24 * 1024, 7);
  let count = 0;
  while (log.hasRoom(body.length)) {
    log.append(1, 2, count, 0, 0, body, 0, body.length);
    log.publish();
    count += 1;
  }
  const { bytes } = log.seal(0)!;
  assert.ok(bytes.length <= LOG_BLOCK_BYTES_MAX);
  assert.equal(bytes.length, BLOCK_HEADER_BYTES + count * (ENTRY_HEADER_BYTES + body.length));
  assert.ok(bytes.length + ENTRY_HEADER_BYTES + body.length > LOG_BLOCK_BYTES_MAX);
});
