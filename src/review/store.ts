/**
 * All tables together, and the commands on them: what the other thread may ask. Commands are run in
 * batches, one transaction and so one sync of the disk for each batch; one that is refused leaves
 * no trace and harms none of the others.
 */
import type { Feedback } from "#model/feedback.ts";
import { type HoldGate, waitAtGate } from "#durable/writer-hold.ts";
import type { TenantSpending } from "#llm/protocol.ts";
import { REVIEW_HISTORY_MAX } from "#model/limits.ts";
import type { PolicyRecord } from "#model/policy.ts";
import type { JsonLimits } from "#model/quota.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import {
  type Decision,
  DECISIONS,
  REVIEW_STATES,
  type Retention,
  type ReviewDetail,
  type ReviewState,
  type ReviewStats,
} from "#model/review.ts";
import { AuditLog } from "./audit-log.ts";
import { withoutClosed } from "./closed-tenants.ts";
import { Database, jsonOf, numberOf, type Row } from "./database.ts";
import { Deletion, type ErasureScope } from "./deletion.ts";
import {
  type FlaggedEntry,
  Intake,
  type NotReviewedVerdict,
  type ReportRequest,
} from "./intake.ts";
import { type LabelRequest, LabelTable } from "./label-table.ts";
import { LlmTable, type OwnLimits } from "./llm-table.ts";
import { type NotReviewedRequest, NotReviewedTable } from "./not-reviewed-table.ts";
import { type AttemptRequest, Outbox, type PutWebhookRequest } from "./outbox.ts";
import { type LeftReview, type PendingId, type PendingRow, PendingTable } from "./pending-table.ts";
import { PolicyTable } from "./policy-table.ts";
import { QuotaTable } from "./quota-table.ts";
import {
  type AppealRequest,
  type ClaimOneRequest,
  type ClaimRequest,
  type DecideRequest,
  type ListRequest,
  type ReleaseRequest,
  ReviewQueue,
} from "./queue.ts";
import { TenantErasure } from "./tenant-erasure.ts";
import { type RecentEntry, VerdictTable } from "./verdict-table.ts";

const INTERRUPTED = "The process ended while the upstream was asked.";

type OfTenant = { readonly tenant: string };
type Now = { readonly nowMs: number };

