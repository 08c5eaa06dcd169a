/** One instance of a tenant's moderator, and the calls of its world. */
import assert from "node:assert/strict";
import { CATEGORIES } from "#model/moderation.ts";
import type { ModeratorUsage, Turn, VerdictReport } from "#model/moderation.ts";
import { asyncLiftName, callbackName, postReturnName, type AbiFunction } from "./abi-types.ts";
import { MEMORY_NAME, REALLOC_NAME, type AdmittedComponent } from "./admission.ts";
import type { GuestImports } from "./admission.ts";
import { AbiError, compileLiftResult, GuestMemory } from "./canonical-abi.ts";
import * as world from "./moderator-world.gen.ts";
import { PortableCalls } from "./portable-state.ts";
import { CALL_NUMBER_MAX, EVENT_SUBTASK, ReviewTurn, SUBTASK_RETURNED } from "./review-turn.ts";

/** Kinds of entries in the journal. */
export const CONFIGURE_ENTRY = 1;
export const JUDGE_ENTRY = 2;
export const ADVANCE_ENTRY = 3;
export const CONVERSATION_ENTRY = 4;
export const FORGET_ENTRY = 5;
export const USAGE_ENTRY = 6;
/** The call's number; the request. */
export const BEGIN_REVIEW_ENTRY = 7;
/** The call's number and, above it, 1 + the failure or 0; where the result goes; the answer. */
export const END_REVIEW_ENTRY = 8;
export const FAILURE_SHIFT = 16;

type CoreFunction = (...values: number[]) => number;

const SCORE_COUNT = CATEGORIES.length;
const FLAGGED_MAX = 2 ** SCORE_COUNT - 1;
const SEVERITY_MAX = 100;

// What is lifted by the descriptors of the world has the types of the world; that those of the
// model are the same, the compiler sees here.
const liftVerdict: (memory: GuestMemory, value: number) => VerdictReport = lifting<world.Verdict>(
  world.JUDGE,
);
const liftTurns: (memory: GuestMemory, value: number) => readonly Turn[] = lifting<
  readonly world.Turn[]
>(world.CONVERSATION);
const liftUsage: (memory: GuestMemory, value: number) => ModeratorUsage =
  lifting<world.ModeratorUsage>(world.USAGE);

/** Copies without making a view, which `subarray` would. */
const copyBytes = Buffer.prototype.copy as (
  this: Uint8Array,
  target: Uint8Array,
  targetStart: number,
  start: number,
  end: number,
) => number;

export class ModeratorInstance {
  readonly memory: GuestMemory;
  readonly portable: PortableCalls | undefined;
  readonly #realloc: CoreFunction;
  readonly #configure: CoreFunction;
  readonly #judge: CoreFunction;
  readonly #judgePost: CoreFunction | undefined;
  readonly #conversation: CoreFunction;
  readonly #conversationPost: CoreFunction | undefined;
  readonly #forget: CoreFunction;
  readonly #usage: CoreFunction;
  readonly #usagePost: CoreFunction | undefined;
  readonly #advance: CoreFunction;
  readonly #review: CoreFunction;
  readonly #reviewCallback: CoreFunction;
  /** Shared: of whoever's turn it is. */
  readonly #turn: ReviewTurn;

  /** `imports` has those of the turn in it. */
  constructor(component: AdmittedComponent, imports: GuestImports, turn: ReviewTurn) {
    const { exports } = new WebAssembly.Instance(component.module, imports);
    const find = (name: string): CoreFunction => exports[name] as CoreFunction;
    const findPost = ({ coreName }: AbiFunction): CoreFunction | undefined => {
      const name = postReturnName(coreName);
      return component.postReturns.has(name) ? find(name) : undefined;
    };
    this.memory = new GuestMemory(exports[MEMORY_NAME] as WebAssembly.Memory);
    this.#realloc = find(REALLOC_NAME);
    this.#configure = find(world.CONFIGURE.coreName);
    this.#judge = find(world.JUDGE.coreName);
    this.#judgePost = findPost(world.JUDGE);
    this.#conversation = find(world.CONVERSATION.coreName);
    this.#conversationPost = findPost(world.CONVERSATION);
    this.#forget = find(world.FORGET.coreName);
    this.#usage = find(world.USAGE.coreName);
    this.#usagePost = findPost(world.USAGE);
    this.#advance = find(world.ADVANCE.coreName);
    this.#review = find(asyncLiftName(world.REVIEW.coreName));
    this.#reviewCallback = find(callbackName(world.REVIEW.coreName));
    this.#turn = turn;
    if (component.isPortable) this.portable = new PortableCalls(exports, this.memory, component);
  }

  configure(source: Uint8Array, byteOffset: number, byteCount: number): void {
    this.#configure(this.#lower(source, byteOffset, byteCount), byteCount);
  }

  /** Hot. What it makes is the report. */
  judge(source: Uint8Array, byteOffset: number, byteCount: number): VerdictReport {
    const result = this.#judge(this.#lower(source, byteOffset, byteCount), byteCount);
    const report = liftVerdict(this.memory, result);
    checkVerdict(report);
    this.#judgePost?.(result);
    return report;
  }

