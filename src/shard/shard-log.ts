/**
 * A shard's end of the log: the turns of its two hosts, sealed at the end of each step; answers
 * that wait for the disk; snapshots of tenants that changed.
 */
import { DirtyTenants } from "#durable/dirty-tenants.ts";
import { HeldAnswers } from "#durable/held-answers.ts";
import { writeBlock, writeSnapshot, writeTrim } from "#durable/log-ring.ts";
import { recover, type RecoveryReport } from "#durable/recovery.ts";
import { SqliteStore } from "#durable/sqlite-store.ts";
import { CLOSE_ENTRY, FLAGS_ENTRY, GOES_ON, HOST_WORLD, TurnLog } from "#durable/turn-log.ts";
import { TurnSink } from "#durable/turn-sink.ts";
import { QUESTION_ENTRY } from "#isolate/journal.ts";
import { CONVERSATION_ENTRY, USAGE_ENTRY } from "#isolate/moderator-instance.ts";
import { LOG_RING_BYTES } from "#model/limits.ts";
import { shardOf } from "#model/placement.ts";
import { RingWriter } from "#std/byte-ring.ts";
import type { Answer, ShardLog } from "./protocol.ts";
import { MODERATOR_WORLD, Replay, SUMMARIZER_WORLD } from "./replay.ts";
import type { Shard } from "./shard.ts";
import { LEDGER_NUMBERS } from "./tenant-ledger.ts";

const NOTHING = Buffer.alloc(0);
const NO_REACH = [0, 0] as const;
/** How long a pass over the tenants that changed takes, and snapshots of one step at most. */
const PASS_MS = 30_000;
const SNAPSHOTS_STEP_MAX = 16;
/** How long a step waits for room in the log ring before it looks again. */
const ROOM_MS = 5;

export class LoggedTurns {
  readonly dirty = new DirtyTenants();
  readonly summarizer: TurnSink;
  readonly moderator: TurnSink;
  readonly #log: TurnLog;
  readonly #ring: RingWriter;
  readonly #shared: ShardLog;
  readonly #shard: number;
  readonly #held = new HeldAnswers<Answer>();
  /** tenant -> [stream, number] of its newest snapshot. */
  readonly #reaches = new Map<number, readonly [number, number]>();
  readonly #packed = Buffer.alloc(256 * 1024);
  readonly #ledger = new Float64Array(LEDGER_NUMBERS);
  readonly #nameOf: (tenant: number) => string;
  /** Snapshots that are due, a fraction included. */
  #due = 0;
  #steppedMs = 0;
  /** Of the pass at hand: tenants left, blocks needed by nobody before it, the last block then. */
  #passTenants = 0;
  #passStart = -1;
  #passTaken = 0;
  #trimmed = -1;

  constructor(
    shared: ShardLog,
    shard: number,
    tenantCountMax: number,
    nameOf: (tenant: number) => string,
  ) {
    this.#shared = shared;
    this.#shard = shard;
    this.#log = new TurnLog(shared.stream);
    this.#nameOf = nameOf;
    this.#ring = new RingWriter(shared.ring);
    this.dirty.reserve(tenantCountMax);
    const parts = {
      log: this.#log,
      dirty: this.dirty,
      nameOf,
      reachOf: (tenant: number) => this.#reaches.get(tenant) ?? NO_REACH,
      seal: () => this.seal(0),
    };
    const isTurn = (kind: number): boolean => kind < QUESTION_ENTRY;
    this.summarizer = new TurnSink({ ...parts, world: SUMMARIZER_WORLD, isLogged: isTurn });
    const changes = (kind: number): boolean => kind !== CONVERSATION_ENTRY && kind !== USAGE_ENTRY;
    this.moderator = new TurnSink({ ...parts, world: MODERATOR_WORLD, isLogged: changes });
  }

  /** Somebody waits for the disk. */
  get isHolding(): boolean {
    return !this.#held.isEmpty;
  }

  /** The tenant's summarizer begins anew. */
  closed(tenant: number): void {
    this.#tell(tenant, CLOSE_ENTRY, 0);
  }

  flagsSet(tenant: number, flags: number): void {
    this.#tell(tenant, FLAGS_ENTRY, flags);
  }

