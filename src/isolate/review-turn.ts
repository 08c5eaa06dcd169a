/**
 * What a task of `review` may do in its turns, by the callback ABI of WASI 0.3: a call that waits
 * holds no stack and no instance, only numbers in its tenant's state.
 *
 *   begin    `review` runs. It asks (`complete`), puts the call into a waitable set and says
 *            that it waits for it; or it hands over its result (`task.return`) and has ended.
 *   answer   the result of `complete` is written to where the task wants it, and its callback runs:
 *            it drops call and set, hands over its result and has ended.
 *
 * The imports are shared by all instances of a host. They answer for whoever's turn it is, which is
 * unambiguous because a guest never waits within a turn; outside of such a turn they refuse.
 *
 * Numbers instead of handle tables: the call of a task has a number n, given with the turn; its
 * handle is 2n, its waitable set's 2n + 1. The number stands in the journal, so a turn done again
 * gives the same handles, and there is nothing to roll back when one fails.
 */
import assert from "node:assert/strict";
import { CATEGORIES } from "#model/moderation.ts";
import { JOB_COUNT, type Opinion } from "#model/consultation.ts";
import { PROMPT_BYTES_MAX } from "#model/limits.ts";
import { readPromptParts } from "#model/prompt-parts.ts";
import { importName, taskReturnName } from "./abi-types.ts";
import type { GuestImports } from "./admission.ts";
import { AbiError, compileLiftFlat, type GuestMemory } from "./canonical-abi.ts";
import { SUBTASK_DROP, WAITABLE_JOIN, WAITABLE_SET_DROP, WAITABLE_SET_NEW } from "./canons.ts";
import * as world from "./moderator-world.gen.ts";

/** Numbers of calls: 1 to this. */
export const CALL_NUMBER_MAX = 65_535;

/** Codes of the ABI: what a task returns, states of a call, an event. */
export const TASK_EXIT = 0;
export const TASK_WAIT = 2;
export const SUBTASK_STARTED = 1;
export const SUBTASK_RETURNED = 2;
export const EVENT_SUBTASK = 1;

/** A u8 of which case, then at 4 a list, or a u8 of which failure. */
const RESULT_BYTES = 12;
const RESULT_ALIGNMENT = 4;
const PAYLOAD_AT = 4;

const MODERATION = 0;
const OFF = 0;
const SCORE_COUNT = CATEGORIES.length;
const FLAGGED_MAX = 2 ** SCORE_COUNT - 1;
const SEVERITY_MAX = 100;

const liftOpinion: (memory: GuestMemory, values: readonly number[]) => Opinion =
  lifting<world.Opinion>();

const copyBytes = Buffer.prototype.copy as (
  this: Uint8Array,
  target: Uint8Array,
  targetStart: number,
  start: number,
  end: number,
) => number;

export class ReviewTurn {
  /** What a moderator's instance is given for it. */
  readonly imports: GuestImports;
  /** What was asked, until the next turn; `promptBytes` of it, and -1 if nothing was. */
  readonly prompt = Buffer.from(new ArrayBuffer(PROMPT_BYTES_MAX));
  promptBytes = -1;
  /** Address of the result of the call. */
  resultAt = 0;
  /** What the task handed over; undefined in a turn done again. */
  opinion: Opinion | undefined;
  /** Of whose turn it is; undefined: of nobody's. */
  #memory: GuestMemory | undefined;
  #call = 0;
  #isAnswer = false;
  /** It was sent and told already. */
  #isAgain = false;
  #hasAsked = false;
  #hasReturned = false;
  #hasSet = false;
  #hasSubtask = false;
  #isJoined = false;

