/**
 * Who asks the upstream next: fair between tenants, and moderation before the rest.
 *
 * Idea: deficit round robin (Shreedhar, Varghese 1995). Tenants with something to ask stand in a
 * ring, one ring a job. Whose turn it is gets `quantum` tokens on top of what was left, and asks
 * while that covers the cost of its oldest call; then the next tenant has its turn. So over time
 * all tenants that always have something to ask get the same tokens, whether they ask often and
 * briefly or rarely and at length, and a flood waits in its own line. A tenant that has nothing
 * left to ask keeps no deficit.
 *
 * Rank: the ring of the first job that has anybody in it goes first; a ring that was passed over
 * PASSED_OVER_MAX times gets one turn, so nothing starves. A tenant with `tenantRunningMax` calls
 * at the upstream leaves the rings until one of them has ended.
 *
 * Bound: between two calls of a tenant of an always busy ring every other tenant of it gets at most
 * quantum + costMax tokens. Cost: `next` looks at no more than costMax / quantum tenants a call,
 * amortised, as every look gives a quantum that is spent later. Layout: a call is a ticket, an
 * index into arrays; a line is a list through `#nexts` and `#previous`, so that a call that is
 * cancelled leaves it at once. Nothing is allocated after the constructor.
 */
import assert from "node:assert/strict";
import { JOB_COUNT } from "#model/consultation.ts";
import { CALL_TOKENS_MAX } from "#model/limits.ts";

export type FairQueueOptions = {
  /** Calls that wait or run, of all tenants. */
  readonly ticketCountMax: number;
  /** Tenants are numbered from 0 to below it. */
  readonly tenantCountMax: number;
  /** Calls of one tenant that wait. */
  readonly tenantWaitingMax: number;
  /** Calls of one tenant at the upstream, unless `setRunningMax` says otherwise. */
  readonly tenantRunningMax: number;
  /** Tokens of a turn. */
  readonly quantum?: number;
};

export const QUEUE_FULL = -1;
export const TENANT_QUEUE_FULL = -2;
export const NO_TICKET = -1;

const QUANTUM_DEFAULT = 4_096;
const PASSED_OVER_MAX = 16;
const NONE = -1;

const FREE = 0;
const WAITING = 1;
const RUNNING = 2;

