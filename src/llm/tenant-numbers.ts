/**
 * Tenants by number: what is counted of a tenant lies in arrays. A name has its number until all
 * are taken and it is the one that has had nothing open for the longest; then the next name has it.
 * Those with nothing open hang in a list through two arrays, the oldest first.
 */
import assert from "node:assert/strict";

const NONE = -1;

export class TenantNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #countMax: number;
  readonly #forget: (tenant: number) => void;
  /** Calls that are open. */
  readonly #opens: Int32Array;
  readonly #nexts: Int32Array;
  readonly #previous: Int32Array;
  #oldest = NONE;
  #newest = NONE;

  /** `forget`: the number, which still has its name, is another name's from now on. */
  constructor(countMax: number, forget: (tenant: number) => void) {
    this.#countMax = countMax;
    this.#forget = forget;
    this.#opens = new Int32Array(countMax);
    this.#nexts = new Int32Array(countMax);
    this.#previous = new Int32Array(countMax);
  }

  /** Numbers from 0 on that were ever given. */
  get count(): number {
    return this.#names.length;
  }

  /** Undefined: it has none now. */
  find(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  /** Undefined: all are taken by tenants with something open. */
  numberOf(name: string): number | undefined {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const tenant = this.#names.length < this.#countMax ? this.#names.length : this.#oldest;
    if (tenant === NONE) return undefined;
    if (tenant < this.#names.length) {
      this.#unlink(tenant);
      this.#numbers.delete(this.#names[tenant]!);
      this.#forget(tenant);
    }
    this.#names[tenant] = name;
    this.#numbers.set(name, tenant);
    this.#link(tenant);
    return tenant;
  }

  nameOf(tenant: number): string {
    return this.#names[tenant]!;
  }

  /** Hot. A call of it is open. */
  open(tenant: number): void {
    if (this.#opens[tenant] === 0) this.#unlink(tenant);
    this.#opens[tenant]! += 1;
  }

  /** Hot. */
  close(tenant: number): void {
    assert(this.#opens[tenant]! > 0);
    this.#opens[tenant]! -= 1;
    if (this.#opens[tenant] === 0) this.#link(tenant);
  }

  #link(tenant: number): void {
    this.#nexts[tenant] = NONE;
    this.#previous[tenant] = this.#newest;
    if (this.#newest === NONE) this.#oldest = tenant;
    else this.#nexts[this.#newest] = tenant;
    this.#newest = tenant;
  }

  #unlink(tenant: number): void {
    const next = this.#nexts[tenant]!;
    const previous = this.#previous[tenant]!;
    if (previous === NONE) this.#oldest = next;
    else this.#nexts[previous] = next;
    if (next === NONE) this.#newest = previous;
    else this.#previous[next] = previous;
  }
}
