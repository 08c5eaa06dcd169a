/**
 * Tenants that are deleted, step by step:
 *
 *   begun     it is on disk that the tenant is to go: whatever happens now, a start goes on with it
 *   closed    its components, books and numbers are gone; events of it are refused, it is unknown
 *   forgotten what others keep of it is gone: verdicts, queue, policies, limits, keys
 *   erased    the log was trimmed beyond its last turn, snapshots are gone, the files are clean
 *   done      its number is free, and a new tenant of its name may begin
 *
 * Every step can be done twice. What fails is tried again, until the process ends.
 */
import { DELETION_RETRY_MS } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { EngineDoor } from "./door.ts";

export type DeletionRecord = {
  readonly tenant: string;
  readonly startedAtMs: number;
  /** Undefined: it goes on. */
  readonly doneAtMs: number | undefined;
};

/** Where deletions outlive the process. */
export interface DeletionBook {
  /** Of one that goes on already, as it stands. */
  begin(tenant: string): Promise<DeletionRecord>;
  end(tenant: string): Promise<void>;
  record(tenant: string): Promise<DeletionRecord | undefined>;
  unfinished(): Promise<readonly string[]>;
  /** Whether there is anything of the tenant beside the engine's. */
  knows(tenant: string): Promise<boolean>;
}

/** What keeps something of tenants. */
export type Forgetter = {
  /** In the answer, while it is still to be done. */
  readonly what: string;
  readonly forget: (tenant: string) => Promise<void> | void;
};

export type DeletionReport = {
  readonly tenant: string;
  readonly state: "deleting" | "done";
  readonly startedAtMs: number;
  readonly doneAtMs: number | undefined;
  /** What is still to be done, the next first. */
  readonly remains: readonly string[];
  /** Why the last try of the first of them failed. */
  readonly failure: string | undefined;
};

export type DeletionParts = {
  readonly engine: Pick<EngineDoor, "tenant" | "closeTenant" | "tenantErased" | "freeTenant">;
  readonly book: () => DeletionBook;
  readonly forgetters: readonly Forgetter[];
  readonly onFailure?: (tenant: string, what: string, reason: string) => void;
  readonly retryMs?: number;
};

type Step = { readonly what: string; readonly run: () => Promise<void> | void };
type Running = { steps: Step[]; failure: string | undefined; ended: Promise<void> };

const LOG = "log and snapshots";

export class Deletions {
  readonly #parts: DeletionParts;
  readonly #running = new Map<string, Running>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #isStopped = false;

  constructor(parts: DeletionParts) {
    this.#parts = parts;
  }

  /** Problems: tenantUnknown, storeUnavailable. */
  async begin(tenant: string): Promise<DeletionReport> {
    const book = this.#parts.book();
    if (!this.#running.has(tenant) && !(await this.#exists(tenant))) {
      throw new Problem("tenantUnknown", `There is nothing of ${tenant}.`);
    }
    const record = await book.begin(tenant);
    this.#start(tenant);
    return this.#report(record);
  }

  /** Problems: deletionUnknown, storeUnavailable. */
  async report(tenant: string): Promise<DeletionReport> {
    const record = await this.#parts.book().record(tenant);
    if (record !== undefined) return this.#report(record);
    throw new Problem("deletionUnknown", `${tenant} was not deleted.`);
  }

  /**
   * Goes on with those that a process before this one began; resolves once their tenants are
   * closed, so that nothing of them is taken or told.
   */
  async resume(): Promise<number> {
    const tenants = await this.#parts.book().unfinished();
    for (const tenant of tenants) {
      await this.#parts.engine.closeTenant(tenant);
      this.#start(tenant);
    }
    return tenants.length;
  }

  /** Those that run, for tests: they end, or wait for another try. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running.values()].map(async ({ ended }) => ended));
  }

  stop(): void {
    this.#isStopped = true;
    for (const retry of this.#retries) clearTimeout(retry);
  }

  #start(tenant: string): void {
    if (this.#running.has(tenant)) return;
    const { engine, book, forgetters } = this.#parts;
    const steps: Step[] = [
      { what: "components", run: async () => engine.closeTenant(tenant) },
      ...forgetters.map(({ what, forget }) => ({ what, run: async () => forget(tenant) })),
      { what: LOG, run: async () => engine.tenantErased(tenant) },
      { what: "number", run: async () => engine.freeTenant(tenant) },
      { what: "record", run: async () => book().end(tenant) },
    ];
    const running: Running = { steps, failure: undefined, ended: Promise.resolve() };
    this.#running.set(tenant, running);
    running.ended = this.#run(tenant, running);
  }

  async #run(tenant: string, running: Running): Promise<void> {
    try {
      while (running.steps.length > 0 && !this.#isStopped) {
        await running.steps[0]!.run();
        running.steps.shift();
        running.failure = undefined;
      }
      if (running.steps.length === 0) this.#running.delete(tenant);
    } catch (error) {
      running.failure = (error as Error).message;
      this.#parts.onFailure?.(tenant, running.steps[0]!.what, running.failure);
      if (!this.#isStopped) this.#retry(tenant, running);
    }
  }

  #retry(tenant: string, running: Running): void {
    const retry = setTimeout(() => {
      this.#retries.delete(retry);
      running.ended = this.#run(tenant, running);
    }, this.#parts.retryMs ?? DELETION_RETRY_MS);
    retry.unref();
    this.#retries.add(retry);
  }

  async #exists(tenant: string): Promise<boolean> {
    if (await this.#parts.book().knows(tenant)) return true;
    try {
      await this.#parts.engine.tenant(tenant);
      return true;
    } catch (error) {
      if (error instanceof Problem && error.code === "tenantUnknown") return false;
      throw error;
    }
  }

  #report({ tenant, startedAtMs, doneAtMs }: DeletionRecord): DeletionReport {
    const running = this.#running.get(tenant);
    return {
      tenant,
      state: doneAtMs === undefined ? "deleting" : "done",
      startedAtMs,
      doneAtMs,
      remains: doneAtMs === undefined ? (running?.steps ?? []).map(({ what }) => what) : [],
      failure: running?.failure,
    };
  }
}

/** Of a process that keeps nothing. */
export class MemoryDeletionBook implements DeletionBook {
  readonly #records = new Map<string, DeletionRecord>();

  async begin(tenant: string): Promise<DeletionRecord> {
    const known = this.#records.get(tenant);
    if (known !== undefined && known.doneAtMs === undefined) return known;
    const record = { tenant, startedAtMs: Date.now(), doneAtMs: undefined };
    this.#records.set(tenant, record);
    return record;
  }

  async end(tenant: string): Promise<void> {
    const record = this.#records.get(tenant)!;
    this.#records.set(tenant, { ...record, doneAtMs: Date.now() });
  }

  async record(tenant: string): Promise<DeletionRecord | undefined> {
    return this.#records.get(tenant);
  }

  async unfinished(): Promise<readonly string[]> {
    return [];
  }

  async knows(): Promise<boolean> {
    return false;
  }
}
