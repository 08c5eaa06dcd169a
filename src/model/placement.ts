/**
 * Where a tenant lives. The splitter computes the same in Wasm (batcher/assembly/tenants.ts), so
 * that a tenant's events meet in one shard whichever way they came in.
 */

/** Hash of a legal tenant id: FNV-1a over its bytes, then the finalizer of MurmurHash3. */
export function tenantHash(tenant: string): number {
  let hash = 0x811c9dc5;
  // A legal id is ASCII, so its UTF-16 units are its bytes.
  for (let i = 0; i < tenant.length; i++) {
    hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Shard of a legal tenant id, in [0, shardCount). Only the lowest byte of the hash decides: it
 * stands in the tenant's index in event datagrams, so that the kernel knows the shard without the
 * name.
 */
export function shardOf(tenant: string, shardCount: number): number {
  return (tenantHash(tenant) & 255) % shardCount;
}
