/** Moderators for tests: the hostile one and the product's, and a way to look inside. */
import { readFileSync } from "node:fs";
import { bindClassifier, loadClassifier } from "#classifier/classifier.ts";
import { type BegunReview, ModeratorHost } from "#isolate/moderator-host.ts";
import type { Answer, TenantHostOptions } from "#isolate/tenant-host.ts";
import type { ModerationRequest, VerdictReport } from "#model/moderation.ts";
import { RequestBytes } from "#model/request-bytes.ts";

const folder = new URL("../../guests/dist/", import.meta.url);

export function moderatorComponent(name: "hostile-moderator" | "moderate"): Uint8Array {
  return readFileSync(new URL(`${name}.component.wasm`, folder));
}

/** The weights that are built in, bound on this thread. */
export const CLASSIFIER = bindClassifier(await loadClassifier());

const writer = new RequestBytes();
/** The time of requests that have none. */
const NOW_MS = 1_700_000_000_000;

/** A copy of the request's bytes. */
export function requestBytes(request: ModerationRequest): Buffer {
  const byteCount = writer.write(request, NOW_MS);
  if (typeof byteCount === "string") throw new Error(`${byteCount} is too long`);
  return Buffer.from(writer.bytes.subarray(0, byteCount));
}

/** A host whose memories and images can be read. */
export class GlassModeratorHost extends ModeratorHost {
  constructor(options: Partial<TenantHostOptions> = {}) {
    const defaults = { slotCount: 2, imageBytesMax: 16 << 20, tenantCountMax: 32, guarded: false };
    super({ ...defaults, ...options }, CLASSIFIER);
  }

  say(tenant: number, request: ModerationRequest): Answer<VerdictReport> {
    const bytes = requestBytes(request);
    return this.judge(tenant, bytes, 0, bytes.length);
  }

  review(tenant: number, call: number, request: ModerationRequest): BegunReview {
    const bytes = requestBytes(request);
    return this.beginReview(tenant, call, bytes, 0, bytes.length);
  }

  /** The tenant's image, as it lies packed. */
  image(tenant: number): Buffer {
    const packed = Buffer.alloc(1 << 18);
    return packed.subarray(0, this.images.read(tenant, packed));
  }

  /** Every linear memory that there is, and whose it is; -1: nobody's. */
  memories(): readonly { tenant: number; bytes: Buffer }[] {
    return this.slots.all.map(({ tenant, instance }) => ({ tenant, bytes: instance.memory.bytes }));
  }
}
