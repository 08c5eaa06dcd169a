/** Tenants as they were kept, put back into a shard that has not begun. */
import assert from "node:assert/strict";
import type { KeptComponent } from "#durable/durable-store.ts";
import {
  type BlockReader,
  CLOSE_ENTRY,
  FLAGS_ENTRY,
  HOST_WORLD,
  UPGRADE_ENTRY,
} from "#durable/turn-log.ts";
import type { Snapshot } from "#durable/snapshot.ts";
import { INGEST_ENTRY } from "#isolate/journal.ts";
import { BEGIN_REVIEW_ENTRY, END_REVIEW_ENTRY } from "#isolate/moderator-instance.ts";
import { CALL_NUMBER_MAX } from "#isolate/review-turn.ts";
import type { Outcome } from "#model/outcome.ts";
import type { Shard } from "./shard.ts";
import { LEDGER_NUMBERS } from "./tenant-ledger.ts";

export const SUMMARIZER_WORLD = 1;
export const MODERATOR_WORLD = 2;

const IMAGE_BYTES_MAX = 256 * 1024;
const COMPONENT_MASK = 0xffff;

export type ReplayParts = {
  readonly shard: Shard;
  /** Of the store, by digest or by number. */
  readonly component: (which: Uint8Array | number) => KeptComponent | undefined;
  /** What the moderators import, as its digest has it. */
  readonly imports: string;
  /** A component was admitted that tenants ran before. */
  readonly onComponent: (world: number, hostNumber: number, storeNumber: number) => void;
};

/** A review that no gateway knows of any more. */
export type OpenReview = { readonly call: number; readonly resultAt: number };

export class Replay {
  readonly #parts: ReplayParts;
  readonly #packed = Buffer.alloc(IMAGE_BYTES_MAX);
  readonly #report = new Uint32Array(5);
  readonly #fates = new Uint8Array(1024);
  /** tenant -> numbers of the components that its turns are of: see turn-log.ts. */
  readonly #components = new Map<number, number>();
  /** world and number of the store, or digest -> number of the host. */
  readonly #known = new Map<string, number>();
  /** tenant -> call -> where its moderator wants the result. */
  readonly #reviews = new Map<number, Map<number, number>>();

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** Reviews that were open at the end, by tenant. */
  *openReviews(): Iterable<readonly [tenant: number, reviews: readonly OpenReview[]]> {
    for (const [tenant, calls] of this.#reviews) {
      if (calls.size === 0) continue;
      yield [tenant, [...calls].map(([call, resultAt]) => ({ call, resultAt }))];
    }
  }

