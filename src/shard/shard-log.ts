/**
 * A shard's end of the log: the turns of its two hosts, sealed at the end of each step; answers
 * that wait for the disk; snapshots of tenants that changed.
 *
 * It never waits for the disk. Events are not parsed before their turns surely find room in the
 * ring (`hasRoom`); what was taken all the same stays in memory until there is room. While that is
 * so, what nobody was promised to find again (verdicts, what the time does) is not logged: it is
 * kept with snapshots.
 */
import { DirtyTenants } from "#durable/dirty-tenants.ts";
import type { LogBlock } from "#durable/durable-store.ts";
import { HeldAnswers } from "#durable/held-answers.ts";
import { writeBlock, writeForget, writeSnapshot, writeTrim } from "#durable/log-ring.ts";
import { SnapshotPace } from "#durable/snapshot-pace.ts";
import { StorageBoard } from "#durable/storage-board.ts";
import {
  CLOSE_ENTRY,
  FLAGS_ENTRY,
  GOES_ON,
  HOST_WORLD,
  TurnLog,
  UPGRADE_ENTRY,
} from "#durable/turn-log.ts";
import { TurnSink } from "#durable/turn-sink.ts";
import { STATES } from "#durable/committer.ts";
import { ADVANCE_ENTRY, INGEST_ENTRY, QUESTION_ENTRY } from "#isolate/journal.ts";
import {
  CONFIGURE_ENTRY,
  CONVERSATION_ENTRY,
  FORGET_ENTRY,
  USAGE_ENTRY,
} from "#isolate/moderator-instance.ts";
import { LOG_RING_BYTES } from "#model/limits.ts";
import { RingWriter } from "#std/byte-ring.ts";
import type { Answer, ShardLog } from "./protocol.ts";
import { MODERATOR_WORLD, SUMMARIZER_WORLD } from "./replay.ts";
import type { Shard } from "./shard.ts";
import { LEDGER_NUMBERS } from "./tenant-ledger.ts";

const NOTHING = Buffer.alloc(0);
const NO_REACH = [0, 0] as const;
/** Of the shards' log ring: snapshots leave the other half to turns. */
const SNAPSHOTS_BYTES_MAX = LOG_RING_BYTES / 2;
/** What the turns of a record may take of the log: so many times its body, and names. */
const TURNS_SHARE = 4;
const TURNS_BYTES = 64 * 1024;
/** How long an answer waits for a disk that fails before it is told that nobody knows. */
const HELD_MS_MAX = 10_000;
/** An image as it is packed, at most. */
const IMAGE_BYTES_MAX = 256 * 1024;
/** A name's entry, at most. */
const NAME_BYTES = 256;
const REVIEW_NUMBERS = 2;
/** Snapshots of a step while somebody is deleted: the log is to be rid of them soon. */
const HURRIED_COUNT = 16;
/** In the ring beside what is claimed: a block that does not fit before its end, and the next. */
const SPARE_BYTES = 4 * 1024 * 1024;
const BEHIND_BYTES = (LOG_RING_BYTES * 3) / 4;
/** Of logBytesMax: from here on, whatever the log holds, snapshots are urgent. */
const FULL_SHARE = 0.75;
/** How long a thread that ends waits for room before it looks again. */
const WAIT_MS = 20;

export type LoggedTurnsParts = {
  readonly shared: ShardLog;
  readonly shard: number;
  readonly tenantCountMax: number;
  readonly nameOf: (tenant: number) => string;
  /** Of the last block that the stream has already. */
  readonly lastNumber: number;
};

export class LoggedTurns {
  readonly dirty = new DirtyTenants();
  readonly summarizer: TurnSink;
  readonly moderator: TurnSink;
  /** What the turns at hand are of is logged; false: it is kept with snapshots alone. */
  isLogging = true;
  readonly #log: TurnLog;
  readonly #ring: RingWriter;
  readonly #shared: ShardLog;
  readonly #shard: number;
  readonly #board: StorageBoard;
  readonly #held = new HeldAnswers<Answer>();
  readonly #pace: SnapshotPace;
  /** Blocks that found no room in the ring, copied. */
  #spilled: LogBlock[] = [];
  /** tenant -> [stream, number] of its newest snapshot. */
  readonly #reaches = new Map<number, readonly [number, number]>();
  readonly #packed = Buffer.alloc(IMAGE_BYTES_MAX);
  readonly #nameOf: (tenant: number) => string;
  /** By world, by the host's number of the component: the store's number. */
  readonly #components: readonly [number[], number[]] = [[], []];
  #hosts: Shard["parts"] | undefined;
  /** Of records that were parsed since the block was sealed last. */
  #claimedBytes = 0;
  /** Since the last look at snapshots there were turns. */
  #hasSealed = false;
  /** Of the pass at hand: tenants left, blocks needed by nobody before it, the last block then. */
  #passTenants = 0;
  #passStart = -1;
  #passTaken = 0;
  #trimmed = -1;
  /**
   * Turns were made again that older snapshots need: they stay until a second pass, before whose
   * trim those become as new as what the first one took.
   */
  #isReplayNeeded = false;
  /** Tenants that were deleted, and could not be told to the writer yet. */
  #forgets: { readonly name: string; readonly number: number }[] = [];
  /** Up to where the log is to be trimmed soon, for it has something of somebody who is deleted. */
  #hurryTo = -1;