/** Answers and requests are plain values: they cross to another thread. */
export const COMMANDS = {
  takeFlagged: (store: ReviewStore, request: FlaggedEntry) => store.intake.takeFlagged(request),
  keepPending: (store: ReviewStore, { rows }: { readonly rows: readonly PendingRow[] }) =>
    store.pending.keep(rows),
  endPending: (store: ReviewStore, { ids }: { readonly ids: readonly PendingId[] }) => {
    for (const id of ids) store.pending.end(id);
  },
  takeNotReviewed: (store: ReviewStore, request: NotReviewedVerdict) =>
    store.intake.takeNotReviewed(request),
  recover: (store: ReviewStore, request: Now & { readonly limit: number }) =>
    store.recover(request.limit, request.nowMs),
  notReviewed: (store: ReviewStore, request: NotReviewedRequest) => store.notReviewed.page(request),
  takeRecent: (store: ReviewStore, request: RecentEntry) => store.verdicts.addRecent(request),
  takeFeedback: (
    store: ReviewStore,
    request: { readonly feedback: Feedback; readonly keepsText: boolean },
  ) => store.labels.addFeedback(request.feedback, request.keepsText),
  report: (store: ReviewStore, request: ReportRequest) => store.intake.report(request),
  list: (store: ReviewStore, request: ListRequest) => store.queue.list(request),
  detail: (store: ReviewStore, request: OfTenant & Now & { readonly id: string }) =>
    store.detail(request.tenant, request.id, request.nowMs),
  claim: (store: ReviewStore, request: ClaimRequest) => store.queue.claim(request),
  claimOne: (store: ReviewStore, request: ClaimOneRequest) => store.queue.claimOne(request),
  release: (store: ReviewStore, request: ReleaseRequest) => store.queue.release(request),
  decide: (store: ReviewStore, request: DecideRequest) => store.queue.decide(request),
  appeal: (store: ReviewStore, request: AppealRequest) => store.queue.appeal(request),
  stats: (store: ReviewStore, request: OfTenant & Now) => store.stats(request.tenant),
  author: (store: ReviewStore, request: OfTenant & { readonly user: string }) =>
    store.verdicts.author(request.tenant, request.user),
  audit: (
    store: ReviewStore,
    request: OfTenant & { readonly limit: number; readonly before?: number | undefined },
  ) => store.audit.page(request.tenant, request.limit, request.before),
  labels: (store: ReviewStore, request: LabelRequest) => store.labels.page(request),
  recent: (store: ReviewStore, request: OfTenant & { readonly limit: number }) =>
    store.verdicts.recent(request.tenant, request.limit),
  retention: (store: ReviewStore, { tenant }: OfTenant) => store.deletion.retention(tenant),
  setRetention: (store: ReviewStore, request: OfTenant & Now & { readonly retention: Retention }) =>
    store.deletion.setRetention(request.tenant, request.retention, request.nowMs),
  sweep: (store: ReviewStore, { nowMs }: Now) => {
    const isMore = store.deletion.sweep(nowMs);
    store.recount();
    return isMore;
  },
  erase: (store: ReviewStore, request: OfTenant & Now & { readonly scope: ErasureScope }) => {
    const counts = store.deletion.erase(request.tenant, request.scope, request.nowMs);
    store.recount();
    return counts;
  },
  policyHeads: (store: ReviewStore, _request: object) => store.policies.heads(),
  policyVersions: (store: ReviewStore, { tenant }: OfTenant) => store.policies.versions(tenant),
  putPolicy: (store: ReviewStore, request: OfTenant & { readonly record: PolicyRecord }) =>
    store.policies.put(request.tenant, request.record),
  resetPolicy: (store: ReviewStore, request: OfTenant & Now) =>
    store.policies.reset(request.tenant, request.nowMs),
  putWebhook: (store: ReviewStore, request: PutWebhookRequest) => store.outbox.put(request),
  webhook: (store: ReviewStore, request: OfTenant & { readonly id: string }) =>
    store.outbox.get(request.tenant, request.id),
  webhooks: (store: ReviewStore, { tenant }: OfTenant) => store.outbox.list(tenant),
  webhookTarget: (store: ReviewStore, request: OfTenant & { readonly id: string }) =>
    store.outbox.target(request.tenant, request.id),
  deleteWebhook: (store: ReviewStore, request: OfTenant & Now & { readonly id: string }) =>
    store.outbox.delete(request.tenant, request.id, request.nowMs),
  llmLimits: (store: ReviewStore, _request: object) => store.llm.limits(),
  putLlmLimits: (store: ReviewStore, request: OfTenant & Now & { readonly limits: OwnLimits }) =>
    store.llm.putLimits(request.tenant, request.limits, request.nowMs),
  resetLlmLimits: (store: ReviewStore, request: OfTenant & Now) =>
    store.llm.resetLimits(request.tenant, request.nowMs),
  llmSpent: (store: ReviewStore, _request: object) => store.llm.spent(),
  putLlmSpent: (
    store: ReviewStore,
    { spending }: { readonly spending: readonly TenantSpending[] },
  ) => store.llm.putSpent(spending),
  quotas: (store: ReviewStore, _request: object) => store.quotas.all(),
  putQuota: (store: ReviewStore, request: OfTenant & Now & { readonly limits: JsonLimits }) =>
    store.quotas.put(request.tenant, request.limits, request.nowMs),
  beginDeletion: (store: ReviewStore, request: OfTenant & Now) =>
    store.erasure.begin(request.tenant, request.nowMs),
  eraseTenant: (store: ReviewStore, { tenant }: OfTenant) => {
    const isMore = store.erasure.erase(tenant);
    store.recount();
    return isMore;
  },
  endDeletion: (store: ReviewStore, request: OfTenant & Now) =>
    store.erasure.end(request.tenant, request.nowMs),
  deletionOf: (store: ReviewStore, { tenant }: OfTenant) => store.erasure.record(tenant),
  unfinishedDeletions: (store: ReviewStore, _request: object) => store.erasure.unfinished(),
  knowsTenant: (store: ReviewStore, { tenant }: OfTenant) => store.erasure.knows(tenant),
  due: (store: ReviewStore, request: Now & { readonly limit: number }) => ({
    deliveries: store.outbox.due(request.nowMs, request.limit),
    nextDueMs: store.outbox.nextDueMs(request.nowMs),
  }),
  /** In a transaction that nobody sees yet; see writer-hold.ts. */
  hold: (_store: ReviewStore, { gate }: { readonly gate: HoldGate }) => waitAtGate(gate),
  attempted: (store: ReviewStore, request: AttemptRequest) => store.outbox.attempted(request),
} as const;