  /** The tenant's number. */
  restore(name: string, world: number, snapshot: Snapshot): number {
    const { shard } = this.#parts;
    const { batcher, host, moderation } = shard.parts;
    const tenant = this.#numberOf(name);
    const { image, flags, strikes, ledger } = snapshot;
    this.#packed.set(image);
    const isSummarizer = world === SUMMARIZER_WORLD;
    const own = isSummarizer ? host : moderation!.host;
    const number = this.#admitted(world, snapshot.component);
    assert(number !== undefined, `the component that ${name} runs was not kept`);
    const outcome = own.putImage(tenant, number, strikes, this.#packed, image.length);
    if (outcome !== "ok") throw noRoom();
    batcher.tenantFlagsSet(tenant, flags);
    if (isSummarizer) shard.tenants.read(tenant, ledger);
    else this.#restoreReviews(tenant, ledger);
    return tenant;
  }

  named(name: string, components: number): void {
    this.#components.set(this.#numberOf(name), components);
  }

  /** False: it does not go as it went. */
  replay(tenant: number, entry: BlockReader): boolean {
    const { shard } = this.#parts;
    const { batcher, host, moderation } = shard.parts;
    const { world, kind, first, second, time, bytes, bodyOffset, bodyBytes } = entry;
    if (world === HOST_WORLD) {
      if (kind === FLAGS_ENTRY) batcher.tenantFlagsSet(tenant, first);
      else if (kind === CLOSE_ENTRY) {
        host.close(tenant);
        shard.tenants.clear(tenant);
      }
      return true;
    }
    if (kind === UPGRADE_ENTRY) return this.#upgrade(tenant, world, first);
    if (world === SUMMARIZER_WORLD && kind === INGEST_ENTRY) {
      if (!host.isOpen(tenant)) return false;
      const outcome = host.ingest(tenant, bytes, bodyOffset, bodyBytes, this.#report, this.#fates);
      if (outcome !== "ok") return this.#failed(host, tenant, outcome);
      const joined = bytes.readUInt32LE(bodyOffset + 4);
      shard.tenants.count(tenant, this.#report, joined, entry.nowMs);
      return true;
    }
    const own = world === SUMMARIZER_WORLD ? host : moderation!.host;
    const number = own.isOpen(tenant) ? own.componentNumber(tenant) : this.#opening(tenant, world);
    const outcome = own.replay(
      tenant,
      number,
      kind,
      first,
      second,
      time,
      bytes,
      bodyOffset,
      bodyBytes,
    );
    if (outcome !== "ok") return this.#failed(own, tenant, outcome);
    if (world === MODERATOR_WORLD) this.#enterReview(tenant, kind, first);
    return true;
  }

  /** `which`: number of the component in the store. */
  #upgrade(tenant: number, world: number, which: number): boolean {
    const { host, moderation } = this.#parts.shard.parts;
    const own = world === SUMMARIZER_WORLD ? host : moderation!.host;
    const number = this.#admitted(world, which);
    if (number === undefined || !own.isOpen(tenant)) return false;
    if (own.componentNumber(tenant) === number) return true;
    return own.upgrade(tenant, number).result === "moved";
  }

  /** A turn that went well once is not the tenant's fault now. */
  #failed(host: { release: (tenant: number) => void }, tenant: number, outcome: Outcome): boolean {
    if (outcome === "refused") throw noRoom();
    host.release(tenant);
    return false;
  }

  numberOf(name: string): number {
    return this.#numberOf(name);
  }

  #enterReview(tenant: number, kind: number, first: number): void {
    const { askedAt } = this.#parts.shard.parts.moderation!.host;
    if (kind === BEGIN_REVIEW_ENTRY && askedAt !== -1) {
      const calls = this.#reviews.get(tenant) ?? new Map<number, number>();
      this.#reviews.set(tenant, calls.set(first, askedAt));
    } else if (kind === END_REVIEW_ENTRY) {
      this.#reviews.get(tenant)?.delete(first & CALL_NUMBER_MAX);
    }
  }

  #restoreReviews(tenant: number, ledger: Float64Array): void {
    const calls = new Map<number, number>();
    for (let at = LEDGER_NUMBERS; at + 1 < ledger.length; at += 2) {
      calls.set(ledger[at]!, ledger[at + 1]!);
    }
    this.#reviews.set(tenant, calls);
  }

  /** What a tenant begins with whose turn is the first; of a log without that: today's. */
  #opening(tenant: number, world: number): number {
    const { component, moderation } = this.#parts.shard.parts;
    const components = this.#components.get(tenant) ?? 0;
    const isSummarizer = world === SUMMARIZER_WORLD;
    const kept = isSummarizer ? components & COMPONENT_MASK : components >>> 16;
    const todays = isSummarizer ? component : moderation!.component;
    return kept === 0 ? todays : (this.#admitted(world, kept) ?? todays);
  }

  /** The host's number of a component that is kept; undefined: it is not. */
  #admitted(world: number, which: Uint8Array | number): number | undefined {
    const name = typeof which === "number" ? String(which) : Buffer.from(which).toString("hex");
    const key = `${world} ${name}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { shard, component, imports, onComponent } = this.#parts;
    const { host, moderation } = shard.parts;
    const own = world === SUMMARIZER_WORLD ? host : moderation!.host;
    const kept = component(which);
    if (kept === undefined) {
      return typeof which === "number" ? undefined : own.componentOf(which);
    }
    const found = own.componentOf(kept.digest);
    const number = found ?? own.admit(kept.bytes, world === SUMMARIZER_WORLD ? "" : imports);
    this.#known.set(key, number);
    onComponent(world, number, kept.number);
    return number;
  }

  #numberOf(name: string): number {
    const { shard } = this.#parts;
    const tenant = shard.ensure(name);
    if (tenant !== -1) return tenant;
    const { countMax } = shard.parts.cap;
    throw new Error(`more tenants are kept than the ${countMax} of tenantCountMax; raise it`);
  }
}

/** Who begins without some of what was kept would keep less from then on. */
function noRoom(): Error {
  return new Error(
    "what is kept of tenants finds no room in a shard's share of imageBytesMax; raise it, or " +
      "start as many shards as before (shardCount)",
  );
}
