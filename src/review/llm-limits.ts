/**
 * What tenants may spend on a language model, kept over a restart: limits that were set, and what
 * is taken of the day's money. The gateway's thread is given all of it when it begins, and is asked
 * every few seconds what changed; a crash forgets what was spent since.
 */
import type { TenantLimits, TenantSpending } from "#llm/protocol.ts";
import { LLM_SPENT_KEPT_MS } from "#model/limits.ts";
import type { OwnLimits } from "./llm-table.ts";
import type { StoreThread } from "./store-thread.ts";

/** What is asked of the engine's door to language models. */
export type Spender = {
  putLimits(tenant: string, limits: TenantLimits): void;
  spending(): Promise<readonly TenantSpending[]>;
};

const NO_LIMITS: OwnLimits = {};
/** Of one transaction: others wait behind it. */
const ROWS_MAX = 1_024;
const DAY_MS = 24 * 3_600_000;

export class LlmLimits {
  readonly #store: Pick<StoreThread, "call">;
  readonly #nowMs: () => number;
  readonly #limits = new Map<string, OwnLimits>();
  /** Of the processes before. */
  readonly #spent = new Map<string, TenantSpending>();
  /** What could not be written, by tenant: later figures take its place. */
  readonly #unwritten = new Map<string, TenantSpending>();
  #spender: Spender | undefined;
  #timer: NodeJS.Timeout | undefined;
  #keeping: Promise<void> | undefined;

  private constructor(store: Pick<StoreThread, "call">, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  static async open(store: Pick<StoreThread, "call">, nowMs: () => number): Promise<LlmLimits> {
    const all = new LlmLimits(store, nowMs);
    for (const { tenant, limits } of await store.call("llmLimits", {})) {
      all.#limits.set(tenant, limits);
    }
    for (const spent of await store.call("llmSpent", {})) {
      // All of it has come back since.
      if (nowMs() - spent.atMs < DAY_MS) all.#spent.set(spent.tenant, spent);
    }
    return all;
  }

  /** Tenants that have limits of their own. */
  get count(): number {
    return this.#limits.size;
  }

  /** Undefined: the tenant has none of its own. */
  current(tenant: string): OwnLimits | undefined {
    return this.#limits.get(tenant);
  }

  /** They are in force, and resolve once they are on disk, too. */
  async put(tenant: string, { budget, runningMax }: OwnLimits): Promise<void> {
    const limits = { budget, runningMax };
    await this.#store.call("putLlmLimits", { tenant, limits, nowMs: this.#nowMs() });
    this.#limits.set(tenant, limits);
    this.#spender?.putLimits(tenant, limits);
  }

  /** The operator's hold again. */
  async reset(tenant: string): Promise<void> {
    await this.#store.call("resetLlmLimits", { tenant, nowMs: this.#nowMs() });
    this.#limits.delete(tenant);
    this.#spender?.putLimits(tenant, NO_LIMITS);
  }

  /** The tenant is being deleted; what it spent of the day's money is not given back. */
  forget(tenant: string): void {
    this.#limits.delete(tenant);
  }

  /** Gives all of it to a gateway that has just begun, and keeps what is spent from now on. */
  attach(spender: Spender): void {
    this.#spender = spender;
    for (const tenant of new Set([...this.#limits.keys(), ...this.#spent.keys()])) {
      const { spentMicros = 0, atMs } = this.#spent.get(tenant) ?? {};
      const spent = atMs === undefined ? undefined : { spentMicros, atMs };
      spender.putLimits(tenant, { ...this.#limits.get(tenant), spent });
    }
    this.#spent.clear();
    this.#timer = setInterval(() => void this.keepSpending(), LLM_SPENT_KEPT_MS);
    this.#timer.unref();
  }

  /** Writes what changed since; one at a time. */
  async keepSpending(): Promise<void> {
    this.#keeping ??= this.#keep().finally(() => (this.#keeping = undefined));
    await this.#keeping;
  }

  /** Writes the last of it; before the gateway stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#spender !== undefined) await this.keepSpending();
    this.#spender = undefined;
  }

  async #keep(): Promise<void> {
    const unwritten = this.#unwritten;
    try {
      for (const spent of (await this.#spender?.spending()) ?? []) {
        unwritten.set(spent.tenant, spent);
      }
      while (unwritten.size > 0) {
        const spending = [...unwritten.values().take(ROWS_MAX)];
        await this.#store.call("putLlmSpent", { spending });
        for (const { tenant } of spending) unwritten.delete(tenant);
      }
    } catch {
      // The gateway is down or the store cannot be had: the next turn writes it.
    }
  }
}
