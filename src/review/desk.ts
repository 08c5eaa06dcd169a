/**
 * The review store at work: takes verdicts and feedback as they come, sends webhooks, deletes what
 * is too old, and answers the API. One process has one.
 */
import type { HoldGate } from "#durable/writer-hold.ts";
import type { Feedback } from "#model/feedback.ts";
import { RETENTION_SWEEP_MS, STORE_RECOVERED_MAX } from "#model/limits.ts";
import type { Turn, Verdict } from "#model/moderation.ts";
import { Problem } from "#model/problem.ts";
import type { PendingReview } from "#model/verdict.ts";
import type { Log } from "#observe/log.ts";
import { Random } from "#std/random.ts";
import { Courier, type Send, type Sent } from "./courier.ts";
import type { FlaggedEntry } from "./intake.ts";
import { LlmLimits } from "./llm-limits.ts";
import { pendingRow } from "./pending-table.ts";
import { DiskPolicyStore, DiskVerdictHistory } from "./policies.ts";
import { DiskQuotas } from "./quotas.ts";
import { type StoreCounts, StoreThread, type StoreWorker } from "./store-thread.ts";
import type { AnswerOf, CommandName, RequestOf } from "./store.ts";
import type { DeletionRecord } from "./tenant-erasure.ts";
import type { WebhookTargets } from "./webhook-target.ts";

export type DeskOptions = {
  readonly path: string;
  readonly log: Log;
  readonly targets: WebhookTargets;
  /** What is remembered of a conversation; the engine's. */
  readonly turns: (tenant: string, conversation: string) => Promise<readonly Turn[]>;
  readonly nowMs?: () => number;
  readonly seed?: number;
  readonly send?: Send;
  readonly startWorker?: (path: string) => StoreWorker;
};

type DeskParts = {
  readonly store: StoreThread;
  readonly policies: DiskPolicyStore;
  readonly llmLimits: LlmLimits;
  readonly quotas: DiskQuotas;
};

/** Conversations that are read at once for items; beyond, an item goes without its context. */
const READING_MAX = 64;
/** How often the courier looks, at least while something waits. */
const ROUND_MS = 1_000;

export class ReviewDesk {
  readonly policies: DiskPolicyStore;
  readonly llmLimits: LlmLimits;
  readonly quotas: DiskQuotas;
  readonly history: DiskVerdictHistory;
  readonly nowMs: () => number;
  readonly targets: WebhookTargets;
  readonly #store: StoreThread;
  readonly #courier: Courier;
  readonly #turns: DeskOptions["turns"];
  readonly #reading = new Set<Promise<void>>();
  readonly #sweeping: NodeJS.Timeout;
  /** Tenants that are being deleted: nothing more is taken of them. */
  readonly #deleting = new Set<string>();
  #round: NodeJS.Timeout | undefined;
  #roundRuns = false;
  #roundAgain = false;
  #closing = false;
  /** Of what a crash left; undefined: it is done. */
  #recovery: Promise<void> | undefined;

  private constructor(options: DeskOptions, { store, policies, llmLimits, quotas }: DeskParts) {
    const { log, targets, turns, nowMs = Date.now, seed = Date.now(), send } = options;
    this.policies = policies;
    this.llmLimits = llmLimits;
    this.quotas = quotas;
    this.history = new DiskVerdictHistory(store);
    this.nowMs = nowMs;
    this.targets = targets;
    this.#store = store;
    this.#turns = turns;
    const parts = { store, targets, log, random: new Random(seed), arrived: () => this.deliver() };
    this.#courier = new Courier(send === undefined ? parts : { ...parts, send });
    this.#sweeping = setInterval(() => void this.sweep(), RETENTION_SWEEP_MS);
    this.#sweeping.unref();
  }

  /** Rejects with a StoreError that says what to do. */
  static async open(options: DeskOptions): Promise<ReviewDesk> {
    const { path, log, startWorker } = options;
    const store = new StoreThread(path, startWorker === undefined ? { log } : { log, startWorker });
    await store.opened;
    const parts = {
      store,
      policies: await DiskPolicyStore.open(store),
      llmLimits: await LlmLimits.open(store, options.nowMs ?? Date.now),
      quotas: await DiskQuotas.open(store),
    };
    const desk = new ReviewDesk(options, parts);
    await desk.#beginRecovery(log);
    // What waited when the process ended, and what grew too old meanwhile.
    desk.deliver();
    void desk.sweep();
    return desk;
  }