  conversation(id: Buffer): readonly Turn[] {
    const result = this.#conversation(this.#lower(id, 0, id.length), id.length);
    const turns = liftTurns(this.memory, result);
    this.#conversationPost?.(result);
    return turns;
  }

  /** A bool is any number but zero. */
  forget(id: Buffer): boolean {
    return this.#forget(this.#lower(id, 0, id.length), id.length) !== 0;
  }

  usage(): ModeratorUsage {
    const result = this.#usage();
    const usage = liftUsage(this.memory, result);
    this.#usagePost?.(result);
    return usage;
  }

  advance(nowMs: number): void {
    this.#advance(nowMs);
  }

  /** Begins the task of a call; its turn has what it asks, or what it says if it asks nothing. */
  beginReview(
    call: number,
    isAgain: boolean,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): void {
    const turn = this.#turn;
    turn.begin(this.memory, call, isAgain);
    try {
      turn.check(this.#review(this.#lower(source, byteOffset, byteCount), byteCount));
    } finally {
      turn.close();
    }
  }

  /** Tells a task that waits how its call ended: `failure`, or -1 and the bytes of the answer. */
  endReview(
    call: number,
    isAgain: boolean,
    resultAt: number,
    failure: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): void {
    const turn = this.#turn;
    const { memory } = this;
    turn.answer(memory, call, isAgain);
    try {
      if (failure >= 0) ReviewTurn.writeFailure(memory, resultAt, failure);
      else {
        const pointer = this.#lower(source, byteOffset, byteCount);
        ReviewTurn.writeAnswer(memory, resultAt, pointer, byteCount);
      }
      turn.check(this.#reviewCallback(EVENT_SUBTASK, turn.subtask, SUBTASK_RETURNED));
    } finally {
      turn.close();
    }
  }

  /** Does a turn of the journal again; its answer is known already. */
  again(
    kind: number,
    first: number,
    second: number,
    time: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ): void {
    // A turn that was cut off may have left its own open.
    this.#turn.close();
    if (kind === BEGIN_REVIEW_ENTRY) {
      return this.beginReview(first, true, source, byteOffset, byteCount);
    }
    if (kind === END_REVIEW_ENTRY) {
      const call = first & CALL_NUMBER_MAX;
      const failure = (first >>> FAILURE_SHIFT) - 1;
      return this.endReview(call, true, second, failure, source, byteOffset, byteCount);
    }
    if (kind === ADVANCE_ENTRY) return this.advance(time);
    if (kind === USAGE_ENTRY) return void this.#usagePost?.(this.#usage());
    const pointer = this.#lower(source, byteOffset, byteCount);
    if (kind === JUDGE_ENTRY) {
      const result = this.#judge(pointer, byteCount);
      this.#judgePost?.(result);
    } else if (kind === CONVERSATION_ENTRY) {
      const result = this.#conversation(pointer, byteCount);
      this.#conversationPost?.(result);
    } else if (kind === FORGET_ENTRY) this.#forget(pointer, byteCount);
    else {
      assert(kind === CONFIGURE_ENTRY);
      this.#configure(pointer, byteCount);
    }
  }

  /** Hot. Hands bytes to the guest, where it wants them. */
  #lower(source: Uint8Array, byteOffset: number, byteCount: number): number {
    const { memory } = this;
    const pointer = this.#realloc(0, 0, 1, byteCount) >>> 0;
    memory.check(pointer, byteCount, 1);
    copyBytes.call(source, memory.bytes, pointer, byteOffset, byteOffset + byteCount);
    return pointer;
  }
}

function lifting<Report>(abi: AbiFunction): (memory: GuestMemory, value: number) => Report {
  assert(abi.result !== undefined);
  const lift = compileLiftResult(abi.result);
  return (memory, value) => lift(memory, value) as Report;
}

/** What the world promises of a verdict beyond its types. */
function checkVerdict({
  scores,
  thresholds,
  flagged,
  severity,
  spans,
  toxicityAlone,
}: VerdictReport) {
  if (scores.length !== SCORE_COUNT || thresholds.length !== SCORE_COUNT) {
    throw new AbiError(
      `A verdict has ${scores.length} scores and ${thresholds.length} thresholds; ` +
        `there are ${SCORE_COUNT} categories.`,
    );
  }
  for (let category = 0; category < SCORE_COUNT; category++) {
    if (!isShare(scores[category]!) || !(thresholds[category]! >= 0)) {
      throw new AbiError("A verdict has a score beyond 0 to 1, or a threshold below 0.");
    }
  }
  if (flagged > FLAGGED_MAX || severity > SEVERITY_MAX || !isShare(toxicityAlone)) {
    throw new AbiError("A verdict flags what is no category, or is out of its scales.");
  }
  for (let span = 0; span < spans.length; span++) {
    const { start, end, startCodePoint, endCodePoint } = spans[span]!;
    if (start <= end && startCodePoint <= endCodePoint) continue;
    throw new AbiError("A span of a verdict ends before it begins.");
  }
}

function isShare(value: number): boolean {
  return value >= 0 && value <= 1;
}