export type CommandName = keyof typeof COMMANDS;
const ERASING: ReadonlySet<CommandName> = new Set(["erase", "eraseTenant"]);
export type RequestOf<Name extends CommandName> = Parameters<(typeof COMMANDS)[Name]>[1];
export type AnswerOf<Name extends CommandName> = ReturnType<(typeof COMMANDS)[Name]>;

export type Command = {
  readonly [Name in CommandName]: { readonly name: Name; readonly request: RequestOf<Name> };
}[CommandName];

export type Reply =
  | { readonly answer: unknown }
  /** A bug: it goes to the log. */
  | { readonly failure: string }
  | {
      readonly problem: {
        readonly code: ProblemCode;
        readonly detail: string;
        readonly members: Readonly<Record<string, unknown>>;
        readonly retryAfterSeconds: number | undefined;
      };
    };

export class ReviewStore {
  readonly audit: AuditLog;
  readonly outbox: Outbox;
  readonly pending: PendingTable;
  readonly notReviewed: NotReviewedTable;
  readonly intake: Intake;
  readonly labels: LabelTable;
  readonly queue: ReviewQueue;
  readonly verdicts: VerdictTable;
  readonly policies: PolicyTable;
  readonly llm: LlmTable;
  readonly deletion: Deletion;
  readonly quotas: QuotaTable;
  readonly erasure: TenantErasure;
  readonly #database: Database;
  /** Of the recovery that is being made: rows of `pending_review` that it has not come to. */
  #left: number[] | undefined;

  /** Throws a StoreError. */
  constructor(path: string) {
    const database = new Database(path);
    this.#database = database;
    this.audit = new AuditLog(database);
    this.outbox = new Outbox(database, this.audit);
    this.pending = new PendingTable(database);
    this.notReviewed = new NotReviewedTable(database);
    const { audit, outbox, pending, notReviewed } = this;
    this.intake = new Intake({ database, audit, outbox, pending, notReviewed });
    this.labels = new LabelTable(database);
    const { intake, labels } = this;
    this.queue = new ReviewQueue({ database, audit, labels, outbox, intake });
    this.verdicts = new VerdictTable(database);
    this.policies = new PolicyTable(database, audit);
    this.llm = new LlmTable(database, audit);
    this.deletion = new Deletion(database, audit);
    this.quotas = new QuotaTable(database, audit);
    this.erasure = new TenantErasure(database, audit);
  }

  /** One transaction; throws if it could not be written, and then none of it was. */
  runAll(commands: readonly Command[]): readonly Reply[] {
    this.#database.execute("BEGIN IMMEDIATE");
    try {
      const replies = commands.map((command) => this.#runOne(command));
      this.#database.execute("COMMIT");
      // The log still holds what was erased, until it begins anew.
      if (commands.some(({ name }) => ERASING.has(name))) this.#database.checkpoint();
      return replies;
    } catch (error) {
      this.recount();
      this.#rollBack();
      throw error;
    }
  }

  detail(tenant: string, id: string, nowMs: number): ReviewDetail {
    const { item, row } = this.queue.find(tenant, id, nowMs);
    const { verdictId, user } = item;
    return {
      ...item,
      verdict: verdictId === undefined ? undefined : this.verdicts.verdict(tenant, verdictId),
      context: jsonOf(row["context"]),
      reports: this.queue.reportsOf(tenant, id),
      decisions: this.queue.decisionsOf(tenant, id),
      appeals: this.queue.appealsOf(tenant, id),
      author: user === undefined ? undefined : this.verdicts.author(tenant, user),
      audit: this.audit.ofItem(tenant, id, REVIEW_HISTORY_MAX),
    };
  }

  stats(tenant: string): ReviewStats {
    const counted = <Name extends string>(names: readonly Name[], column: string) => {
      const sql = `SELECT ${column} AS name, count(*) AS n FROM items WHERE tenant = ? GROUP BY 1`;
      const counts = new Map(
        this.#database.all(sql, tenant).map((row: Row) => [row["name"], Number(row["n"])]),
      );
      return Object.fromEntries(names.map((name) => [name, counts.get(name) ?? 0])) as Record<
        Name,
        number
      >;
    };
    const oldest = this.#database.get(
      `SELECT min(created_ms) AS ms FROM items
      WHERE tenant = ? AND state IN ('pending', 'appealed')`,
      tenant,
    );
    const own = this.#database.get("SELECT * FROM tenants WHERE tenant = ?", tenant);
    return {
      states: counted<ReviewState>(REVIEW_STATES, "state"),
      oldestWaitingMs: numberOf(oldest?.["ms"]),
      decisions: counted<Decision>(DECISIONS, "decision"),
      overturnedCount: numberOf(own?.["overturned_count"]) ?? 0,
      precision: this.labels.precision(tenant),
      lostCount: numberOf(own?.["lost_count"]) ?? 0,
      notReviewedCount: this.notReviewed.count(tenant),
    };
  }

