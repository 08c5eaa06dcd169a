/**
 * What a shard does for durability, around the real host of isolates: each turn that went well is
 * in the log, dirty tenants are snapshotted, and a start makes the same tenants of it.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { IsolateHost } from "#isolate/host.ts";
import { CONFIGURE_ENTRY, INGEST_ENTRY, ADVANCE_ENTRY } from "#isolate/journal.ts";
import type { RingWriter } from "#std/byte-ring.ts";
import { ALL_SPANS } from "#model/window.ts";
import { DirtyTenants } from "#durable/dirty-tenants.ts";
import { writeBlock, writeSnapshot, writeTrim } from "#durable/log-ring.ts";
import type { Snapshot } from "#durable/snapshot.ts";
import { type BlockReader, GOES_ON, TurnLog } from "#durable/turn-log.ts";

export const WORLD = 1;
const COMPONENT = readFileSync(
  new URL("../../guests/dist/summarize.component.wasm", import.meta.url),
);
const DIGEST = createHash("sha256").update(COMPONENT).digest();
const NOTHING = Buffer.alloc(0);

export class DurableHost {
  readonly host: IsolateHost;
  readonly dirty = new DirtyTenants();
  readonly log: TurnLog;
  readonly names: string[] = [];
  /** Of the newest snapshot. */
  readonly reaches: [stream: number, number: number][] = [];
  /** Since the start began; they are dirty. */
  readonly replayed = new Set<number>();
  readonly numbers = new Map<string, number>();
  snapshotCount = 0;
  snapshotBytes = 0;
  readonly #ring: RingWriter | undefined;
  readonly #component: number;
  readonly #report = new Uint32Array(5);
  readonly #fates = new Uint8Array(1024);
  readonly #packed = Buffer.alloc(256 * 1024);
  readonly #ledger = new Float64Array(7);
  /** Trims lag one pass behind: an older snapshot is good for something. */
  #passStart = 0;
  #passTenants = 0;
  #isSettled = false;
  /** Number of the last block when it began. */
  #passTaken = 0;
  #trimmed = 0;

  constructor(
    ring: RingWriter | undefined,
    stream: number,
    tenantCountMax: number,
    slotCount = 64,
    number = 0,
  ) {
    this.#ring = ring;
    this.log = new TurnLog(stream, number);
    this.host = new IsolateHost({
      slotCount,
      imageBytesMax: 4 * 2 ** 30,
      tenantCountMax,
      guarded: false,
    });
    this.#component = this.host.admit(COMPONENT);
    this.dirty.reserve(tenantCountMax);
  }

  number(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.push(name) - 1;
    this.numbers.set(name, number);
    return number;
  }

  ingest(name: string, batch: Uint8Array): void {
    const tenant = this.#opened(name);
    const outcome = this.host.ingest(tenant, batch, 0, batch.length, this.#report, this.#fates);
    assert.equal(outcome, "ok");
    this.#logTurn(tenant, INGEST_ENTRY, 0, 0, batch);
  }

  advance(name: string, nowMs: number): void {
    const tenant = this.#opened(name);
    assert.equal(this.host.advance(tenant, nowMs), "ok");
    this.#mark(tenant);
    this.log.appendAt(WORLD, ADVANCE_ENTRY, tenant, nowMs);
    this.log.publish();
  }

  /** The end of a step; the number of the block that whoever was answered waits for. */
  seal(nowMs: number): number {
    const block = this.log.seal(nowMs);
    if (block !== undefined) assert.ok(writeBlock(this.#ring!, block));
    return this.log.number - 1;
  }

  /** After `seal`: snapshots of so many tenants, the longest dirty first. */
  snapshot(count: number): void {
    assert(this.log.isEmpty);
    // A shard that took over nothing needs nothing of the runs before.
    if (!this.#isSettled && this.dirty.count === 0 && this.#trimmed === 0) {
      this.#isSettled = writeTrim(this.#ring!, 0, 0);
    }
    const number = this.log.number - 1;
    for (let done = 0; done < count && this.dirty.first !== -1; done++) {
      const tenant = this.dirty.first;
      const byteCount = this.host.takeImage(tenant, this.#packed);
      assert(byteCount >= 0);
      const image = this.#packed.subarray(0, byteCount);
      const { stream } = this.log;
      const ledger = this.#ledger;
      const snapshot = { stream, number, component: DIGEST, flags: 0, strikes: 0, ledger, image };
      if (!writeSnapshot(this.#ring!, this.names[tenant]!, WORLD, snapshot)) return;
      this.dirty.clear(tenant);
      this.reaches[tenant] = [stream, number];
      this.snapshotCount += 1;
      this.snapshotBytes += byteCount;
      this.#passTenants -= 1;
    }
    if (this.#passTenants > 0) return;
    // A pass is over when all who were dirty at its start were snapshotted: the log before the
    // start of that pass is needed by nobody's older snapshot either.
    if (
      this.#passStart > this.#trimmed &&
      writeTrim(this.#ring!, this.#passStart, this.#passTaken)
    ) {
      this.#trimmed = this.#passStart;
    }
    this.#passTenants = this.dirty.count;
    this.#passTaken = number;
    this.#passStart = Math.min(number, this.dirty.neededFrom(number + 1) - 1);
  }

  restore(name: string, snapshot: Snapshot): void {
    assert.deepEqual(Buffer.from(snapshot.component), DIGEST);
    const tenant = this.number(name);
    Buffer.from(snapshot.image.buffer, snapshot.image.byteOffset).copy(
      this.#packed,
      0,
      0,
      snapshot.image.length,
    );
    const { length } = snapshot.image;
    this.reaches[tenant] = [snapshot.stream, snapshot.number];
    assert.equal(
      this.host.putImage(tenant, this.#component, snapshot.strikes, this.#packed, length),
      "ok",
    );
  }

  replay(name: string, entry: BlockReader): void {
    const tenant = this.number(name);
    this.replayed.add(tenant);
    if (entry.kind === CONFIGURE_ENTRY) {
      assert.equal(
        this.host.open(tenant, this.#component, { clock: "wall", spans: entry.second }),
        "ok",
      );
    } else if (entry.kind === INGEST_ENTRY) {
      const { bytes, bodyOffset, bodyBytes } = entry;
      const outcome = this.host.ingest(
        tenant,
        bytes,
        bodyOffset,
        bodyBytes,
        this.#report,
        this.#fates,
      );
      assert.equal(outcome, "ok");
    } else {
      assert.equal(entry.kind, ADVANCE_ENTRY);
      assert.equal(this.host.advance(tenant, entry.time), "ok");
    }
  }

  /** After a start: who was replayed is dirty in the stream that begins. */
  goOn(stream: number): void {
    for (const tenant of this.replayed) {
      this.reaches[tenant] = [stream, GOES_ON];
      this.#mark(tenant);
    }
    this.replayed.clear();
  }

  hashes(): Map<string, string> {
    return new Map(this.names.map((name, tenant) => [name, this.host.stateHash(tenant)]));
  }

  #opened(name: string): number {
    const tenant = this.number(name);
    if (this.host.isOpen(tenant)) return tenant;
    assert.equal(
      this.host.open(tenant, this.#component, { clock: "wall", spans: ALL_SPANS }),
      "ok",
    );
    this.#logTurn(tenant, CONFIGURE_ENTRY, 0, ALL_SPANS, NOTHING);
    return tenant;
  }

  #logTurn(tenant: number, kind: number, first: number, second: number, body: Uint8Array): void {
    this.#mark(tenant);
    this.log.append(WORLD, kind, tenant, first, second, body, 0, body.length);
    this.log.publish();
  }

  #mark(tenant: number): void {
    if (!this.log.hasRoom(32 * 1024)) this.seal(0);
    const before = this.dirty.count;
    this.dirty.mark(tenant, this.log.number);
    if (this.dirty.count === before) return;
    const [stream, number] = this.reaches[tenant] ?? [0, 0];
    this.log.appendName(tenant, this.names[tenant]!, stream, number);
  }
}
