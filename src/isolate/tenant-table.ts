/** What the host knows of every tenant: a few bytes each, no object. */
import { COMPONENT_COUNT_MAX } from "#model/limits.ts";

export const NO_SLOT = -1;
const CLOSED = 0;

export class TenantTable {
  readonly tenantCountMax: number;
  /** tenant -> number of its component + 1, or CLOSED. */
  readonly #components: Uint8Array;
  /** tenant -> the slot that holds it, or NO_SLOT. */
  readonly slots: Int32Array;
  /** tenant -> the misses of all tenants when it left its slot, modulo 2^32. */
  readonly leftAt: Uint32Array;
  readonly strikes: Uint8Array;
  /** tenant -> index of its last failed turn's outcome + 1, or 0. */
  readonly failures: Uint8Array;

  constructor(tenantCountMax: number) {
    this.tenantCountMax = tenantCountMax;
    this.#components = new Uint8Array(tenantCountMax);
    this.slots = new Int32Array(tenantCountMax).fill(NO_SLOT);
    this.leftAt = new Uint32Array(tenantCountMax);
    this.strikes = new Uint8Array(tenantCountMax);
    this.failures = new Uint8Array(tenantCountMax);
  }

  isOpen(tenant: number): boolean {
    return this.#components[tenant] !== CLOSED;
  }

  component(tenant: number): number {
    return this.#components[tenant]! - 1;
  }

  /** How many tenants run the component. Looks at all of them. */
  countOf(component: number): number {
    let count = 0;
    for (let tenant = 0; tenant < this.#components.length; tenant++) {
      if (this.#components[tenant] === component + 1) count += 1;
    }
    return count;
  }

  open(tenant: number, component: number): void {
    this.#components[tenant] = component + 1;
  }

  close(tenant: number): void {
    this.#components[tenant] = CLOSED;
  }
}

/** Components are numbered in a byte, beside CLOSED. */
export const COMPONENT_NUMBER_MAX = Math.min(COMPONENT_COUNT_MAX, 254) - 1;