  constructor({ shared, shard, tenantCountMax, nameOf, lastNumber }: LoggedTurnsParts) {
    this.#shared = shared;
    this.#shard = shard;
    this.#board = new StorageBoard(shared.board);
    this.#log = new TurnLog(shared.stream, lastNumber);
    this.#nameOf = nameOf;
    this.#ring = new RingWriter(shared.ring);
    const { recoveryMsMax, logBytesMax, shardCount } = shared;
    this.#pace = new SnapshotPace({ recoveryMsMax, logBytesMax: logBytesMax / shardCount });
    this.dirty.reserve(tenantCountMax);
    const parts = {
      log: this.#log,
      dirty: this.dirty,
      nameOf,
      reachOf: (tenant: number) => this.#reaches.get(tenant) ?? NO_REACH,
      componentsOf: (tenant: number) => this.#componentsOf(tenant),
      seal: () => this.seal(Date.now()),
    };
    this.summarizer = new TurnSink({
      ...parts,
      world: SUMMARIZER_WORLD,
      changes: (kind) => kind < QUESTION_ENTRY,
      isLogged: (kind) => this.#logsSummarizer(kind),
    });
    this.moderator = new TurnSink({
      ...parts,
      world: MODERATOR_WORLD,
      changes: (kind) => kind !== CONVERSATION_ENTRY && kind !== USAGE_ENTRY,
      isLogged: (kind) => kind === CONFIGURE_ENTRY || kind === FORGET_ENTRY || !this.#isBehind,
    });
  }

  /** Somebody waits for the disk. */
  get isHolding(): boolean {
    return !this.#held.isEmpty;
  }

  get logsDatagrams(): boolean {
    return this.#shared.datagramLog;
  }

  /** Before the first turn: whose tenants these are. */
  attach(shard: Shard): void {
    const { component, moderation } = shard.parts;
    const { components } = this.#shared;
    this.#hosts = shard.parts;
    this.knowComponent(SUMMARIZER_WORLD, component, components.summarizer);
    if (moderation === undefined) return;
    this.knowComponent(MODERATOR_WORLD, moderation.component, components.moderator);
  }

  /** A component of a world, as its host and as the store numbers it. */
  knowComponent(world: number, hostNumber: number, storeNumber: number): void {
    this.#components[world === SUMMARIZER_WORLD ? 0 : 1][hostNumber] = storeNumber;
  }

