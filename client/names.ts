/**
 * The names a client has given indexes to, as the bytes of their dictionary entries, one after the
 * other: what was never sent, and what is due again, are ranges of one buffer. Nothing is ever
 * unbound.
 */
import {
  ENTRY_BYTES,
  INDEX_TERM,
  isTermName,
  PLACEMENT_BITS,
  placementOf,
  TENANT_BITS,
  tenantIndex,
  TERM_BITS,
  writeEntry,
} from "../src/model/datagram.ts";
import { TENANT_COUNT_MAX, TENANT_ID_BYTES_MAX, TERM_BYTES_MAX } from "../src/model/limits.ts";
import { isTenantId } from "../src/model/tenant.ts";

/** Returned for a name for which there is no room. */
export const NO_INDEX = -1;

export const TENANT_COUNT_DEFAULT = TENANT_COUNT_MAX;
export const TERM_COUNT_DEFAULT = 262_144;
const BYTES_FIRST = 16 * 1024;

export class Names {
  readonly #tenants = new Map<string, number>();
  readonly #terms = new Map<string, number>();
  readonly #tenantCountMax: number;
  readonly #termCountMax: number;
  /** Tenants so far, by placement. */
  readonly #placed = new Uint16Array(2 ** PLACEMENT_BITS);
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(BYTES_FIRST);
  #end = 0;

  constructor(limits: { tenantCountMax: number; termCountMax: number }) {
    this.#tenantCountMax = Math.min(limits.tenantCountMax, 2 ** TENANT_BITS);
    this.#termCountMax = Math.min(limits.termCountMax, 2 ** TERM_BITS);
  }

  get tenantCount(): number {
    return this.#tenants.size;
  }

  get termCount(): number {
    return this.#terms.size;
  }

  /** Bytes of all entries; the next name's entry begins here. */
  get end(): number {
    return this.#end;
  }

  /** NO_INDEX when there is no room; an illegal id is an error. */
  tenant(id: string): number {
    return this.#tenants.get(id) ?? this.#addTenant(id);
  }

  /** Of a term or a metric. */
  term(name: string): number {
    return this.#terms.get(name) ?? this.#addTerm(name);
  }

  /** Copies whole entries from `start` on to `target` at `at`, as many as fit before its end. */
  copy(start: number, target: Uint8Array, at: number): { end: number; count: number } {
    let end = start;
    let count = 0;
    while (end < this.#end) {
      const next = end + ENTRY_BYTES + this.#bytes[end + 4]! + this.#bytes[end + 5]! * 256;
      if (at + next - start > target.length) break;
      end = next;
      count += 1;
    }
    target.set(this.#bytes.subarray(start, end), at);
    return { end, count };
  }

  #addTenant(id: string): number {
    if (!isTenantId(id)) {
      const shown = JSON.stringify(id.slice(0, TENANT_ID_BYTES_MAX + 1));
      const allowed = `1 to ${TENANT_ID_BYTES_MAX} of A-Z a-z 0-9 . _ : -`;
      throw new RangeError(`${shown} is no tenant id; use ${allowed}.`);
    }
    if (this.#tenants.size >= this.#tenantCountMax) return NO_INDEX;
    const placement = placementOf(id);
    const index = tenantIndex(placement, this.#placed[placement]!);
    if (index === undefined) return NO_INDEX;
    this.#placed[placement]! += 1;
    this.#tenants.set(id, index);
    this.#append(index, id);
    return index;
  }

  #addTerm(name: string): number {
    if (!isTermName(name)) {
      const shown = JSON.stringify(name.slice(0, TERM_BYTES_MAX + 1));
      throw new RangeError(
        `${shown} is no term: 1 to ${TERM_BYTES_MAX} bytes of UTF-8 without control characters.`,
      );
    }
    if (this.#terms.size >= this.#termCountMax) return NO_INDEX;
    const index = this.#terms.size;
    this.#terms.set(name, index);
    this.#append(INDEX_TERM + index, name);
    return index;
  }

  #append(tagged: number, name: string): void {
    const text = this.#encoder.encode(name);
    const needed = this.#end + ENTRY_BYTES + text.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#end = writeEntry(this.#bytes, this.#end, tagged, text);
  }
}
