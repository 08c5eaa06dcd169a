/** Tenants as they were kept, put back into a shard that has not begun. */
import assert from "node:assert/strict";
import { type BlockReader, CLOSE_ENTRY, FLAGS_ENTRY, HOST_WORLD } from "#durable/turn-log.ts";
import type { Snapshot } from "#durable/snapshot.ts";
import { INGEST_ENTRY } from "#isolate/journal.ts";
import type { Shard } from "./shard.ts";

export const SUMMARIZER_WORLD = 1;
export const MODERATOR_WORLD = 2;

const IMAGE_BYTES_MAX = 256 * 1024;

export class Replay {
  readonly #shard: Shard;
  readonly #packed = Buffer.alloc(IMAGE_BYTES_MAX);
  readonly #report = new Uint32Array(5);
  readonly #fates = new Uint8Array(1024);

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** The tenant's number. */
  restore(name: string, world: number, snapshot: Snapshot): number {
    const { batcher, host, component, moderation } = this.#shard.parts;
    const tenant = this.#numberOf(name);
    const { image, flags, strikes, ledger } = snapshot;
    this.#packed.set(image);
    const isSummarizer = world === SUMMARIZER_WORLD;
    const own = isSummarizer ? host : moderation!.host;
    const number = isSummarizer ? component : moderation!.component;
    assert(own.hasDigest(number, snapshot.component), "an image of another component");
    const outcome = own.putImage(tenant, number, strikes, this.#packed, image.length);
    assert.equal(outcome, "ok", `${name} finds no room`);
    batcher.tenantFlagsSet(tenant, flags);
    if (isSummarizer) this.#shard.tenants.read(tenant, ledger);
    return tenant;
  }

  /** The same. */
  replay(name: string, entry: BlockReader): number {
    const { batcher, host, component, moderation } = this.#shard.parts;
    const tenant = this.#numberOf(name);
    const { kind, first, second, time, bytes, bodyOffset, bodyBytes } = entry;
    if (entry.world === HOST_WORLD) {
      if (kind === FLAGS_ENTRY) batcher.tenantFlagsSet(tenant, first);
      else if (kind === CLOSE_ENTRY) {
        host.close(tenant);
        this.#shard.tenants.clear(tenant);
      }
      return tenant;
    }
    if (entry.world === SUMMARIZER_WORLD && kind === INGEST_ENTRY) {
      const outcome = host.ingest(tenant, bytes, bodyOffset, bodyBytes, this.#report, this.#fates);
      assert.equal(outcome, "ok");
      const joined = bytes.readUInt32LE(bodyOffset + 4);
      this.#shard.tenants.count(tenant, this.#report, joined, entry.nowMs);
      return tenant;
    }
    const isSummarizer = entry.world === SUMMARIZER_WORLD;
    const own = isSummarizer ? host : moderation!.host;
    const number = isSummarizer ? component : moderation!.component;
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
    assert.equal(outcome, "ok");
    return tenant;
  }

  #numberOf(name: string): number {
    const tenant = this.#shard.ensure(name);
    assert(tenant !== -1, "more tenants are kept than are taken");
    return tenant;
  }
}