export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #quantum: number;
  // By ticket.
  readonly #states: Uint8Array;
  readonly #tenants: Int32Array;
  readonly #jobs: Uint8Array;
  readonly #costs: Int32Array;
  readonly #sinceMs: Float64Array;
  readonly #nexts: Int32Array;
  readonly #previous: Int32Array;
  #freeHead = NONE;
  /** Tickets from here on were never used. */
  #fresh = 0;
  // By line: tenant * JOB_COUNT + job.
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  readonly #deficits: Int32Array;
  /** The ring of the job; NONE: the line is in none. */
  readonly #ringNexts: Int32Array;
  readonly #ringPrevious: Int32Array;
  // By tenant.
  readonly #waiting: Int32Array;
  readonly #running: Int32Array;
  readonly #runningMaxes: Int32Array;
  // By job.
  /** The line whose turn it is. */
  readonly #turns = new Int32Array(JOB_COUNT).fill(NONE);
  /** Whether it has had the quantum of this turn. */
  readonly #hasQuantum = new Uint8Array(JOB_COUNT);
  readonly #passedOver = new Int32Array(JOB_COUNT);
  readonly #waitingOfJob = new Int32Array(JOB_COUNT);
  readonly #runningOfJob = new Int32Array(JOB_COUNT);
  #runningCount = 0;

  constructor(options: FairQueueOptions) {
    const { ticketCountMax, tenantCountMax, quantum = QUANTUM_DEFAULT } = options;
    assert(quantum > 0);
    assert(options.tenantRunningMax > 0);
    this.#options = options;
    this.#quantum = quantum;
    this.#states = new Uint8Array(ticketCountMax);
    this.#tenants = new Int32Array(ticketCountMax);
    this.#jobs = new Uint8Array(ticketCountMax);
    this.#costs = new Int32Array(ticketCountMax);
    this.#sinceMs = new Float64Array(ticketCountMax);
    this.#nexts = new Int32Array(ticketCountMax);
    this.#previous = new Int32Array(ticketCountMax);
    const lineCount = tenantCountMax * JOB_COUNT;
    this.#heads = new Int32Array(lineCount).fill(NONE);
    this.#tails = new Int32Array(lineCount).fill(NONE);
    this.#deficits = new Int32Array(lineCount);
    this.#ringNexts = new Int32Array(lineCount).fill(NONE);
    this.#ringPrevious = new Int32Array(lineCount).fill(NONE);
    this.#waiting = new Int32Array(tenantCountMax);
    this.#running = new Int32Array(tenantCountMax);
    this.#runningMaxes = new Int32Array(tenantCountMax).fill(options.tenantRunningMax);
  }

  /** Undefined: the default again. What runs goes on. */
  setRunningMax(tenant: number, runningMax: number | undefined): void {
    const before = this.#mayRun(tenant);
    this.#runningMaxes[tenant] = runningMax ?? this.#options.tenantRunningMax;
    if (before === this.#mayRun(tenant)) return;
    if (before) this.#leaveRings(tenant);
    else this.#enterRings(tenant);
  }

  /** Calls of the job at the upstream. */
  runningOfJob(job: number): number {
    return this.#runningOfJob[job]!;
  }

  get runningCount(): number {
    return this.#runningCount;
  }

  /** Calls of the job that wait. */
  waitingCount(job: number): number {
    return this.#waitingOfJob[job]!;
  }

  waitingOf(tenant: number): number {
    return this.#waiting[tenant]!;
  }

  runningOf(tenant: number): number {
    return this.#running[tenant]!;
  }

  tenantOf(ticket: number): number {
    return this.#tenants[ticket]!;
  }

  /** When the call was pushed. */
  sinceMs(ticket: number): number {
    return this.#sinceMs[ticket]!;
  }

  /** Hot. `cost`: tokens, as estimated. Ticket of the call, QUEUE_FULL or TENANT_QUEUE_FULL. */
  push(tenant: number, job: number, cost: number, nowMs: number): number {
    if (this.#waiting[tenant]! >= this.#options.tenantWaitingMax) return TENANT_QUEUE_FULL;
    const ticket = this.#takeTicket();
    if (ticket === NO_TICKET) return QUEUE_FULL;
    const line = tenant * JOB_COUNT + job;
    this.#states[ticket] = WAITING;
    this.#tenants[ticket] = tenant;
    this.#jobs[ticket] = job;
    this.#costs[ticket] = Math.min(Math.max(Math.ceil(cost), 1), CALL_TOKENS_MAX);
    this.#sinceMs[ticket] = nowMs;
    const tail = this.#tails[line]!;
    this.#nexts[ticket] = NONE;
    this.#previous[ticket] = tail;
    if (tail === NONE) this.#heads[line] = ticket;
    else this.#nexts[tail] = ticket;
    this.#tails[line] = ticket;
    this.#waiting[tenant]! += 1;
    this.#waitingOfJob[job]! += 1;
    if (tail === NONE && this.#mayRun(tenant)) this.#enterRing(line);
    return ticket;
  }

  /** Hot. The call whose turn it is; it runs from now on. NO_TICKET: none may. */
  next(): number {
    const job = this.#jobToServe();
    if (job === NONE) return NO_TICKET;
    const deficits = this.#deficits;
    for (;;) {
      const line = this.#turns[job]!;
      if (this.#hasQuantum[job] === 0) {
        deficits[line]! += this.#quantum;
        this.#hasQuantum[job] = 1;
      }
      const ticket = this.#heads[line]!;
      if (this.#costs[ticket]! <= deficits[line]!) {
        this.#run(ticket, line);
        return ticket;
      }
      this.#turns[job] = this.#ringNexts[line]!;
      this.#hasQuantum[job] = 0;
    }
  }

  /**
   * Another call of the tenant and job of one that runs, to be sent with it; it runs from now on,
   * as a part of that one. It is paid for from the next turns. NO_TICKET: none waits.
   */
  nextLike(ticket: number): number {
    assert(this.#states[ticket] === RUNNING);
    const line = this.#tenants[ticket]! * JOB_COUNT + this.#jobs[ticket]!;
    const other = this.#heads[line]!;
    if (other === NONE) return NO_TICKET;
    this.#run(other, line);
    return other;
  }

  /** The call has ended, wherever it stood. Its ticket may be another's from now on. */
  end(ticket: number): void {
    const state = this.#states[ticket]!;
    assert(state !== FREE);
    const tenant = this.#tenants[ticket]!;
    if (state === WAITING) this.#leaveLine(ticket, tenant * JOB_COUNT + this.#jobs[ticket]!);
    else {
      this.#running[tenant]! -= 1;
      this.#runningCount -= 1;
      this.#runningOfJob[this.#jobs[ticket]!]! -= 1;
      if (this.#running[tenant] === this.#runningMaxes[tenant]! - 1) this.#enterRings(tenant);
    }
    this.#states[ticket] = FREE;
    this.#nexts[ticket] = this.#freeHead;
    this.#freeHead = ticket;
  }

  #takeTicket(): number {
    const ticket = this.#freeHead;
    if (ticket !== NONE) {
      this.#freeHead = this.#nexts[ticket]!;
      return ticket;
    }
    if (this.#fresh === this.#options.ticketCountMax) return NO_TICKET;
    this.#fresh += 1;
    return this.#fresh - 1;
  }

  #mayRun(tenant: number): boolean {
    return this.#running[tenant]! < this.#runningMaxes[tenant]!;
  }

  /** The first job that has a tenant in its ring, unless a later one was passed over too often. */
  #jobToServe(): number {
    let first = NONE;
    for (let job = 0; job < JOB_COUNT; job++) {
      if (this.#turns[job] === NONE) continue;
      if (first === NONE) first = job;
      else if (this.#passedOver[job]! >= PASSED_OVER_MAX) {
        this.#passedOver[job] = 0;
        return job;
      }
    }
    if (first === NONE) return NONE;
    this.#passedOver[first] = 0;
    for (let job = first + 1; job < JOB_COUNT; job++) {
      if (this.#turns[job] !== NONE) this.#passedOver[job]! += 1;
    }
    return first;
  }

  #run(ticket: number, line: number): void {
    const tenant = this.#tenants[ticket]!;
    this.#deficits[line]! -= this.#costs[ticket]!;
    this.#leaveLine(ticket, line);
    this.#states[ticket] = RUNNING;
    this.#running[tenant]! += 1;
    this.#runningCount += 1;
    this.#runningOfJob[line % JOB_COUNT]! += 1;
    if (!this.#mayRun(tenant)) this.#leaveRings(tenant);
  }

  #leaveLine(ticket: number, line: number): void {
    const next = this.#nexts[ticket]!;
    const previous = this.#previous[ticket]!;
    if (previous === NONE) this.#heads[line] = next;
    else this.#nexts[previous] = next;
    if (next === NONE) this.#tails[line] = previous;
    else this.#previous[next] = previous;
    this.#waiting[this.#tenants[ticket]!]! -= 1;
    this.#waitingOfJob[this.#jobs[ticket]!]! -= 1;
    if (this.#heads[line] !== NONE) return;
    this.#leaveRing(line);
    // What was borrowed is owed; what was left over is not kept.
    if (this.#deficits[line]! > 0) this.#deficits[line] = 0;
  }

  #enterRings(tenant: number): void {
    for (let job = 0; job < JOB_COUNT; job++) {
      const line = tenant * JOB_COUNT + job;
      if (this.#heads[line] !== NONE) this.#enterRing(line);
    }
  }

  #leaveRings(tenant: number): void {
    for (let job = 0; job < JOB_COUNT; job++) this.#leaveRing(tenant * JOB_COUNT + job);
  }

  /** As the last: just behind whoever's turn it is. */
  #enterRing(line: number): void {
    if (this.#ringNexts[line] !== NONE) return;
    const job = line % JOB_COUNT;
    const turn = this.#turns[job]!;
    if (turn === NONE) {
      this.#turns[job] = line;
      this.#hasQuantum[job] = 0;
      this.#ringNexts[line] = line;
      this.#ringPrevious[line] = line;
      return;
    }
    const last = this.#ringPrevious[turn]!;
    this.#ringNexts[last] = line;
    this.#ringPrevious[line] = last;
    this.#ringNexts[line] = turn;
    this.#ringPrevious[turn] = line;
  }

  #leaveRing(line: number): void {
    const next = this.#ringNexts[line]!;
    if (next === NONE) return;
    const job = line % JOB_COUNT;
    const previous = this.#ringPrevious[line]!;
    this.#ringNexts[previous] = next;
    this.#ringPrevious[next] = previous;
    if (this.#turns[job] === line) {
      this.#turns[job] = next === line ? NONE : next;
      this.#hasQuantum[job] = 0;
    }
    this.#ringNexts[line] = NONE;
    this.#ringPrevious[line] = NONE;
  }
}
