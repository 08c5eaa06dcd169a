/**
 * The door of moderators: every tenant's second component, with an image, strikes and a quarantine
 * of its own. What a turn is, and what its end means: tenant-host.ts. What a moderator imports is
 * bound to another Wasm module's exports, with no JavaScript in between.
 */
import assert from "node:assert/strict";
import {
  CONVERSATION_BYTES_MAX,
  JUDGE_BYTES_MAX,
  JUDGEMENT_BYTES_MAX,
  POLICY_BYTES_MAX,
} from "#model/limits.ts";
import { CONSULTATION_FAILURES, type Job, type Opinion } from "#model/consultation.ts";
import type { ModeratorUsage, Turn, VerdictReport } from "#model/moderation.ts";
import type { Outcome } from "#model/outcome.ts";
import { FLAG_DO_NOT_STORE, FLAG_JUDGE_ONLY, FLAGS_AT } from "#model/request-bytes.ts";
import type { GuestImports } from "./admission.ts";
import {
  ADVANCE_ENTRY,
  BEGIN_REVIEW_ENTRY,
  CONFIGURE_ENTRY,
  CONVERSATION_ENTRY,
  END_REVIEW_ENTRY,
  FAILURE_SHIFT,
  FORGET_ENTRY,
  JUDGE_ENTRY,
  ModeratorInstance,
  USAGE_ENTRY,
} from "./moderator-instance.ts";
import { MESSAGE_ROW, MODERATOR, PARAMETER, REPLY_ROW } from "./moderator-world.gen.ts";
import { CALL_NUMBER_MAX, ReviewTurn } from "./review-turn.ts";
import type { Slot } from "./slot.ts";
import { type Answer, TenantHost, type TenantHostOptions } from "./tenant-host.ts";

/** The classifier, as the world imports it: exports of a Wasm module. */
export type ModeratorImports = {
  readonly messageRow: Function;
  readonly replyRow: Function;
  readonly parameter: Function;
};

/** What a review asks of the upstream. */
export type AskedReview = {
  readonly job: Job;
  /** Parts (model/prompt-parts.ts), in an ArrayBuffer of their own. */
  readonly prompt: Buffer;
  /** Where the guest wants the answer: for `endReview`. */
  readonly resultAt: number;
};

/** Both undefined unless the outcome is `ok`; then one of them. */
export type BegunReview = EndedReview & { readonly asked: AskedReview | undefined };

export type EndedReview = { readonly outcome: Outcome; readonly opinion: Opinion | undefined };

const NOTHING = Buffer.alloc(0);
const FLAGS_UNREMEMBERED = FLAG_DO_NOT_STORE | FLAG_JUDGE_ONLY;

export class ModeratorHost extends TenantHost<ModeratorInstance> {
  /** Shared by the instances: of whoever's turn it is. */
  readonly #turn: ReviewTurn;

  constructor(options: TenantHostOptions, imports: ModeratorImports) {
    const turn = new ReviewTurn();
    const bound = { ...importsOf(imports), ...turn.imports };
    const instantiate = (component: ConstructorParameters<typeof ModeratorInstance>[0]) =>
      new ModeratorInstance(component, bound, turn);
    super({ world: MODERATOR, instantiate }, options);
    this.#turn = turn;
  }

  override runSlice(slice: () => void): "done" | "timedOut" {
    const end = super.runSlice(slice);
    if (end === "timedOut") this.#turn.close();
    return end;
  }