  constructor() {
    const imports: Record<string, Record<string, Function>> = {};
    const bind = (coreName: string, imported: Function): void => {
      const [module, field] = coreName.split("#") as [string, string];
      (imports[module] ??= {})[field] = imported;
    };
    bind(importName(world.COMPLETE), this.#complete.bind(this));
    bind(taskReturnName(world.REVIEW.coreName), this.#return.bind(this));
    bind(WAITABLE_SET_NEW, this.#newSet.bind(this));
    bind(WAITABLE_SET_DROP, this.#dropSet.bind(this));
    bind(WAITABLE_JOIN, this.#join.bind(this));
    bind(SUBTASK_DROP, this.#dropSubtask.bind(this));
    this.imports = imports;
  }

  /** The task of the call begins. */
  begin(memory: GuestMemory, call: number, isAgain: boolean): void {
    this.#open(memory, call, isAgain, false);
  }

  /** The call has returned: the task is told, and where it wants it there is its result. */
  answer(memory: GuestMemory, call: number, isAgain: boolean): void {
    this.#open(memory, call, isAgain, true);
    this.#hasAsked = true;
    this.#hasSet = true;
    this.#hasSubtask = true;
    this.#isJoined = true;
  }

  /** Writes what `complete` returns: bytes that the guest has already, or a failure. */
  static writeAnswer(memory: GuestMemory, at: number, pointer: number, byteCount: number): void {
    memory.check(at, RESULT_BYTES, RESULT_ALIGNMENT);
    memory.view.setUint8(at, 0);
    memory.view.setUint32(at + PAYLOAD_AT, pointer, true);
    memory.view.setUint32(at + PAYLOAD_AT + 4, byteCount, true);
  }

  static writeFailure(memory: GuestMemory, at: number, failure: number): void {
    memory.check(at, RESULT_BYTES, RESULT_ALIGNMENT);
    memory.view.setUint8(at, 1);
    memory.view.setUint8(at + PAYLOAD_AT, failure);
  }

  /** Throws AbiError unless the code says what the task did: it waits, or it has ended. */
  check(code: number): void {
    if (this.#hasSubtask) {
      const waits = code === (TASK_WAIT | (this.set << 4)) && this.#isJoined;
      if (waits && !this.#isAnswer && !this.#hasReturned) return;
      throw new AbiError(`The task returned ${code} while its call is not dropped.`);
    }
    if (code !== TASK_EXIT)
      throw new AbiError(`The task returned ${code}, with nothing to wait for.`);
    if (!this.#hasReturned) throw new AbiError("The task ended without a result.");
    if (this.#hasSet) throw new AbiError("The task ended and left a waitable set.");
  }

  /** Nobody's turn: what is called out of turn breaks the contract. */
  close(): void {
    this.#memory = undefined;
  }

  get subtask(): number {
    return this.#call << 1;
  }

  get set(): number {
    return (this.#call << 1) | 1;
  }

  #open(memory: GuestMemory, call: number, isAgain: boolean, isAnswer: boolean): void {
    this.#memory = memory;
    this.#call = call;
    this.#isAgain = isAgain;
    this.#isAnswer = isAnswer;
    this.#hasAsked = false;
    this.#hasReturned = false;
    this.#hasSet = false;
    this.#hasSubtask = false;
    this.#isJoined = false;
    this.promptBytes = -1;
    this.resultAt = 0;
    this.opinion = undefined;
  }

  /** What comes from the guest as an i32 is signed. */
  #complete(job: number, pointer: number, byteCount: number, resultAt: number): number {
    const memory = this.#turn();
    if (this.#hasAsked) throw new AbiError("A task may ask once.");
    this.#hasAsked = true;
    if (job >>> 0 >= JOB_COUNT) throw new AbiError(`There is no job ${job}.`);
    memory.check(resultAt >>> 0, RESULT_BYTES, RESULT_ALIGNMENT);
    memory.check(pointer >>> 0, byteCount >>> 0, 1);
    if (job !== MODERATION) {
      ReviewTurn.writeFailure(memory, resultAt >>> 0, OFF);
      return SUBTASK_RETURNED;
    }
    this.#take(memory, pointer >>> 0, byteCount >>> 0);
    this.resultAt = resultAt >>> 0;
    this.#hasSubtask = true;
    return SUBTASK_STARTED | (this.subtask << 4);
  }

  /** A prompt that was taken once is not looked at again. */
  #take(memory: GuestMemory, pointer: number, byteCount: number): void {
    if (byteCount > PROMPT_BYTES_MAX) {
      throw new AbiError(`The prompt has ${byteCount} bytes; at most ${PROMPT_BYTES_MAX}.`);
    }
    this.promptBytes = byteCount;
    if (this.#isAgain) return;
    copyBytes.call(memory.bytes, this.prompt, 0, pointer, pointer + byteCount);
    if (readPromptParts(this.prompt.subarray(0, byteCount)) === undefined) {
      throw new AbiError(`The ${byteCount} bytes of the prompt at ${pointer} are no parts.`);
    }
  }

  #return(...values: number[]): void {
    const memory = this.#turn();
    if (this.#hasReturned) throw new AbiError("A task has one result.");
    this.#hasReturned = true;
    if (this.#isAgain) return;
    const opinion = liftOpinion(memory, values);
    checkOpinion(opinion);
    this.opinion = opinion;
  }

  #newSet(): number {
    this.#turn();
    if (this.#hasSet) throw new AbiError("A task has one waitable set.");
    this.#hasSet = true;
    return this.set;
  }

  #dropSet(set: number): void {
    this.#turn();
    this.#checkHandle(set, this.set, this.#hasSet && !this.#isJoined);
    this.#hasSet = false;
  }

  #join(waitable: number, set: number): void {
    this.#turn();
    this.#checkHandle(waitable, this.subtask, this.#hasSubtask);
    if (set !== 0) this.#checkHandle(set, this.set, this.#hasSet);
    this.#isJoined = set !== 0;
  }

  #dropSubtask(subtask: number): void {
    this.#turn();
    this.#checkHandle(subtask, this.subtask, this.#hasSubtask && this.#isAnswer);
    this.#hasSubtask = false;
    this.#isJoined = false;
  }

  #checkHandle(found: number, wanted: number, isUsable: boolean): void {
    if (found === wanted && isUsable) return;
    throw new AbiError(`The handle ${found} is not of this task, or not to be used so now.`);
  }

  #turn(): GuestMemory {
    if (this.#memory !== undefined) return this.#memory;
    throw new AbiError("Only a task of `review` may ask and wait.");
  }
}

function lifting<Report>(): (memory: GuestMemory, values: readonly number[]) => Report {
  assert(world.REVIEW.result !== undefined);
  const lift = compileLiftFlat(world.REVIEW.result);
  return (memory, values) => lift(memory, values) as Report;
}

/** What the world promises of an opinion beyond its types. */
function checkOpinion({ scores, flagged, severity }: Opinion): void {
  if (scores.length !== SCORE_COUNT) {
    throw new AbiError(`An opinion has ${scores.length} scores; ${SCORE_COUNT} are categories.`);
  }
  for (let category = 0; category < SCORE_COUNT; category++) {
    const score = scores[category]!;
    if (!(score >= 0 && score <= 1)) throw new AbiError("An opinion has a score beyond 0 to 1.");
  }
  if (flagged > FLAGGED_MAX || severity > SEVERITY_MAX) {
    throw new AbiError("An opinion flags what is no category, or is out of its scales.");
  }
}