  get counts(): StoreCounts {
    return this.#store.counts();
  }

  /**
   * Keeps embedded verdicts on messages about which an upstream is asked, until `takeVerdict` is
   * told their ends. Resolves once they are on disk; rejects, and counts them, if that fails.
   */
  async keepPending(pending: readonly PendingReview[]): Promise<void> {
    return this.#store.keepPending(pending.map(pendingRow));
  }

  /** A VerdictListener. */
  takeVerdict(verdict: Verdict, text: string | undefined, leavesTrace: boolean): void {
    // What was kept of a review stays: the next start finds what nobody can be told now.
    if (this.#closing) return;
    const { tenant, id, action, degraded, upstream } = verdict;
    if (this.#deleting.has(tenant)) return;
    const entry = { verdict: { ...verdict }, text };
    if (!leavesTrace || (action === "allow" && !degraded)) {
      if (upstream !== undefined) this.#store.endPending({ tenant, id });
    } else if (action === "allow") this.#store.takeNotReviewed(entry);
    else this.#takeWithContext(entry);
  }

  /** A FeedbackListener. */
  takeFeedback(feedback: Feedback): void {
    if (this.#deleting.has(feedback.tenant)) return;
    const keepsText = !this.policies.current(feedback.tenant).policy.doNotStore;
    this.#store.call("takeFeedback", { feedback, keepsText }).catch(() => undefined);
  }

  /** A DeletionBook. */
  readonly deletions = {
    begin: async (tenant: string): Promise<DeletionRecord> => {
      const isRunning = this.#deleting.has(tenant);
      this.#deleting.add(tenant);
      try {
        return await this.#store.call("beginDeletion", { tenant, nowMs: this.nowMs() });
      } catch (error) {
        // One that did not begin must not cost the tenant its verdicts from now on.
        if (!isRunning) this.#deleting.delete(tenant);
        throw error;
      }
    },
    end: async (tenant: string): Promise<void> => {
      await this.#store.call("endDeletion", { tenant, nowMs: this.nowMs() });
      this.#deleting.delete(tenant);
    },
    record: async (tenant: string): Promise<DeletionRecord | undefined> =>
      this.#store.call("deletionOf", { tenant }),
    unfinished: async (): Promise<readonly string[]> => {
      const tenants = await this.#store.call("unfinishedDeletions", {});
      for (const tenant of tenants) this.#deleting.add(tenant);
      return tenants;
    },
    knows: async (tenant: string): Promise<boolean> => this.#store.call("knowsTenant", { tenant }),
  };

  /** Everything of a tenant whose deletion has begun, but the audit. */
  async eraseTenant(tenant: string): Promise<void> {
    this.llmLimits.forget(tenant);
    await this.ask("eraseTenant", { tenant });
    while (await this.ask("eraseTenant", { tenant }));
    this.policies.forget(tenant);
    this.quotas.forget(tenant);
  }

  /** Asks the store; what was judged before the question is part of the answer. */
  async ask<Name extends CommandName>(
    name: Name,
    request: RequestOf<Name>,
  ): Promise<AnswerOf<Name>> {
    if (this.#recovery !== undefined) await this.#recovery;
    if (this.#reading.size > 0) await Promise.all(this.#reading);
    const answer = await this.#store.call(name, request);
    if (TELLING.has(name)) this.deliver();
    return answer;
  }

  /** A signed message to one webhook, now; it is not tried again. */
  async tryWebhook(tenant: string, id: string): Promise<Sent & { readonly tookMs: number }> {
    const target = await this.#store.call("webhookTarget", { tenant, id });
    const startMs = this.nowMs();
    const timestamp = new Date(startMs).toISOString();
    const payload = JSON.stringify({ type: "webhook.test", timestamp, data: { tenant, id } });
    const message = { id: `msg_test_${startMs}`, payload };
    const sent = await this.#courier.try(target, message, startMs);
    return { ...sent, tookMs: this.nowMs() - startMs };
  }

  /** Lets the courier look; at most one round runs, and one more follows. */
  deliver(): void {
    if (this.#closing) return;
    if (this.#roundRuns) {
      this.#roundAgain = true;
      return;
    }
    this.#roundRuns = true;
    void this.#runRound();
  }

  /** Resolves once the verdicts that were told before are on disk. */
  async written(): Promise<void> {
    if (this.#reading.size > 0) await Promise.all(this.#reading);
    await this.#store.written();
  }

  /** Its file is not written to while a backup begins; see writer-hold.ts. */
  hold(gate: HoldGate): void {
    this.#store.call("hold", { gate }).catch(() => undefined);
  }

  /** Until nothing is on its way any more; for tests and a stop. */
  async settled(): Promise<void> {
    await Promise.all(this.#reading);
    await this.#courier.settled();
  }

  /** Deletes what is too old, in parts. */
  async sweep(): Promise<void> {
    try {
      while (!this.#closing && (await this.#store.call("sweep", { nowMs: this.nowMs() })));
    } catch {
      // The store cannot be had now; the next sweep finds the same.
    }
  }

  /** Before the engine stops: what was spent last is asked of it. */
  async close(): Promise<void> {
    await this.llmLimits.close();
    await Promise.all(this.#reading);
    this.#closing = true;
    clearInterval(this.#sweeping);
    clearTimeout(this.#round);
    await this.#store.close();
  }

  /**
   * Reviews that the process before did not see the end of become verdicts. Resolves once it is
   * known which they are; then others may be kept, and questions wait for the rest.
   */
  async #beginRecovery(log: Log): Promise<void> {
    const startMs = performance.now();
    const { count, isMore } = await this.#recoverSome(log);
    if (isMore) this.#recovery = this.#recoverRest(log, count, startMs);
    else this.#recovered(log, count, startMs);
  }

  async #recoverRest(log: Log, first: number, startMs: number): Promise<void> {
    let total = first;
    for (let isMore = true; isMore && !this.#closing;) {
      const part = await this.#recoverSome(log);
      total += part.count;
      ({ isMore } = part);
    }
    this.#recovery = undefined;
    this.#recovered(log, total, startMs);
  }

  /** What fails waits for the next start. */
  async #recoverSome(log: Log): Promise<AnswerOf<"recover">> {
    try {
      const limit = STORE_RECOVERED_MAX;
      return await this.#store.call("recover", { nowMs: this.nowMs(), limit });
    } catch (error) {
      const { message: reason } = error as Error;
      log.error({ reason }, "reviews that the end of a process interrupted are not listed yet");
      return { count: 0, isMore: false };
    }
  }

  #recovered(log: Log, count: number, startMs: number): void {
    if (count === 0) return;
    const tookMs = Math.round(performance.now() - startMs);
    log.warn({ count, tookMs }, "the process before ended while an upstream was asked");
    this.deliver();
  }

  #takeWithContext(entry: Omit<FlaggedEntry, "context">): void {
    const { verdict, text } = entry;
    const { conversation } = verdict;
    const isRead = text !== undefined && conversation !== undefined;
    if (!isRead || this.#reading.size >= READING_MAX) {
      this.#takeFlagged({ ...entry, context: [] });
      return;
    }
    const reading = this.#contextOf(verdict, conversation, text).then((context) => {
      this.#reading.delete(reading);
      this.#takeFlagged({ ...entry, context });
    });
    this.#reading.add(reading);
  }

  #takeFlagged(entry: FlaggedEntry): void {
    this.#store.takeFlagged(entry);
    this.deliver();
  }

  /** What was remembered before the message; later ones may have come while it was asked. */
  async #contextOf(verdict: Verdict, conversation: string, text: string): Promise<readonly Turn[]> {
    try {
      const turns = await this.#turns(verdict.tenant, conversation);
      const { messageId: id } = verdict;
      const own = turns.findLastIndex((turn) => {
        return id === undefined ? text.startsWith(turn.text) : turn.id === id;
      });
      return own === -1 ? [] : turns.slice(0, own);
    } catch (error) {
      if (error instanceof Problem) return [];
      throw error;
    }
  }

  async #runRound(): Promise<void> {
    let nextMs: number | undefined;
    do {
      this.#roundAgain = false;
      try {
        nextMs = await this.#courier.round(this.nowMs);
      } catch {
        // The store cannot be had: it is asked again.
        nextMs = this.nowMs() + ROUND_MS;
      }
    } while (this.#roundAgain && !this.#closing);
    this.#roundRuns = false;
    if (nextMs === undefined || this.#closing) return;
    const waitMs = Math.min(Math.max(nextMs - this.nowMs(), ROUND_MS / 10), 60 * ROUND_MS);
    clearTimeout(this.#round);
    this.#round = setTimeout(() => this.deliver(), waitMs);
    this.#round.unref();
  }
}

/** Commands that may have put something into the outbox. */
const TELLING: ReadonlySet<CommandName> = new Set(["decide", "appeal", "putWebhook"]);