  /**
   * Of what a crash left behind, so many messages become verdicts that say so, as if their reviews
   * had ended now. What is kept after the first call is none of them.
   */
  recover(limit: number, nowMs: number): { readonly count: number; readonly isMore: boolean } {
    if (this.#left === undefined) {
      this.#left = [...this.pending.seqs()];
      this.#database.holdPages("many");
    }
    const seqs = this.#left.splice(0, limit);
    const counts = new Map<string, number>();
    for (const seq of seqs) {
      const review = this.pending.get(seq);
      if (review === undefined) continue;
      this.#recoverOne(review, nowMs);
      counts.set(review.tenant, (counts.get(review.tenant) ?? 0) + 1);
    }
    for (const [tenant, count] of counts) {
      this.audit.add({ tenant, atMs: nowMs, action: "reviewsInterrupted", detail: { count } });
    }
    const isMore = this.#left.length > 0;
    if (!isMore) {
      this.#left = undefined;
      this.#database.holdPages("few");
    }
    return { count: seqs.length, isMore };
  }

  recount(): void {
    this.intake.recount();
    this.notReviewed.recount();
    this.verdicts.recount();
    this.erasure.recount();
  }

  close(): void {
    this.#database.close();
  }

  #recoverOne({ tenant, id, atMs, text, verdict: embedded }: LeftReview, nowMs: number): void {
    if (embedded === undefined) {
      const nothing = { verdict: undefined, text: undefined, itemId: undefined };
      this.notReviewed.add({ tenant, id, asOfMs: atMs, outcome: "interrupted", ...nothing });
      this.pending.end({ tenant, id });
      return;
    }
    const model = embedded.upstream?.model ?? "";
    const waitMs = Math.max(0, nowMs - atMs);
    const upstream = { outcome: "interrupted", detail: INTERRUPTED, model, waitMs } as const;
    const verdict = { ...embedded, degraded: true, upstream };
    if (verdict.action === "allow") this.intake.takeNotReviewed({ verdict, text });
    else this.intake.takeFlagged({ verdict, text, context: [] });
  }

  #runOne(given: Command): Reply {
    const { name } = given;
    this.#database.execute("SAVEPOINT command");
    try {
      const command = withoutClosed(given, (tenant) => this.erasure.isDeleting(tenant));
      const run = COMMANDS[name] as (store: ReviewStore, request: unknown) => unknown;
      const answer = command === undefined ? undefined : run(this, command.request);
      this.#database.execute("RELEASE command");
      return { answer };
    } catch (error) {
      // Of a full or broken disk the transaction is gone, so this throws, and ends the batch.
      this.#database.execute("ROLLBACK TO command; RELEASE command");
      this.recount();
      if (!(error instanceof Problem)) return { failure: `${name}: ${(error as Error).message}` };
      const { code, message: detail, members, retryAfterSeconds } = error;
      return { problem: { code, detail, members, retryAfterSeconds } };
    }
  }

  #rollBack(): void {
    try {
      this.#database.execute("ROLLBACK");
    } catch {
      // SQLite has rolled it back itself, as it does when the disk is full.
    }
  }
}
