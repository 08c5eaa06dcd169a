/**
 * The review store as the I/O thread has it: commands go to a thread of its own, a batch at a time.
 * While one batch is on its way what comes gathers for the next, so a loaded store syncs its disk
 * for many at once, and a quiet one answers at once.
 *
 * What waits is bounded. Callers beyond are refused with `busy`. Verdicts without a flag are shed,
 * the oldest first, and counted. Flagged ones are kept until they are written, also if the disk
 * fails for a while; those that find no room are counted as lost, and the log says so. Reviews that
 * begin are in the next batch before anything that may end them; if it fails, who waits is told,
 * and they are counted.
 */
import { Worker } from "node:worker_threads";
import {
  STORE_ALLOWED_MAX,
  STORE_ALLOWED_MS_MAX,
  STORE_PENDING_BYTES_MAX,
  STORE_PENDING_MAX,
  STORE_WAITING_MAX,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Log } from "#observe/log.ts";
import { StoreError } from "./database.ts";
import { EndedReviews } from "./ended-reviews.ts";
import type { FlaggedEntry, NotReviewedVerdict } from "./intake.ts";
import { OwedShares } from "./owed-shares.ts";
import type { PendingId, PendingRow } from "./pending-table.ts";
import type { AnswerOf, Command, CommandName, Reply, RequestOf } from "./store.ts";
import type { RecentEntry } from "./verdict-table.ts";

export type StoreSettings = { readonly path: string };
export type StoreWish =
  | { readonly type: "run"; readonly commands: readonly Command[] }
  | { readonly type: "close" };
export type StoreMessage =
  | { readonly type: "open" }
  | { readonly type: "refused"; readonly reason: string }
  | { readonly type: "replies"; readonly replies: readonly Reply[] }
  | { readonly type: "failed"; readonly reason: string };

export type StoreCounts = {
  readonly flaggedWaitingCount: number;
  readonly flaggedLostCount: number;
  /** Reviews that a crash would have lost: they began without a row on disk. */
  readonly pendingLostCount: number;
  readonly allowedShedCount: number;
  readonly batchCount: number;
  readonly failureCount: number;
  /** Why the store cannot be had now; undefined: it can. */
  readonly unavailable: string | undefined;
};

/** What a store thread runs on; tests have one without a thread. */
export interface StoreWorker {
  post(wish: StoreWish): void;
  onMessage(listener: (message: StoreMessage) => void): void;
  onEnd(listener: (reason: string) => void): void;
}

export type StoreThreadOptions = {
  readonly log: Log;
  readonly startWorker?: (path: string) => StoreWorker;
};

type Call = {
  readonly command: Command;
  /** How many verdicts had come before it. */
  readonly after: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
};

/** What must be written, also if it takes several tries. */
type Owed =
  | { readonly name: "takeFlagged"; readonly request: FlaggedEntry }
  | { readonly name: "takeNotReviewed"; readonly request: NotReviewedVerdict };

type Batch = {
  readonly keeping: Keeping | undefined;
  readonly owed: readonly Owed[];
  readonly ended: readonly PendingId[];
  readonly calls: readonly Call[];
};

/** Rows of a batch, and who waits for them. */
type Keeping = {
  readonly rows: PendingRow[];
  byteCount: number;
  readonly done: PromiseWithResolvers<void>;
};

/** Who waits until what was taken before is on disk. */
type Settling = { readonly after: number; readonly resolve: () => void };

/** Of one batch: more would keep a caller waiting behind them. */
const OWED_BATCH_MAX = 512;
const CALLS_BATCH_MAX = 256;
/** After a batch that could not be written. */
const RETRY_MS = 1_000;
const RESTART_COUNT_MAX = 5;
const NOTHING_SENT: Batch = { keeping: undefined, owed: [], ended: [], calls: [] };

export class StoreThread {
  /** Rejects with a StoreError that says what to do. */
  readonly opened: Promise<void>;
  readonly #path: string;
  readonly #options: StoreThreadOptions;
  readonly #opening = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #worker!: StoreWorker;
  #isOpen = false;
  #closing = false;
  #unavailable: string | undefined;
  #sent: Batch | undefined;
  #calls: Call[] = [];
  #owed: Owed[] = [];
  #keeping: Keeping | undefined;
  readonly #ended = new EndedReviews(() => this.#pump());
  #settling: Settling[] = [];
  #allowed: RecentEntry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #restartCount = 0;
  #owedTakenCount = 0;
  readonly #shares = new OwedShares();
  #flaggedLostCount = 0;
  #pendingLostCount = 0;
  #allowedShedCount = 0;
  #batchCount = 0;
  #failureCount = 0;

