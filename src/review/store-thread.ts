/**
 * The review store as the I/O thread has it: commands go to a thread of its own, a batch at a time.
 * While one batch is on its way what comes gathers for the next, so a loaded store syncs its disk
 * for many at once, and a quiet one answers at once.
 *
 * What waits is bounded. Callers beyond are refused with `busy`. Verdicts without a flag are shed,
 * the oldest first, and counted. Flagged ones are kept until they are written, also if the disk
 * fails for a while; those that find no room are counted as lost, and the log says so.
 */
import { Worker } from "node:worker_threads";
import {
  STORE_ALLOWED_MAX,
  STORE_ALLOWED_MS_MAX,
  STORE_FLAGGED_BYTES_MAX,
  STORE_FLAGGED_MAX,
  STORE_WAITING_MAX,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Log } from "#observe/log.ts";
import { StoreError } from "./database.ts";
import type { FlaggedEntry } from "./intake.ts";
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
  /** How many flagged verdicts had come before it. */
  readonly after: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
};

type Batch = { readonly flagged: readonly FlaggedEntry[]; readonly calls: readonly Call[] };

/** Of one batch: more would keep a caller waiting behind them. */
const FLAGGED_BATCH_MAX = 512;
const CALLS_BATCH_MAX = 256;
/** After a batch that could not be written. */
const RETRY_MS = 1_000;
const RESTART_COUNT_MAX = 5;

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
  #flagged: FlaggedEntry[] = [];
  #allowed: RecentEntry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #restartCount = 0;
  #flaggedTakenCount = 0;
  #flaggedBytes = 0;
  #flaggedLostCount = 0;
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
      flaggedWaitingCount: this.#flagged.length + (this.#sent?.flagged.length ?? 0),
      flaggedLostCount: this.#flaggedLostCount,
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
    this.#calls.push({ command, after: this.#flaggedTakenCount, resolve, reject });
    this.#pump();
    return (await promise) as AnswerOf<Name>;
  }

  takeFlagged(entry: FlaggedEntry): void {
    const isFull = this.#flagged.length >= STORE_FLAGGED_MAX;
    if (isFull || this.#flaggedBytes >= STORE_FLAGGED_BYTES_MAX) {
      this.#flaggedLostCount += 1;
      const count = this.#flaggedLostCount;
      // Powers of two: a flood says so a few times, not each time.
      if (Number.isInteger(Math.log2(count))) {
        this.#options.log.error(
          { count },
          "flagged verdicts were lost: the review store is behind",
        );
      }
      return;
    }
    this.#flagged.push(entry);
    this.#flaggedBytes += bytesOf(entry);
    this.#flaggedTakenCount += 1;
    this.#pump();
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
    this.#pump();
    await this.#closed.promise;
  }

  #start(): void {
    const { startWorker = startThread } = this.#options;
    const worker = startWorker(this.#path);
    this.#worker = worker;
    worker.onMessage((message) => this.#take(message));
    worker.onEnd((reason) => {
      if (worker === this.#worker) this.#ended(reason);
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
    const flagged = this.#flagged.splice(0, FLAGGED_BATCH_MAX);
    for (const entry of flagged) this.#flaggedBytes -= bytesOf(entry);
    const allowed = this.#allowed.splice(0);
    const calls = this.#takeCalls(this.#flaggedTakenCount - this.#flagged.length);
    if (flagged.length + allowed.length + calls.length === 0) {
      if (this.#closing) this.#worker.post({ type: "close" });
      return;
    }
    const commands: Command[] = [
      ...flagged.map((request) => ({ name: "takeFlagged", request }) as const),
      ...allowed.map((request) => ({ name: "takeRecent", request }) as const),
      ...calls.map(({ command }) => command),
    ];
    this.#sent = { flagged, calls };
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
    const { calls, flagged } = this.#sent!;
    this.#sent = undefined;
    this.#unavailable = undefined;
    for (const reply of replies.slice(0, replies.length - calls.length)) {
      if (!("answer" in reply)) this.#reportBug(reply);
    }
    const lost = replies.slice(0, flagged.length).filter((reply) => !("answer" in reply)).length;
    this.#flaggedLostCount += lost;
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

  #reportBug(reply: Reply): void {
    const reason = "failure" in reply ? reply.failure : "refused";
    this.#options.log.error({ reason }, "a command of the review store failed");
  }

  /** The batch was not written: callers are told, verdicts wait for another try. */
  #fail(reason: string): void {
    this.#failureCount += 1;
    const { flagged, calls } = this.#sent ?? { flagged: [], calls: [] };
    this.#sent = undefined;
    this.#flagged = [...flagged, ...this.#flagged];
    for (const entry of flagged) this.#flaggedBytes += bytesOf(entry);
    for (const { reject } of calls) reject(unavailable(reason));
    this.#options.log.error({ reason }, "the review store could not write");
    if (this.#closing) {
      this.#flaggedLostCount += this.#flagged.length;
      this.#flagged = [];
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
    this.#flaggedLostCount += this.#flagged.length;
    this.#flagged = [];
    this.#opening.reject(new StoreError(reason));
    this.#closed.resolve();
  }

  #ended(reason: string): void {
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

/** About: two bytes a character, and what a verdict takes beside its texts. */
function bytesOf({ text = "", context }: FlaggedEntry): number {
  return context.reduce((sum, turn) => sum + 2 * turn.text.length, 512 + 2 * text.length);
}

function unavailable(reason: string): Problem {
  return new Problem("storeUnavailable", `The review store cannot be had: ${reason}`, {
    retryAfterSeconds: 10,
  });
}
