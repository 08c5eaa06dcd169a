/**
 * Values of tenants, by key: at most so many bytes in all, and so many of one tenant. What nobody
 * asked for longest goes first, a tenant's own when it has too many, else that of the tenant who
 * was quiet longest; so one that floods pushes out its own. The order is that of a Map's insertions
 * and nothing is sorted.
 */
export type ShelfLimits = {
  readonly bytesMax: number;
  readonly ofTenantMax: number;
};

type Place<Value> = { readonly value: Value; readonly bytes: number };

/** Beside the value: a Map's place, a record and the key; a tenant's own Map. About. */
const PLACE_BYTES = 200;

export class Shelf<Value extends object> {
  readonly #limits: ShelfLimits;
  /** The tenant that was asked for last is the last; so it is with the keys. */
  readonly #tenants = new Map<string, Map<string, Place<Value>>>();
  #bytes = 0;

  constructor(limits: ShelfLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  find(tenant: string, key: string): Value | undefined {
    const places = this.#tenants.get(tenant);
    const place = places?.get(key);
    if (places === undefined || place === undefined) return undefined;
    places.delete(key);
    places.set(key, place);
    this.#touch(tenant, places);
    return place.value;
  }

  /** Takes the place of what was there. `bytes`: of the value, about. */
  put(tenant: string, key: string, value: Value, bytes: number): void {
    this.drop(tenant, key);
    const places = this.#tenants.get(tenant) ?? new Map<string, Place<Value>>();
    const place = { value, bytes: bytes + key.length + PLACE_BYTES };
    places.set(key, place);
    this.#bytes += place.bytes;
    this.#touch(tenant, places);
    if (places.size > this.#limits.ofTenantMax) this.#dropOldest(tenant, places);
    while (this.#bytes > this.#limits.bytesMax) {
      const [oldest, theirs] = this.#tenants.entries().next().value!;
      this.#dropOldest(oldest, theirs);
    }
  }

  /** The value has grown or shrunk; false: it is not there any more. */
  resize(tenant: string, key: string, value: Value, bytes: number): boolean {
    if (this.#tenants.get(tenant)?.get(key)?.value !== value) return false;
    this.put(tenant, key, value, bytes);
    return true;
  }

  /** All of a tenant's. */
  dropTenant(tenant: string): void {
    for (const key of this.#tenants.get(tenant)?.keys() ?? []) this.drop(tenant, key);
  }

  drop(tenant: string, key: string): void {
    const places = this.#tenants.get(tenant);
    const place = places?.get(key);
    if (places === undefined || place === undefined) return;
    places.delete(key);
    this.#bytes -= place.bytes;
    if (places.size === 0) this.#tenants.delete(tenant);
  }

  #touch(tenant: string, places: Map<string, Place<Value>>): void {
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, places);
  }

  #dropOldest(tenant: string, places: Map<string, Place<Value>>): void {
    const key = places.keys().next().value!;
    this.drop(tenant, key);
  }
}