  /** The end of a step, or of a block that is full. */
  seal(nowMs: number): void {
    const block = this.#log.seal(nowMs);
    if (block === undefined) return;
    const { durable, bell } = this.#shared;
    while (!writeBlock(this.#ring, block)) {
      Atomics.wait(durable, 2 * this.#shard, Atomics.load(durable, 2 * this.#shard), ROOM_MS);
    }
    Atomics.add(bell, 0, 1);
    Atomics.notify(bell, 0);
  }

  /** After `seal`: some of the tenants that changed, so that all are through in a pass. */
  snapshot(shard: Shard, nowMs: number): void {
    const { dirty } = this;
    const elapsedMs = this.#steppedMs === 0 ? 0 : nowMs - this.#steppedMs;
    this.#steppedMs = nowMs;
    this.#due = Math.min(SNAPSHOTS_STEP_MAX, this.#due + (dirty.count * elapsedMs) / PASS_MS);
    for (; this.#due >= 1 && dirty.first !== -1; this.#due -= 1) {
      if (this.#ring.bytesUsed > LOG_RING_BYTES / 2) return;
      if (!this.#snapshotOf(shard, dirty.first)) return;
      dirty.clear(dirty.first);
      this.#passTenants -= 1;
    }
    if (this.#passTenants > 0) return;
    const number = this.#log.number - 1;
    if (this.#passStart > this.#trimmed) {
      if (!writeTrim(this.#ring, this.#passStart, this.#passTaken)) return;
      this.#trimmed = this.#passStart;
    }
    this.#passTenants = Math.max(1, dirty.count);
    this.#passTaken = number;
    this.#passStart = dirty.neededFrom(number + 1) - 1;
    if (dirty.count === 0) this.#passTenants = 0;
  }

  /** What is kept of this shard's tenants comes back; before the first step. */
  recover(shard: Shard): RecoveryReport {
    const { path, former, shardCount } = this.#shared;
    const store = new SqliteStore(path, "reader");
    const sinks = [this.summarizer, this.moderator];
    for (const sink of sinks) sink.isReplaying = true;
    const replayed = new Set<number>();
    const replay = new Replay(shard);
    try {
      return recover({
        store,
        streams: former,
        worlds: [SUMMARIZER_WORLD, MODERATOR_WORLD],
        isOurs: (tenant) => shardOf(tenant, shardCount) === this.#shard,
        restore: (name, world, snapshot) => {
          const tenant = replay.restore(name, world, snapshot);
          this.#reaches.set(tenant, [snapshot.stream, snapshot.number]);
        },
        replay: (name, entry) => void replayed.add(replay.replay(name, entry)),
      });
    } finally {
      store.close();
      for (const sink of sinks) sink.isReplaying = false;
      for (const tenant of replayed) {
        this.#reaches.set(tenant, [this.#log.stream, GOES_ON]);
        if (!this.#log.hasRoom(256)) this.seal(0);
        this.#log.appendName(tenant, this.#nameOf(tenant), this.#log.stream, GOES_ON);
        this.dirty.mark(tenant, this.#log.number);
      }
      this.seal(0);
    }
  }

  #tell(tenant: number, kind: number, first: number): void {
    if (!this.#log.hasRoom(256)) this.seal(0);
    if (!this.dirty.has(tenant)) {
      const [stream, number] = this.#reaches.get(tenant) ?? NO_REACH;
      this.#log.appendName(tenant, this.#nameOf(tenant), stream, number);
      this.dirty.mark(tenant, this.#log.number);
    }
    this.#log.append(HOST_WORLD, kind, tenant, first, 0, NOTHING, 0, 0);
    this.#log.publish();
  }

  /** False: there is no room in the ring. */
  #snapshotOf(shard: Shard, tenant: number): boolean {
    const { host, moderation, batcher } = shard.parts;
    const worlds = [
      { world: SUMMARIZER_WORLD, host },
      { world: MODERATOR_WORLD, host: moderation?.host },
    ];
    const { stream } = this.#log;
    const number = this.#log.number - 1;
    for (const { world, host: own } of worlds) {
      if (own === undefined || !own.isOpen(tenant)) continue;
      const byteCount = own.takeImage(tenant, this.#packed);
      if (byteCount === -1) return false;
      shard.tenants.write(tenant, this.#ledger);
      const isWritten = writeSnapshot(this.#ring, this.#nameOf(tenant), world, {
        stream,
        number,
        component: own.digestOf(tenant),
        flags: batcher.tenantFlags(tenant),
        strikes: own.strikeCount(tenant),
        ledger: this.#ledger,
        image: this.#packed.subarray(0, byteCount),
      });
      if (!isWritten) return false;
    }
    this.#reaches.set(tenant, [stream, number]);
    Atomics.add(this.#shared.bell, 0, 1);
    Atomics.notify(this.#shared.bell, 0);
    return true;
  }

  /** Answers that may go now: those that need not wait, and those whose wait is over. */
  release(answers: readonly Answer[]): readonly Answer[] {
    const held = answers.filter(({ awaitsDisk }) => awaitsDisk === true);
    this.#held.hold(this.#log.number - 1, held);
    const { durable } = this.#shared;
    const released = this.#held.take(Atomics.load(durable, 2 * this.#shard));
    if (held.length === answers.length) return released;
    return [...answers.filter(({ awaitsDisk }) => awaitsDisk !== true), ...released];
  }
}
