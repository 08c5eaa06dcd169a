/**
 * One tenant's answers, each kind polled once for all who listen to it, and only while somebody
 * does.
 *
 * Latest state wins: a listener that is still busy with one update gets the newest of each kind
 * next and never those in between, so a slow listener holds one update, not a queue. One that takes
 * nothing at all for LIVE_STALL_MS_MAX is cut off.
 *
 * What is told rather than read, one message each, is not replaced by what comes later: the last
 * TOLD_MAX of it wait for a listener, also for one that comes back.
 *
 * The ids of all kinds rise together, and what waits for a listener goes out in their order: so the
 * one number that a listener saw last says what it has seen of every kind.
 */
import { LIVE_HEARTBEAT_MS, LIVE_STALL_MS_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";

/** What a reader would call the state, and what is sent when that has changed. */
export type LiveState = { readonly visible: string; readonly answer: object };

/** An answer that is followed: of which event, and how it is read. */
export type LiveKind = {
  readonly event: string;
  readonly read: () => Promise<LiveState>;
};

export type LiveUpdate = {
  /** Rises with every change, also over restarts of the server: it starts from the time. */
  readonly id: number;
  readonly event: string;
  /** The answer as JSON, once for all listeners. */
  readonly json: string;
};

export interface LiveListener {
  /** Resolves once the listener can take another. */
  send(update: LiveUpdate): Promise<void>;
  heartbeat(): void;
  /** The feed ends; `problem` says why, if it is not simply the server's stop. */
  end(problem: Problem | undefined): void;
  /** Ends it without waiting for what it has not taken. */
  cut(): void;
}

type Seat = {
  readonly listener: LiveListener;
  readonly kinds: ReadonlySet<string>;
  readonly isTold: boolean;
  /** Of all updates up to this id none is due any more. */
  sentId: number;
  /** The same of what is told: who is new is told only what comes. */
  toldId: number;
  sending: boolean;
  progressMs: number;
};

type KindState = {
  latest: LiveUpdate | undefined;
  shown: string;
  polling: boolean;
};

export type JoinOptions = {
  /** Names of the kinds to follow. */
  readonly kinds: readonly string[];
  /** Whether to tell it what is told. */
  readonly isTold?: boolean;
  /** What the listener saw last, before it lost the connection; 0: nothing. */
  readonly seenId: number;
  readonly nowMs: number;
};

export const TOLD_MAX = 64;

export class LiveFeed {
  #kinds: ReadonlyMap<string, LiveKind>;
  #states = new Map<string, KindState>();
  #seats = new Set<Seat>();
  /** The oldest first. */
  #told: LiveUpdate[] = [];
  #lastId = 0;
  #nowMs = 0;

  constructor(kinds: Readonly<Record<string, LiveKind>>) {
    this.#kinds = new Map(Object.entries(kinds));
  }

  get listenerCount(): number {
    return this.#seats.size;
  }

  join(listener: LiveListener, { kinds, isTold = false, seenId, nowMs }: JoinOptions): () => void {
    // An id that this feed has not given yet is of another one: nothing of ours was seen.
    const sentId = seenId <= this.#lastId ? seenId : 0;
    this.#nowMs = nowMs;
    // These ids are times, so that of another feed says as well what was told before.
    const toldId = seenId > 0 ? seenId : this.#lastId;
    const state = { sentId, toldId, sending: false, progressMs: nowMs };
    const seat: Seat = { listener, kinds: new Set(kinds), isTold, ...state };
    this.#seats.add(seat);
    this.#serve(seat);
    return () => {
      this.#seats.delete(seat);
      this.#forgetUnheard();
    };
  }

  /** Sends it to those who are told. */
  tell(event: string, answer: object, nowMs: number): number {
    const id = (this.#lastId = Math.max(nowMs, this.#lastId + 1));
    this.remember({ id, event, json: JSON.stringify(answer) });
    for (const seat of this.#seats) this.#serve(seat);
    return id;
  }

  /** What was told before this feed began, the oldest first. */
  remember(update: LiveUpdate): void {
    this.#lastId = Math.max(this.#lastId, update.id);
    this.#told.push(update);
    if (this.#told.length > TOLD_MAX) this.#told.shift();
  }

  /** Whether one of these kinds was not read yet. */
  lacks(kinds: readonly string[]): boolean {
    return kinds.some((name) => this.#states.get(name)?.latest === undefined);
  }

  /** Reads what somebody listens to and sends it where it is news. Called about once a second. */
  async poll(nowMs: number): Promise<void> {
    this.#nowMs = nowMs;
    this.#tend(nowMs);
    const wanted = new Set([...this.#seats].flatMap(({ kinds }) => [...kinds]));
    await Promise.all([...wanted].map(async (name) => this.#pollKind(name, nowMs)));
  }

  /** Ends it for all, or for those who listen to one kind. */
  end(problem: Problem | undefined, kind?: string): void {
    for (const seat of this.#seats) {
      if (kind !== undefined && !seat.kinds.has(kind)) continue;
      this.#seats.delete(seat);
      seat.listener.end(problem);
    }
  }

  async #pollKind(name: string, nowMs: number): Promise<void> {
    const kind = this.#kinds.get(name);
    if (kind === undefined) return;
    let state = this.#states.get(name);
    if (state === undefined) {
      this.#states.set(name, (state = { latest: undefined, shown: "", polling: false }));
    }
    if (state.polling) return;
    state.polling = true;
    try {
      this.#publish(kind, state, await kind.read(), nowMs);
    } catch (error) {
      if (error instanceof Problem && isFinal(error)) this.end(error, name);
      // Anything else passes: the next poll finds the tenant again, or says that it is gone.
    } finally {
      state.polling = false;
    }
  }

  #publish(kind: LiveKind, state: KindState, { visible, answer }: LiveState, nowMs: number): void {
    if (visible !== state.shown) {
      state.shown = visible;
      const id = (this.#lastId = Math.max(nowMs, this.#lastId + 1));
      state.latest = { id, event: kind.event, json: JSON.stringify(answer) };
    }
    for (const seat of this.#seats) this.#serve(seat);
  }

  /** Sends the oldest of what is due; the next one when that was taken. */
  #serve(seat: Seat): void {
    const update = this.#dueOf(seat);
    if (update === undefined || seat.sending) return;
    seat.sending = true;
    seat.sentId = Math.max(seat.sentId, update.id);
    seat.toldId = Math.max(seat.toldId, update.id);
    seat.progressMs = this.#nowMs;
    // A listener that fails while sending closes by itself, and leaves.
    const failed = (): void => void (seat.sending = false);
    const sent = (): void => {
      seat.sending = false;
      if (this.#seats.has(seat)) this.#serve(seat);
    };
    seat.listener.send(update).then(sent, failed);
  }

  #dueOf({ kinds, isTold, sentId, toldId }: Seat): LiveUpdate | undefined {
    let due = isTold ? this.#told.find(({ id }) => id > toldId) : undefined;
    for (const name of kinds) {
      const update = this.#states.get(name)?.latest;
      if (update === undefined || update.id <= sentId) continue;
      if (due === undefined || update.id < due.id) due = update;
    }
    return due;
  }

  /** A kind that nobody follows grows stale: who comes next shall not be sent what was once so. */
  #forgetUnheard(): void {
    for (const name of this.#states.keys()) {
      if ([...this.#seats].some(({ kinds }) => kinds.has(name))) continue;
      this.#states.delete(name);
    }
  }

  #tend(nowMs: number): void {
    for (const seat of this.#seats) {
      const silentMs = nowMs - seat.progressMs;
      if (seat.sending && silentMs > LIVE_STALL_MS_MAX) {
        this.#seats.delete(seat);
        seat.listener.cut();
      } else if (!seat.sending && silentMs >= LIVE_HEARTBEAT_MS) {
        seat.progressMs = nowMs;
        seat.listener.heartbeat();
      }
    }
  }
}

function isFinal(problem: Problem): boolean {
  return (
    problem.status === 404 || problem.code === "tenantQuarantined" || problem.code === "windowOff"
  );
}
