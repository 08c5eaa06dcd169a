/** The keys of a running server: the file, the ring that requests are held to, the audit log. */
import type { Role, TenantScope } from "#model/access.ts";
import { KeyFile } from "./key-file.ts";
import { type KeyRecord, KeyRing } from "./key-ring.ts";
import type { KeyAuditLine, KeyRequest } from "./key-table.ts";

const DAY_MS = 86_400_000;
const WRITE_USED_MS = 600_000;

/** A key as it may be shown: without anything that its secret could be found by. */
export type ShownKey = {
  readonly id: string;
  readonly roles: readonly Role[];
  readonly tenants: TenantScope;
  readonly note: string;
  readonly state: "open" | "expired" | "revoked";
  readonly createdMs: number;
  readonly expiresMs?: number;
  readonly revokedMs?: number;
  /** Until when the secret before the last rotation opens as well. */
  readonly formerEndsMs?: number;
  /** The day on which it opened something last, as 2026-11-21. */
  readonly lastUsed?: string;
};

/** Told once, to whoever made it. */
export type ToldKey = ShownKey & { readonly key: string };

type Change = {
  readonly record: KeyRecord;
  /** For the audit log: never a secret. */
  readonly detail: Readonly<Record<string, unknown>>;
};

export class KeyDesk {
  readonly ring = new KeyRing();
  /** Of a running server: called with the first key, which closes what was open. */
  onFirst: () => void = () => undefined;
  readonly #file: KeyFile;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout;

  /** Throws a KeyFileError. */
  constructor(path: string, nowMs: () => number = Date.now) {
    this.#file = new KeyFile(path);
    this.#nowMs = nowMs;
    for (const record of this.#file.table.all()) this.ring.put(record);
    this.#timer = setInterval(() => this.#writeUsedDays(), WRITE_USED_MS).unref();
  }

  get path(): string {
    return this.#file.path;
  }

  /** The newest first. */
  page(offset: number, limit: number): { total: number; keys: readonly ShownKey[] } {
    const all = this.#file.table.all().toReversed();
    return {
      total: all.length,
      keys: all.slice(offset, offset + limit).map((key) => this.#shown(key)),
    };
  }

  /** Throws a KeyError. */
  create(request: KeyRequest, actor: string): ToldKey {
    const { text, record } = this.#change("create", actor, () => {
      const made = this.#file.table.create(request, this.#nowMs());
      return { ...made, detail: detailOf(made.record) };
    });
    return { ...this.#shown(record), key: text };
  }

  /** Throws a KeyError. */
  rotate(id: string, actor: string, overlapMs?: number): ToldKey {
    const { text, record } = this.#change("rotate", actor, () => {
      const made = this.#file.table.rotate(id, this.#nowMs(), overlapMs);
      return { ...made, detail: { formerEndsMs: made.record.formerEndsMs } };
    });
    return { ...this.#shown(record), key: text };
  }

  /** Throws a KeyError. */
  revoke(id: string, actor: string): ShownKey {
    const { record } = this.#change("revoke", actor, () => {
      return { record: this.#file.table.revoke(id, this.#nowMs()), detail: {} };
    });
    return this.#shown(record);
  }

  /**
   * Of tenants that are deleted: keys that are for it alone are revoked; returns how many. Those
   * for others, too, or by a prefix, go on.
   */
  revokeOnly(tenant: string, actor: string): number {
    const only = this.#file.table
      .all()
      .filter(
        ({ tenants, revokedMs }) =>
          revokedMs === undefined && tenants.every((entry) => entry === tenant),
      );
    for (const { id } of only) this.revoke(id, actor);
    return only.length;
  }

  /**
   * The first key of a server that nobody can ask for one: an admin's, whose text was made with
   * `nexuscore key generate` and mounted as a file. True: it is new here. Throws a KeyError.
   */
  adopt(text: string, actor: string): boolean {
    const request = { roles: ["admin"], tenants: ["*"], note: "bootstrap" } as const;
    const record = this.#file.transaction(() => {
      const adopted = this.#file.table.adopt(text, request, this.#nowMs());
      if (adopted !== undefined) this.#audit("create", actor, adopted.id, detailOf(adopted));
      return adopted;
    });
    if (record === undefined) return false;
    this.ring.put(record);
    return true;
  }

  audit(limit: number, before?: number): readonly KeyAuditLine[] {
    return this.#file.table.auditPage(limit, before);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#writeUsedDays();
    this.#file.close();
  }

  #change<Changed extends Change>(
    action: KeyAuditLine["action"],
    actor: string,
    change: () => Changed,
  ): Changed {
    const changed = this.#file.transaction(() => {
      const made = change();
      this.#audit(action, actor, made.record.id, made.detail);
      return made;
    });
    const wasEmpty = this.ring.isEmpty;
    this.ring.put(changed.record);
    if (wasEmpty) this.onFirst();
    return changed;
  }

  #audit(
    action: KeyAuditLine["action"],
    actor: string,
    key: string,
    detail: Readonly<Record<string, unknown>>,
  ): void {
    this.#file.table.audit({ atMs: this.#nowMs(), actor, action, key, detail });
  }

  #shown(record: KeyRecord): ShownKey {
    const { id, roles, tenants, note, createdMs, expiresMs, revokedMs, formerEndsMs } = record;
    const nowMs = this.#nowMs();
    const isExpired = expiresMs !== undefined && nowMs >= expiresMs;
    const isOverlapping = formerEndsMs !== undefined && nowMs < formerEndsMs;
    const usedDay = this.ring.usedDay(id);
    return {
      id,
      roles,
      tenants,
      note,
      state: revokedMs !== undefined ? "revoked" : isExpired ? "expired" : "open",
      createdMs,
      ...(expiresMs === undefined ? {} : { expiresMs }),
      ...(revokedMs === undefined ? {} : { revokedMs }),
      ...(isOverlapping ? { formerEndsMs } : {}),
      ...(usedDay === undefined ? {} : { lastUsed: dayOf(usedDay) }),
    };
  }

  #writeUsedDays(): void {
    const days = this.ring.takeUsedDays();
    try {
      this.#file.writeUsedDays(days);
    } catch {
      // A disk that takes nothing has others to tell of it; these are written with the next.
      this.ring.giveBackUsedDays(days);
    }
  }
}

function detailOf({ roles, tenants, note, expiresMs }: KeyRecord): Record<string, unknown> {
  return { roles, tenants, note, ...(expiresMs === undefined ? {} : { expiresMs }) };
}

function dayOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