  constructor(path: string, options: StoreThreadOptions) {
    this.#path = path;
    this.#options = options;
    this.opened = this.#opening.promise;
    // Whoever waits for it is told; nobody has to.
    this.opened.catch(() => undefined);
    this.#start();
  }

  counts(): StoreCounts {
    return {
      flaggedWaitingCount: this.#owed.length + (this.#sent?.owed.length ?? 0),
      flaggedLostCount: this.#flaggedLostCount,
      pendingLostCount: this.#pendingLostCount,
      allowedShedCount: this.#allowedShedCount,
      batchCount: this.#batchCount,
      failureCount: this.#failureCount,
      unavailable: this.#unavailable,
    };
  }

  async call<Name extends CommandName>(
    name: Name,
    request: RequestOf<Name>,
  ): Promise<AnswerOf<Name>> {
    if (this.#unavailable !== undefined) throw unavailable(this.#unavailable);
    if (this.#closing) throw new Problem("stopping", "The review store is closing.");
    if (this.#calls.length >= STORE_WAITING_MAX) {
      throw new Problem("busy", "The review store is behind; try again.");
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const command = { name, request } as Command;
    this.#calls.push({ command, after: this.#owedTakenCount, resolve, reject });
    this.#pump();
    return (await promise) as AnswerOf<Name>;
  }

  /** Resolves once all of them are on disk; rejects if they are not, and counts them. */
  async keepPending(rows: readonly PendingRow[]): Promise<void> {
    if (rows.length === 0) return;
    const refusal = this.#keepingRefusal();
    if (refusal !== undefined) {
      this.#losePending(rows.length);
      throw refusal;
    }
    this.#keeping ??= { rows: [], byteCount: 0, done: Promise.withResolvers<void>() };
    const keeping = this.#keeping;
    for (const row of rows) {
      keeping.rows.push(row);
      keeping.byteCount += 2 * ((row.text?.length ?? 0) + (row.verdict?.length ?? 0));
    }
    this.#pump();
    return keeping.done.promise;
  }

  /** The review of a message ended, and leaves nothing behind. */
  endPending(id: PendingId): void {
    // Without the store the row stays, and the message is listed when there is one again.
    if (this.#unavailable !== undefined) return;
    this.#ended.add(id);
  }

  takeFlagged(request: FlaggedEntry): void {
    this.#owe({ name: "takeFlagged", request });
  }

  takeNotReviewed(request: NotReviewedVerdict): void {
    this.#owe({ name: "takeNotReviewed", request });
  }

  /** Resolves once the verdicts taken before are on disk; at once, while it cannot be written. */
  async written(): Promise<void> {
    const isIdle = this.#owed.length === 0 && (this.#sent?.owed.length ?? 0) === 0;
    if (isIdle || this.#unavailable !== undefined || this.#retry !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settling.push({ after: this.#owedTakenCount, resolve });
    await promise;
  }

  takeAllowed(entry: RecentEntry): void {
    if (this.#unavailable !== undefined || this.#closing) return;
    if (this.#allowed.length >= STORE_ALLOWED_MAX) {
      // By halves, so that it costs nothing a verdict.
      const shed = this.#allowed.splice(0, STORE_ALLOWED_MAX / 2);
      this.#allowedShedCount += shed.length;
    }
    this.#allowed.push(entry);
    this.#timer ??= setTimeout(() => this.#pump(), STORE_ALLOWED_MS_MAX).unref();
  }

  /** Writes what it has, then closes the file. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    // Who closes has answered everybody.
    this.#ended.hurry();
    this.#pump();
    await this.#closed.promise;
  }

  #owe(owed: Owed): void {
    const { tenant } = owed.request.verdict;
    if (this.#shares.isFull(tenant)) {
      this.#flaggedLostCount += 1;
      const count = this.#flaggedLostCount;
      // Powers of two: a flood says so a few times, not each time.
      if (Number.isInteger(Math.log2(count))) {
        this.#options.log.error({ count }, "verdicts were lost: the review store is behind");
      }
      return;
    }
    this.#owed.push(owed);
    this.#shares.add(tenant, bytesOf(owed));
    this.#owedTakenCount += 1;
    this.#pump();
  }

  #keepingRefusal(): Problem | undefined {
    if (this.#unavailable !== undefined) return unavailable(this.#unavailable);
    if (this.#closing) return new Problem("stopping", "The review store is closing.");
    const { rows, byteCount } = this.#keeping ?? { rows: [], byteCount: 0 };
    if (rows.length < STORE_PENDING_MAX && byteCount < STORE_PENDING_BYTES_MAX) return undefined;
    return new Problem("busy", "The review store is behind; try again.");
  }

  #losePending(count: number): void {
    const before = this.#pendingLostCount;
    this.#pendingLostCount += count;
    if (Math.floor(Math.log2(before)) === Math.floor(Math.log2(before + count))) return;
    const lost = { count: this.#pendingLostCount };
    this.#options.log.error(lost, "reviews began that a crash would lose: the store cannot be had");
  }

  #start(): void {
    const { startWorker = startThread } = this.#options;
    const worker = startWorker(this.#path);
    this.#worker = worker;
    worker.onMessage((message) => this.#take(message));
    worker.onEnd((reason) => {
      if (worker === this.#worker) this.#workerEnded(reason);
    });
  }

  #take(message: StoreMessage): void {
    if (message.type === "open") {
      this.#isOpen = true;
      this.#unavailable = undefined;
      this.#opening.resolve();
    } else if (message.type === "refused") {
      this.#refuse(message.reason);
      return;
    } else if (message.type === "replies") {
      this.#restartCount = 0;
      this.#answer(message.replies);
    } else {
      this.#fail(message.reason);
      return;
    }
    this.#pump();
  }

  #pump(): void {
    if (!this.#isOpen || this.#sent !== undefined || this.#retry !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const keeping = this.#keeping;
    this.#keeping = undefined;
    const owed = this.#owed.splice(0, OWED_BATCH_MAX);
    for (const entry of owed) {
      this.#shares.remove(entry.request.verdict.tenant, bytesOf(entry));
    }
    const allowed = this.#allowed.splice(0);
    const ended = this.#ended.takeDue();
    const calls = this.#takeCalls(this.#owedTakenCount - this.#owed.length);
    const commands: Command[] = [
      ...(keeping === undefined ? [] : [keepCommand(keeping)]),
      ...owed,
      ...allowed.map((request) => ({ name: "takeRecent", request }) as const),
      ...(ended.length === 0 ? [] : [{ name: "endPending", request: { ids: ended } } as const]),
      ...calls.map(({ command }) => command),
    ];
    if (commands.length === 0) {
      if (this.#closing) this.#worker.post({ type: "close" });
      return;
    }
    this.#sent = { keeping, owed, ended, calls };
    this.#batchCount += 1;
    this.#worker.post({ type: "run", commands });
  }

  /** What happened before a question was asked is part of its answer. */
  #takeCalls(sentCount: number): Call[] {
    const late = this.#calls.findIndex(({ after }) => after > sentCount);
    const readyCount = late === -1 ? this.#calls.length : late;
    return this.#calls.splice(0, Math.min(readyCount, CALLS_BATCH_MAX));
  }

  #answer(replies: readonly Reply[]): void {
    const { keeping, owed, calls } = this.#sent!;
    this.#sent = undefined;
    this.#unavailable = undefined;
    const taken = replies.slice(0, replies.length - calls.length);
    for (const reply of taken) if (!("answer" in reply)) this.#reportBug(reply);
    if (keeping !== undefined) this.#kept(keeping, "answer" in taken.shift()!);
    const lost = taken.slice(0, owed.length).filter((reply) => !("answer" in reply)).length;
    this.#flaggedLostCount += lost;
    this.#tellWritten();
    const answers = replies.slice(replies.length - calls.length);
    for (const [index, reply] of answers.entries()) {
      const { resolve, reject } = calls[index]!;
      if ("answer" in reply) resolve(reply.answer);
      else if ("problem" in reply) {
        const { code, detail, members, retryAfterSeconds: seconds } = reply.problem;
        const after = seconds === undefined ? {} : { retryAfterSeconds: seconds };
        reject(new Problem(code, detail, { members, ...after }));
      } else {
        this.#reportBug(reply);
        reject(new Problem("internal", "The review store failed on this; the log says more."));
      }
    }
  }

  #kept({ rows, done }: Keeping, isKept: boolean): void {
    if (isKept) {
      done.resolve();
      return;
    }
    this.#losePending(rows.length);
    done.reject(new Problem("internal", "The review store failed on this; the log says more."));
  }

  #tellWritten(): void {
    const writtenCount = this.#owedTakenCount - this.#owed.length;
    const late = this.#settling.findIndex(({ after }) => after > writtenCount);
    const count = late === -1 ? this.#settling.length : late;
    for (const { resolve } of this.#settling.splice(0, count)) resolve();
  }

  #reportBug(reply: Reply): void {
    const reason = "failure" in reply ? reply.failure : "refused";
    this.#options.log.error({ reason }, "a command of the review store failed");
  }

  /** The batch was not written: callers are told, verdicts wait for another try. */
  #fail(reason: string): void {
    this.#failureCount += 1;
    const { keeping, owed, ended, calls } = this.#sent ?? NOTHING_SENT;
    this.#sent = undefined;
    this.#owed = [...owed, ...this.#owed];
    for (const entry of owed) this.#shares.add(entry.request.verdict.tenant, bytesOf(entry));
    this.#ended.putBack(ended);
    this.#refuseKeeping(keeping, reason);
    this.#holdNobodyUp();
    for (const { reject } of calls) reject(unavailable(reason));
    this.#options.log.error({ reason }, "the review store could not write");
    if (this.#closing) {
      this.#loseOwed();
      this.#worker.post({ type: "close" });
      return;
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, RETRY_MS).unref();
  }

  #refuse(reason: string): void {
    this.#unavailable = reason;
    this.#isOpen = false;
    for (const { reject } of this.#calls.splice(0)) reject(unavailable(reason));
    this.#allowed = [];
    this.#refuseKeeping(this.#keeping, reason);
    this.#keeping = undefined;
    this.#holdNobodyUp();
    this.#loseOwed();
    this.#opening.reject(new StoreError(reason));
    this.#closed.resolve();
  }

  #refuseKeeping(keeping: Keeping | undefined, reason: string): void {
    if (keeping === undefined) return;
    this.#losePending(keeping.rows.length);
    keeping.done.reject(unavailable(reason));
  }