  /** Begins a tenant with this policy; empty: the default. If not `ok` it stays closed. */
  open(tenant: number, component: number, policy: Uint8Array): Outcome {
    assert(policy.length <= POLICY_BYTES_MAX);
    const slot = this.beginOpening(tenant, component);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.configure(policy, 0, policy.length);
    } catch (error) {
      return this.failOpening(slot, error);
    }
    slot.journal.call(CONFIGURE_ENTRY, policy, 0, policy.length);
    return this.finishOpening(slot);
  }

  /** Another policy; what is remembered stays as far as it keeps within it. */
  configure(tenant: number, policy: Uint8Array): Outcome {
    assert(policy.length <= POLICY_BYTES_MAX);
    const slot = this.begin(tenant, policy.length);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.configure(policy, 0, policy.length);
    } catch (error) {
      return this.fail(slot, error);
    }
    slot.journal.call(CONFIGURE_ENTRY, policy, 0, policy.length);
    return this.finish(slot);
  }

  /** Of the review that was begun last: where its result goes; -1: it asked for nothing. */
  get askedAt(): number {
    return this.#turn.promptBytes < 0 ? -1 : this.#turn.resultAt;
  }

  /** No state may grow: only messages that are not to be remembered are judged. */
  get isFull(): boolean {
    return this.images.isFull;
  }

  /** Hot: judges the message whose bytes (model/request-bytes.ts) these are. */
  judge(
    tenant: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): Answer<VerdictReport> {
    assert(byteCount > 0 && byteCount <= JUDGE_BYTES_MAX);
    assert(byteOffset + byteCount <= source.length);
    const isRemembered = (source[byteOffset + FLAGS_AT]! & FLAGS_UNREMEMBERED) === 0;
    if (isRemembered && this.images.isFull && !this.quarantined(tenant)) {
      return this.#declined("refused");
    }
    const slot = this.begin(tenant, byteCount);
    if (slot === undefined) return this.#declined();
    let report: VerdictReport;
    try {
      report = slot.instance.judge(source, byteOffset, byteCount);
    } catch (error) {
      return { outcome: this.fail(slot, error), report: undefined };
    }
    slot.journal.call(JUDGE_ENTRY, source, byteOffset, byteCount);
    return { outcome: this.finish(slot), report };
  }

  /**
   * Begins the review of a message: to be called right after `judge` of the same request. `call` is
   * its number, 1 to CALL_NUMBER_MAX, of no other open call of the tenant. `asked`: what is to be
   * asked, and the review ends with `endReview`; else it has ended with `opinion`.
   */
  beginReview(
    tenant: number,
    call: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): BegunReview {
    assert(byteCount > 0 && byteCount <= JUDGE_BYTES_MAX);
    assert(byteOffset + byteCount <= source.length);
    assert(call > 0 && call <= CALL_NUMBER_MAX);
    if (this.images.isFull && !this.quarantined(tenant)) return notBegun(this.decline("refused"));
    const slot = this.begin(tenant, byteCount);
    if (slot === undefined) return notBegun(this.decline());
    let asked: AskedReview | undefined;
    try {
      slot.instance.beginReview(call, false, source, byteOffset, byteCount);
      asked = this.#asked();
    } catch (error) {
      return notBegun(this.fail(slot, error));
    }
    const { opinion } = this.#turn;
    slot.journal.callWith(BEGIN_REVIEW_ENTRY, call, 0, source, byteOffset, byteCount);
    return { outcome: this.finish(slot), asked, opinion };
  }

  /**
   * Ends a review that asked: `failure` is a number in CONSULTATION_FAILURES, or undefined and the
   * bytes are the answer's (model/consultation.ts). The turn may fail as any other; the tenant then
   * stands where it stood and still waits, so that it can be told once more, as a failure.
   */
  endReview(
    tenant: number,
    call: number,
    resultAt: number,
    failure: number | undefined,
    source: Uint8Array = NOTHING,
    byteOffset = 0,
    byteCount: number = source.length,
  ): EndedReview {
    assert(byteCount <= JUDGEMENT_BYTES_MAX && byteOffset + byteCount <= source.length);
    assert(call > 0 && call <= CALL_NUMBER_MAX);
    assert(failure === undefined || (failure >= 0 && failure < CONSULTATION_FAILURES.length));
    const slot = this.begin(tenant, byteCount);
    if (slot === undefined) return { outcome: this.decline(), opinion: undefined };
    const number = failure ?? -1;
    try {
      slot.instance.endReview(call, false, resultAt, number, source, byteOffset, byteCount);
    } catch (error) {
      return { outcome: this.fail(slot, error), opinion: undefined };
    }
    const { opinion } = this.#turn;
    const first = call | ((number + 1) << FAILURE_SHIFT);
    slot.journal.callWith(END_REVIEW_ENTRY, first, resultAt, source, byteOffset, byteCount);
    return { outcome: this.finish(slot), opinion };
  }

  /** What is remembered of a conversation, the oldest first. */
  conversation(tenant: number, id: string): Answer<readonly Turn[]> {
    const text = Buffer.from(id);
    if (text.length > CONVERSATION_BYTES_MAX) return { outcome: "ok", report: [] };
    return this.#ask(tenant, CONVERSATION_ENTRY, text, (slot) => slot.instance.conversation(text));
  }

  /** Whether there was something to forget. */
  forget(tenant: number, id: string): Answer<boolean> {
    const text = Buffer.from(id);
    if (text.length > CONVERSATION_BYTES_MAX) return { outcome: "ok", report: false };
    return this.#ask(tenant, FORGET_ENTRY, text, (slot) => slot.instance.forget(text));
  }

  usage(tenant: number): Answer<ModeratorUsage> {
    return this.#ask(tenant, USAGE_ENTRY, NOTHING, (slot) => slot.instance.usage());
  }

  /** Tells the time, so that what is too old is forgotten. */
  advance(tenant: number, nowMs: number): Outcome {
    const slot = this.begin(tenant, 0);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.advance(nowMs);
    } catch (error) {
      return this.fail(slot, error);
    }
    slot.journal.callAt(ADVANCE_ENTRY, nowMs);
    return this.finish(slot);
  }

  #ask<Report>(
    tenant: number,
    kind: number,
    text: Buffer,
    call: (slot: Slot<ModeratorInstance>) => Report,
  ): Answer<Report> {
    const slot = this.begin(tenant, text.length);
    if (slot === undefined) return this.#declined();
    let report: Report;
    try {
      report = call(slot);
    } catch (error) {
      return { outcome: this.fail(slot, error), report: undefined };
    }
    slot.journal.call(kind, text, 0, text.length);
    return { outcome: this.finish(slot), report };
  }

  /** A copy of what the turn asked, whose bytes may be handed to another thread. */
  #asked(): AskedReview | undefined {
    const { prompt, promptBytes, resultAt } = this.#turn;
    if (promptBytes < 0) return undefined;
    const own = Buffer.from(new ArrayBuffer(promptBytes));
    prompt.copy(own, 0, 0, promptBytes);
    return { job: "moderation", prompt: own, resultAt };
  }

  #declined(outcome?: Outcome): { outcome: Outcome; report: undefined } {
    return { outcome: this.decline(outcome), report: undefined };
  }
}

function notBegun(outcome: Outcome): BegunReview {
  return { outcome, asked: undefined, opinion: undefined };
}

/** By the names that the world gives them. */
function importsOf({ messageRow, replyRow, parameter }: ModeratorImports): GuestImports {
  const imports: Record<string, Record<string, Function>> = {};
  const bind = (coreName: string, imported: Function): void => {
    const [module, field] = coreName.split("#") as [string, string];
    (imports[module] ??= {})[field] = imported;
  };
  bind(MESSAGE_ROW.coreName, messageRow);
  bind(REPLY_ROW.coreName, replyRow);
  bind(PARAMETER.coreName, parameter);
  return imports;
}