  /**
   * Whether the turns of a record with so many bytes surely find room in the log; if so, they are
   * counted in until the next `seal`.
   */
  claim(bodyBytes: number): boolean {
    if (this.#spilled.length > 0) return false;
    const turnBytes = TURNS_SHARE * bodyBytes + TURNS_BYTES;
    const usedBytes = this.#ring.bytesUsed + this.#claimedBytes;
    // Half a ring beside it, for records that do not fit before its end, and a block of its own.
    if (usedBytes + turnBytes > LOG_RING_BYTES - SPARE_BYTES) return false;
    this.#claimedBytes += turnBytes;
    return true;
  }

  /** The tenant's summarizer begins anew. */
  closed(tenant: number): void {
    this.#tell(tenant, CLOSE_ENTRY, 0);
    // What it begins with may be another component.
    this.dirty.setNamed(tenant, false);
  }

  flagsSet(tenant: number, flags: number): void {
    this.#tell(tenant, FLAGS_ENTRY, flags);
  }

  /**
   * The tenant is deleted: no start is to find it. Its number, unless it is -1, is another's soon,
   * whose first turn is in a later block.
   */
  forget(tenant: number, name: string): void {
    this.seal(Date.now());
    if (tenant !== -1) {
      this.dirty.clear(tenant);
      this.#reaches.delete(tenant);
    }
    const number = this.#log.number - 1;
    this.#forgets.push({ name, number });
    this.#hurryTo = Math.max(this.#hurryTo, number);
    this.#writeForgets();
  }

  /** What is in the log now leaves it as soon as may be. */
  hurry(): void {
    this.#hurryTo = Math.max(this.#hurryTo, this.#trimmed === -1 ? 0 : this.#trimmed);
  }

  /** The tenant's component of a world is another from now on; the host's number of it. */
  upgraded(tenant: number, world: number, hostNumber: number): void {
    const storeNumber = this.#components[world === SUMMARIZER_WORLD ? 0 : 1][hostNumber] ?? 0;
    this.#tell(tenant, UPGRADE_ENTRY, storeNumber, world);
  }

  /** The tenant is to be snapshotted again, though no turn says so; -1: there is none. */
  changed(tenant: number): void {
    if (tenant !== -1) this.dirty.mark(tenant, this.#log.number);
  }

  /** The end of a step, or of a block that is full. */
  seal(nowMs: number): void {
    this.#writeSpilled();
    const block = this.#log.seal(nowMs);
    this.#claimedBytes = 0;
    if (block === undefined) return;
    this.#hasSealed = true;
    this.dirty.logBytes += block.bytes.length;
    if (this.#spilled.length === 0 && writeBlock(this.#ring, block)) this.#ringBell();
    else this.#spilled.push({ ...block, bytes: Buffer.from(block.bytes) });
  }

  /** After `seal`: some of the tenants that changed. The step's turns took so long. */
  snapshot(shard: Shard, tookMs: number): void {
    const { dirty } = this;
    // Of questions nothing is done again.
    if (this.#hasSealed) dirty.costMs += tookMs;
    this.#hasSealed = false;
    const pace = this.#pace;
    this.#writeForgets();
    const isHurried = this.#trimmed < this.#hurryTo;
    const isFull = this.#board.get("logBytes") > FULL_SHARE * this.#shared.logBytesMax;
    const paced = pace.step(performance.now(), dirty, isFull);
    let count = Math.max(paced, isHurried ? HURRIED_COUNT : 0);
    for (; count > 0 && (isHurried || pace.mayGoOn) && dirty.first !== -1; count -= 1) {
      const startMs = performance.now();
      if (!this.#snapshotFirst(shard)) break;
      pace.spent(performance.now() - startMs);
    }
    this.#trim();
    this.#tellBoard();
  }

  /** All that changed, as far as there is time, room and a disk; the thread may wait. */
  finish(shard: Shard, deadlineMs: number): void {
    this.seal(Date.now());
    const { durable } = this.#shared;
    while (Date.now() < deadlineMs) {
      if (this.dirty.first === -1 || !this.#isWriting) break;
      this.#writeSpilled();
      if (this.#snapshotFirst(shard)) continue;
      Atomics.wait(durable, 2 * this.#shard, Atomics.load(durable, 2 * this.#shard), WAIT_MS);
    }
    while (this.#spilled.length > 0 && Date.now() < deadlineMs && this.#isWriting) {
      this.#writeSpilled();
      Atomics.wait(durable, 2 * this.#shard, Atomics.load(durable, 2 * this.#shard), WAIT_MS);
    }
    this.#trim();
    this.#tellBoard();
  }

  /** Answers that may go now: those that need not wait, and those whose wait is over. */
  release(answers: readonly Answer[], nowMs: number): readonly Answer[] {
    const held = answers.filter(({ awaitsDisk }) => awaitsDisk === true);
    this.#held.hold(this.#log.number - 1, held, nowMs);
    const { durable } = this.#shared;
    const due = this.#held.take(Atomics.load(durable, 2 * this.#shard));
    const unknown = this.#isWriting ? [] : this.#held.takeSince(nowMs - HELD_MS_MAX);
    const told = unknown.length === 0 ? due : [...due, ...unknown.map(unknownEnd)];
    if (held.length === answers.length) return told;
    return [...answers.filter(({ awaitsDisk }) => awaitsDisk !== true), ...told];
  }

  /** Where the tenant's state comes from: a snapshot, or what a start made of the log. */
  restored(tenant: number, stream: number, number: number): void {
    this.#reaches.set(tenant, [stream, number]);
  }

  /** The turns that were made again for these tenants are in no snapshot yet. */
  replayed(tenants: Iterable<number>, tookMs: number): void {
    for (const tenant of tenants) {
      this.#isReplayNeeded = true;
      this.#reaches.set(tenant, [this.#log.stream, GOES_ON]);
      if (!this.#log.hasRoom(NAME_BYTES)) this.seal(Date.now());
      this.summarizer.name(tenant);
    }
    this.dirty.costMs += tookMs;
    this.seal(Date.now());
  }

  /** The disk takes what is written, as far as is known. */
  get #isWriting(): boolean {
    const { durable } = this.#shared;
    const state = STATES[Atomics.load(durable, durable.length - 1)];
    return state === "ok" || state === "slow";
  }

  /** The disk is behind so far that only what was promised is logged. */
  get #isBehind(): boolean {
    return this.#spilled.length > 0 || this.#ring.bytesUsed > BEHIND_BYTES;
  }

  #logsSummarizer(kind: number): boolean {
    if (kind === INGEST_ENTRY) return this.isLogging;
    return kind !== ADVANCE_ENTRY || (this.isLogging && !this.#isBehind);
  }

  #componentsOf(tenant: number): number {
    const { host, component, moderation } = this.#hosts!;
    const [summarizers, moderators] = this.#components;
    const own = host.isOpen(tenant) ? host.componentNumber(tenant) : component;
    const first = summarizers[own] ?? 0;
    if (moderation === undefined) return first;
    const judges = moderation.host;
    const judge = judges.isOpen(tenant) ? judges.componentNumber(tenant) : moderation.component;
    return (first | ((moderators[judge] ?? 0) << 16)) >>> 0;
  }

  #tell(tenant: number, kind: number, first: number, world = HOST_WORLD): void {
    if (!this.#log.hasRoom(NAME_BYTES)) this.seal(Date.now());
    this.summarizer.name(tenant);
    this.#log.append(world, kind, tenant, first, 0, NOTHING, 0, 0);
    this.#log.publish();
  }

  #writeSpilled(): void {
    const spilled = this.#spilled;
    let written = 0;
    while (written < spilled.length && writeBlock(this.#ring, spilled[written]!)) written += 1;
    if (written === 0) return;
    this.#spilled = spilled.slice(written);
    this.#ringBell();
  }

  /** After the blocks that they end. */
  #writeForgets(): void {
    if (this.#forgets.length === 0 || this.#spilled.length > 0) return;
    let written = 0;
    for (const { name, number } of this.#forgets) {
      if (!writeForget(this.#ring, name, number)) break;
      written += 1;
    }
    if (written === 0) return;
    this.#forgets = this.#forgets.slice(written);
    this.#ringBell();
  }

  #ringBell(): void {
    const { bell } = this.#shared;
    Atomics.add(bell, 0, 1);
    Atomics.notify(bell, 0);
  }

  /** False: there is no room in the ring, or in memory. */
  #snapshotFirst(shard: Shard): boolean {
    const { dirty } = this;
    if (this.#spilled.length > 0 || this.#ring.bytesUsed > SNAPSHOTS_BYTES_MAX) return false;
    // A new tenant's snapshot must not come before the end of the one of its name.
    if (this.#forgets.length > 0) return false;
    if (!this.#snapshotOf(shard, dirty.first)) return false;
    dirty.clear(dirty.first);
    this.#passTenants -= 1;
    return true;
  }

  /** What was needed before the pass that ended is needed no more; the next one begins. */
  #trim(): void {
    const { dirty } = this;
    if (this.#passTenants > 0 && dirty.count > 0) return;
    const number = this.#log.number - 1;
    if (this.#passStart > this.#trimmed && this.#isReplayNeeded) {
      this.#isReplayNeeded = false;
    } else if (this.#passStart > this.#trimmed) {
      if (!writeTrim(this.#ring, this.#passStart, this.#passTaken)) return;
      this.#trimmed = this.#passStart;
      this.#ringBell();
    }
    this.#passTenants = dirty.count;
    this.#passTaken = number;
    this.#passStart = dirty.neededFrom(number + 1) - 1;
  }

  #tellBoard(): void {
    const board = this.#board;
    board.setOf(this.#shard, "backlogMs", this.dirty.backlogMs);
    board.setOf(this.#shard, "dirtyTenants", this.dirty.count);
    board.setOf(this.#shard, "heldAnswers", this.#held.count);
  }

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
      const isWritten = writeSnapshot(this.#ring, this.#nameOf(tenant), world, {
        stream,
        number,
        component: own.digestOf(tenant),
        flags: batcher.tenantFlags(tenant),
        strikes: own.strikeCount(tenant),
        ledger: ledgerOf(shard, world, tenant),
        image: this.#packed.subarray(0, byteCount),
      });
      if (!isWritten) return false;
    }
    this.#reaches.set(tenant, [stream, number]);
    this.#ringBell();
    return true;
  }
}

/** What the shard counts of the tenant, and the calls of its reviews that are open. */
function ledgerOf(shard: Shard, world: number, tenant: number): Float64Array {
  const reviews = world === MODERATOR_WORLD ? shard.moderation!.openReviewsOf(tenant) : [];
  const ledger = new Float64Array(LEDGER_NUMBERS + reviews.length * REVIEW_NUMBERS);
  shard.tenants.write(tenant, ledger);
  for (const [index, { call, resultAt }] of reviews.entries()) {
    ledger[LEDGER_NUMBERS + index * REVIEW_NUMBERS] = call;
    ledger[LEDGER_NUMBERS + index * REVIEW_NUMBERS + 1] = resultAt;
  }
  return ledger;
}

/** The disk failed before it was known to have what was taken. */
function unknownEnd({ request }: Answer): Answer {
  const detail =
    "The disk fails: whether this was kept nobody knows. Send it again; events with an id are " +
    "counted once.";
  return { type: "problem", request, code: "storageUnavailable", detail };
}
