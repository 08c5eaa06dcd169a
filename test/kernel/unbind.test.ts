/**
 * The number of a tenant that is deleted is another's: what its senders still send under their
 * indexes asks for a number again, and nothing of it reaches whoever has the old one.
 */
import assert from "node:assert/strict";
import test from "node:test";
import type { Drain } from "#kernel/drain.ts";
import { INDEX_TERM } from "#model/datagram.ts";
import { tenantIndexes, TestSender, weightRecord } from "#testing/datagrams.ts";
import { TestStage, wayMissing } from "#testing/stage.ts";

const NOW_MS = 1_700_000_000_000;
const NAMES = ["gone", "stays", "new"];
const [GONE, STAYS, NEW] = tenantIndexes(NAMES) as [number, number, number];

for (const way of ["kernel", "dgram"] as const) {
  test(`${way}: a tenant that is unbound is asked for anew`, { skip: wayMissing(way) }, () => {
    using stage = new TestStage(way, { shardCount: 1 });
    const [drain] = stage.drains as [Drain];
    const senders = [new TestSender(7n), new TestSender(9n)];
    for (const sender of senders) {
      const names = NAMES.map((name, i) => [[GONE, STAYS, NEW][i]!, name] as const);
      stage.send(sender.dictionary(names), sender.dictionary([[INDEX_TERM, "pizza"]]));
    }
    /** Numbers that batches had, with the names that were asked for before them. */
    const turn = (numberOf: (name: string) => number): string[] => {
      const found: string[] = [];
      stage.read();
      assert.ok(stage.receiver.turn());
      while (drain.pending || drain.gathered > 0) {
        drain.collect();
        if (drain.deliver() === 0) continue;
        for (let status = drain.emit(NOW_MS); ; status = drain.emit(NOW_MS)) {
          if (status === "name") {
            const name = drain.neededName();
            found.push(`asks ${name}`);
            drain.bind(numberOf(name));
            continue;
          }
          for (let batch = 0; batch < drain.batchCount; batch++) {
            found.push(`batch of ${drain.batchTenant(batch)}`);
          }
          drain.release();
          if (status === "done") break;
        }
      }
      return [...new Set(found)].toSorted();
    };
    const send = (indexes: readonly number[]): void => {
      for (const sender of senders) {
        stage.send(sender.records(indexes.map((index) => weightRecord(index, 0, 1))));
      }
    };
    const first = new Map([
      ["gone", 0],
      ["stays", 1],
    ]);
    send([GONE, STAYS]);
    const asked = ["asks gone", "asks stays", "batch of 0", "batch of 1"];
    assert.deepEqual(
      turn((name) => first.get(name)!),
      asked,
    );
    send([GONE, STAYS]);
    assert.deepEqual(
      turn(() => assert.fail("all are known")),
      ["batch of 0", "batch of 1"],
    );
    drain.unbind("gone");
    // Number 0 is another's now; whoever is `gone` is a new tenant, with a number of its own.
    const second = new Map([
      ["new", 0],
      ["gone", 2],
    ]);
    send([GONE, STAYS, NEW]);
    const again = ["asks gone", "asks new", "batch of 0", "batch of 1", "batch of 2"];
    assert.deepEqual(
      turn((name) => second.get(name)!),
      again,
    );
    drain.unbind("nobody");
    send([GONE, STAYS, NEW]);
    const known = ["batch of 0", "batch of 1", "batch of 2"];
    assert.deepEqual(
      turn(() => assert.fail("all are known")),
      known,
    );
  });
}
