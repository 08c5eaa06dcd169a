/**
 * The keys that open this server, in memory: what a request brings is looked up by its id, hashed,
 * and compared in constant time. Whoever writes them (key-table.ts) hands every change on.
 *
 * How long an answer takes must not tell how much of a key was right, nor whether there is one of
 * that id: each look-up makes one hash and two comparisons, with hashes of nothing where there are
 * none.
 */
import { timingSafeEqual } from "node:crypto";
import type { Principal, Role, TenantScope } from "#model/access.ts";
import { hashOf, idOf, maskOf } from "./key-text.ts";

export type KeyRecord = {
  readonly id: string;
  readonly roles: readonly Role[];
  readonly tenants: TenantScope;
  readonly note: string;
  readonly createdMs: number;
  /** From then on it opens nothing; undefined: never. */
  readonly expiresMs: number | undefined;
  readonly revokedMs: number | undefined;
  readonly hash: Uint8Array;
  /** Of the secret before the last rotation, and until when it opens as well. */
  readonly formerHash: Uint8Array | undefined;
  readonly formerEndsMs: number | undefined;
  /** Since 1970; as it was written last. */
  readonly usedDay: number | undefined;
};

export type KeyRefusal = "malformed" | "unknown" | "expired" | "revoked";

export type Authentication =
  | { readonly id: string; readonly principal: Principal; readonly isFormer: boolean }
  | { readonly refusal: KeyRefusal };

const NO_HASH = Buffer.alloc(32);
const DAY_MS = 86_400_000;

export class KeyRing {
  readonly #keys = new Map<string, KeyRecord & { readonly principal: Principal }>();
  readonly #usedDays = new Map<string, number>();
  #unwrittenDays = new Map<string, number>();

  /** No key was ever made: see `isOpen` of access-hooks.ts for what that means. */
  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  get count(): number {
    return this.#keys.size;
  }

  /** Those that are neither revoked nor expired. */
  countOpen(nowMs: number): number {
    return [...this.#keys.values()].filter(
      ({ revokedMs, expiresMs = Infinity }) => revokedMs === undefined && nowMs < expiresMs,
    ).length;
  }

  put(record: KeyRecord): void {
    const { id, roles, tenants } = record;
    this.#keys.set(id, { ...record, principal: { name: maskOf(id), roles, tenants } });
  }

  delete(id: string): void {
    this.#keys.delete(id);
  }

  /** Day since 1970 on which it opened something last. */
  usedDay(id: string): number | undefined {
    return this.#usedDays.get(id) ?? this.#keys.get(id)?.usedDay;
  }

  /** Days that were not written yet; they are taken for written now. */
  takeUsedDays(): ReadonlyMap<string, number> {
    const days = this.#unwrittenDays;
    this.#unwrittenDays = new Map();
    return days;
  }

  giveBackUsedDays(days: ReadonlyMap<string, number>): void {
    this.#unwrittenDays = new Map([...days, ...this.#unwrittenDays]);
  }

  /** Whether a key that opened something goes on doing so. */
  stillOpens(id: string, isFormer: boolean, nowMs: number): boolean {
    const key = this.#keys.get(id);
    if (key === undefined || key.revokedMs !== undefined) return false;
    if (isFormer && nowMs >= (key.formerEndsMs ?? 0)) return false;
    return key.expiresMs === undefined || nowMs < key.expiresMs;
  }

  authenticate(text: string, nowMs: number): Authentication {
    const id = idOf(text);
    if (id === undefined) return { refusal: "malformed" };
    const key = this.#keys.get(id);
    const given = hashOf(text);
    const isCurrent = timingSafeEqual(given, key?.hash ?? NO_HASH);
    const isFormer = timingSafeEqual(given, key?.formerHash ?? NO_HASH);
    if (key === undefined || !(isCurrent || isFormer)) return { refusal: "unknown" };
    // Only who has the secret learns what became of the key.
    if (key.revokedMs !== undefined) return { refusal: "revoked" };
    if (key.expiresMs !== undefined && nowMs >= key.expiresMs) return { refusal: "expired" };
    if (!isCurrent && nowMs >= (key.formerEndsMs ?? 0)) return { refusal: "expired" };
    const day = Math.floor(nowMs / DAY_MS);
    if (this.#usedDays.get(key.id) !== day) {
      this.#usedDays.set(key.id, day);
      this.#unwrittenDays.set(key.id, day);
    }
    return { id: key.id, principal: key.principal, isFormer: !isCurrent };
  }
}