  /** Who waits for verdicts to be on disk: they are kept for a better time. */
  #holdNobodyUp(): void {
    for (const { resolve } of this.#settling.splice(0)) resolve();
  }

  /** Nothing more is written by this process. */
  #loseOwed(): void {
    this.#flaggedLostCount += this.#owed.length;
    this.#owed = [];
  }

  #workerEnded(reason: string): void {
    if (!this.#isOpen) {
      if (this.#unavailable === undefined) this.#refuse(reason);
      return;
    }
    this.#isOpen = false;
    if (this.#closing && this.#sent === undefined) {
      this.#closed.resolve();
      return;
    }
    this.#fail(reason);
    this.#restartCount += 1;
    if (this.#closing || this.#restartCount > RESTART_COUNT_MAX) this.#refuse(reason);
    else this.#start();
  }
}

function startThread(path: string): StoreWorker {
  const workerData: StoreSettings = { path };
  const worker = new Worker(new URL(import.meta.resolve("#review/worker.ts")), { workerData });
  let reason = "the thread of the review store ended";
  return {
    post: (wish) => worker.postMessage(wish),
    onMessage: (listener) => void worker.on("message", listener),
    onEnd: (listener) => {
      worker.on("error", (error: Error) => (reason = error.message));
      worker.on("exit", () => listener(reason));
    },
  };
}

function keepCommand({ rows }: Keeping): Command {
  return { name: "keepPending", request: { rows } };
}

/** About: two bytes a character, and what a verdict takes beside its texts. */
function bytesOf({ request }: Owed): number {
  const { text = "" } = request;
  const context = "context" in request ? request.context : [];
  return context.reduce((sum, turn) => sum + 2 * turn.text.length, 512 + 2 * text.length);
}

function unavailable(reason: string): Problem {
  return new Problem("storeUnavailable", `The review store cannot be had: ${reason}`, {
    retryAfterSeconds: 10,
  });
}
