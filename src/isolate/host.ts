/**
 * The door of isolates: every tenant's component, called by tenant number. A turn ends in exactly
 * one Outcome, and only an `ok` turn has an effect: after any other the tenant stands where it
 * stood. What a tenant does never shows in another's answers.
 *
 * How it holds together: admission.ts lets only components in whose memory is their whole state;
 * images.ts keeps tenants at rest, slots.ts those in use, journal.ts what happened since;
 * guest-instance.ts calls and checks. Call the turns within `runSlice`, or an endless loop is
 * endless.
 *
 * Interruption. A guard ends a slice at any statement, so whatever is half done must not show.
 * Turns are published by the straight line at the end of `#finish`, in which V8 cannot interrupt
 * (it does so at the entry of functions and in loops): a turn that counts is in the journal and in
 * `stats.turns`, and one that does not is in neither. A caller that was interrupted sees by
 * `stats.turns` whether its last turn counted, and finds its report where it asked for it.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  BATCH_BYTES_MAX,
  CONVERSATION_BYTES_MAX,
  STRIKE_COUNT_MAX,
  TURN_MS_MAX,
} from "#model/limits.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import type { Clock } from "#model/tenant.ts";
import type { TrendOrder, TrendingReport } from "#model/trending.ts";
import type { AbiType } from "./abi-types.ts";
import { admitComponent } from "./admission.ts";
import { GuestInstance, REPORT_NUMBERS, outcomeOf } from "./guest-instance.ts";
import { HostStats } from "./host-stats.ts";
import { Images } from "./images.ts";
import {
  CONVERSATION,
  CONVERSATIONS,
  SKETCH,
  SUMMARY,
  TRENDING,
  caseNumber,
  casesOf,
  orderNumber,
  spanNumber,
  type Question,
} from "./questions.ts";
import { runGuarded } from "./slice-guard.ts";
import { NO_TENANT, type Slot } from "./slot.ts";
import { Slots } from "./slots.ts";
import { COMPONENT_NUMBER_MAX, TenantTable } from "./tenant-table.ts";
import { CONFIGURE, SUMMARIZER } from "./world.gen.ts";

export type IsolateHostOptions = {
  /** Instances at most. */
  readonly slotCount: number;
  /** Bytes of all images at most. */
  readonly imageBytesMax: number;
  /** Tenants are numbered from 0 to below it. */
  readonly tenantCountMax: number;
  readonly turnMsMax?: number;
  readonly strikeCountMax?: number;
  /**
   * Whether slices run under a time guard, the default. Only a host that runs no component but our
   * own goes without: a guard costs 0.1 ms, which is most of the cost of a lone event.
   */
  readonly guarded?: boolean;
  /** CPU time of this thread in ms; for tests. */
  readonly threadCpuMs?: () => number;
};

/** `spans`: bit n for the n-th of SPANS. */
export type TenantSettings = { readonly clock: Clock; readonly spans: number };

export type Answer<Report> = {
  readonly outcome: Outcome;
  /** Undefined unless the outcome is `ok`. */
  readonly report: Report | undefined;
};

export class IsolateHost {
  readonly stats: HostStats;
  /** After a `timedOut` slice: whose turn it was; -1: nobody's, run the rest of the slice again. */
  timedOutTenant = NO_TENANT;
  readonly #tenants: TenantTable;
  readonly #images: Images;
  readonly #slots: Slots;
  readonly #components = new Map<string, number>();
  readonly #guarded: boolean;
  readonly #turnMsMax: number;
  readonly #strikeCountMax: number;
  readonly #threadCpuMs: () => number;
  /** Whose turn it is, and since when. */
  #turnTenant = NO_TENANT;
  #turnStartMs = 0;
  /** Not open yet: its `configure` runs. */
  #openingTenant = NO_TENANT;
  /** Who was running when the guard struck while the thread had too little CPU to blame anyone. */
  #suspect = NO_TENANT;
  #suspectCpuMs = 0;

  constructor(options: IsolateHostOptions) {
    this.#tenants = new TenantTable(options.tenantCountMax);
    this.#images = new Images(options);
    this.stats = new HostStats(this.#images);
    this.#guarded = options.guarded ?? true;
    this.#turnMsMax = options.turnMsMax ?? TURN_MS_MAX;
    this.#strikeCountMax = options.strikeCountMax ?? STRIKE_COUNT_MAX;
    this.#threadCpuMs = options.threadCpuMs ?? threadCpuMs;
    this.#slots = new Slots({
      slotCount: options.slotCount,
      tenants: this.#tenants,
      images: this.#images,
      stats: this.stats,
      instantiate: (component) => new GuestInstance(component),
      onOversize: (tenant) => this.#strike(tenant, "exceededMemory"),
    });
  }

  /** Number of the component; the same bytes have the same number. Throws AdmissionError. */
  admit(component: Uint8Array): number {
    const sha256 = createHash("sha256").update(component).digest("hex");
    const known = this.#components.get(sha256);
    if (known !== undefined) return known;
    assert(this.#components.size <= COMPONENT_NUMBER_MAX, "too many components");
    const admitted = admitComponent(component, SUMMARIZER);
    assert(admitted.sha256 === sha256);
    const number = this.#components.size;
    this.#slots.addComponent(admitted);
    this.#components.set(sha256, number);
    return number;
  }

  /** Begins a tenant. When the outcome is not `ok` it stays closed, and keeps its strikes. */
  open(tenant: number, component: number, settings: TenantSettings): Outcome {
    this.#checkTenant(tenant);
    assert(!this.#tenants.isOpen(tenant));
    assert(component >= 0 && component < this.#components.size);
    if (this.quarantined(tenant)) return this.#decline("quarantined");
    if (this.#images.isFull) return this.#decline("refused");
    this.#openingTenant = tenant;
    this.#tenants.open(tenant, component);
    const slot = this.#begin(tenant, 0);
    if (slot === undefined) {
      this.#abandonOpening();
      return this.#decline(this.#slots.refusal);
    }
    const clock = caseNumber(CLOCKS, settings.clock);
    try {
      slot.instance.configure(clock, settings.spans);
    } catch (error) {
      const outcome = this.#fail(slot, error);
      this.#abandonOpening();
      return outcome;
    }
    slot.journal.configure(clock, settings.spans);
    slot.journal.publish(performance.now() - this.#turnStartMs);
    this.#openingTenant = NO_TENANT;
    this.#turnTenant = NO_TENANT;
    this.#slots.torn = undefined;
    return "ok";
  }

  /** Other spans for a tenant that is open; its clock stays what it was. */
  reconfigure(tenant: number, settings: TenantSettings): Outcome {
    const slot = this.#beginOpen(tenant, 0);
    if (slot === undefined) return this.#decline(this.#slots.refusal);
    const clock = caseNumber(CLOCKS, settings.clock);
    try {
      slot.instance.configure(clock, settings.spans);
    } catch (error) {
      return this.#fail(slot, error);
    }
    slot.journal.configure(clock, settings.spans);
    return this.#finish(slot);
  }

  /** Forgets the tenant: its state, its strikes. */
  close(tenant: number): void {
    this.#checkTenant(tenant);
    this.#forget(tenant);
    this.#tenants.strikes[tenant] = 0;
    this.#tenants.failures[tenant] = 0;
  }

  isOpen(tenant: number): boolean {
    return this.#tenants.isOpen(tenant);
  }

  /**
   * What follows is a pass over about so many tenants, each of them once, until 0 is said: it is
   * cheaper, and pushes few other tenants out of their slots.
   */
  pass(tenantCount: number): void {
    this.#slots.pass(tenantCount);
  }

  /**
   * Hot: hands a batch to the tenant. `report` gets [counted, late, duplicate, repeated, events
   * with a refused metric], `fates` one byte an event: 0 to 3 as in the report, and 8 more if a
   * metric was refused. Both hold garbage unless the outcome is `ok`. Makes no object.
   */
  ingest(
    tenant: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
    report: Uint32Array,
    fates: Uint8Array,
  ): Outcome {
    assert(byteCount >= 4 && byteCount <= BATCH_BYTES_MAX);
    assert(byteOffset + byteCount <= source.length);
    const eventCount = readU32(source, byteOffset);
    assert(eventCount <= fates.length);
    assert(report.length >= REPORT_NUMBERS);
    if (this.#images.isFull && !this.quarantined(tenant)) return this.#decline("refused");
    const slot = this.#beginOpen(tenant, byteCount);
    if (slot === undefined) return this.#decline(this.#slots.refusal);
    try {
      slot.instance.ingest(source, byteOffset, byteCount, eventCount, report, fates);
    } catch (error) {
      return this.#fail(slot, error);
    }
    slot.journal.ingest(source, byteOffset, byteCount);
    return this.#finish(slot);
  }

  advance(tenant: number, nowMs: number): Outcome {
    const slot = this.#beginOpen(tenant, 0);
    if (slot === undefined) return this.#decline(this.#slots.refusal);
    try {
      slot.instance.advance(nowMs);
    } catch (error) {
      return this.#fail(slot, error);
    }
    slot.journal.advance(nowMs);
    return this.#finish(slot);
  }

  trending(tenant: number, limit: number, order: TrendOrder): Answer<TrendingReport> {
    return this.#ask(tenant, TRENDING, limit, orderNumber(order), NO_TEXT);
  }

  /** `limit`: terms at most. */
  summary(tenant: number, span: Span, limit: number): Answer<SummaryReport> {
    return this.#ask(tenant, SUMMARY, spanNumber(span), limit, NO_TEXT);
  }

  conversations(tenant: number, limit: number): Answer<readonly ConversationItem[]> {
    return this.#ask(tenant, CONVERSATIONS, limit, 0, NO_TEXT);
  }

  /** `ok` without a report: the tenant remembers no conversation of that name. */
  conversation(tenant: number, id: string): Answer<ConversationReport> {
    const text = Buffer.from(id);
    // Longer than any that an event can have.
    if (text.length > CONVERSATION_BYTES_MAX) return { outcome: "ok", report: undefined };
    return this.#ask(tenant, CONVERSATION, 0, 0, text) as Answer<ConversationReport>;
  }

  /** A copy of the window in its portable form. */
  sketch(tenant: number, span: Span): Answer<Uint8Array> {
    return this.#ask(tenant, SKETCH, spanNumber(span), 0, NO_TEXT);
  }

  /**
   * Runs turns under the guard. `timedOut`: the slice was ended, wherever it stood. Either a turn
   * took too long: `timedOutTenant` got a strike and stands where it stood before that turn. Or
   * nobody is to blame (-1): the thread was not scheduled, or many turns together took long.
   */
  runSlice(slice: () => void): "done" | "timedOut" {
    this.timedOutTenant = NO_TENANT;
    if (!this.#guarded) {
      slice();
      return "done";
    }
    const startCpuMs = this.#threadCpuMs();
    if (runGuarded(slice, this.#turnMsMax)) {
      this.#suspect = NO_TENANT;
      return "done";
    }
    this.#settleTimeout(this.#threadCpuMs() - startCpuMs);
    return "timedOut";
  }

  quarantined(tenant: number): boolean {
    return this.#tenants.strikes[tenant]! >= this.#strikeCountMax;
  }

  /** Ends a quarantine: the tenant goes on where it stood, without strikes. */
  release(tenant: number): void {
    this.#tenants.strikes[tenant] = 0;
  }

  strikeCount(tenant: number): number {
    return this.#tenants.strikes[tenant]!;
  }

  lastFailure(tenant: number): Outcome | undefined {
    return OUTCOMES[this.#tenants.failures[tenant]! - 1];
  }

  /** Bytes of the tenant's image as last written. */
  imageBytes(tenant: number): number {
    return this.#images.bytesOf(tenant);
  }

  /** SHA-256 of all of the tenant's state. Writes its image first. */
  stateHash(tenant: number): string {
    assert(this.isOpen(tenant));
    this.#slots.commit(tenant);
    const hash = createHash("sha256");
    this.#images.hash(tenant, hash);
    return hash.digest("hex");
  }

  /** Writes the images of all tenants in slots. */
  commitAll(): void {
    this.#slots.commitAll();
  }

  #ask<Report>(
    tenant: number,
    question: Question<Report>,
    first: number,
    second: number,
    text: Buffer,
  ): Answer<Report> {
    const slot = this.#beginOpen(tenant, text.length);
    if (slot === undefined) {
      return { outcome: this.#decline(this.#slots.refusal), report: undefined };
    }
    let report: Report;
    try {
      report = slot.instance.ask(question, first, second, text);
    } catch (error) {
      return { outcome: this.#fail(slot, error), report: undefined };
    }
    slot.journal.ask(question.number, first, second, text);
    return { outcome: this.#finish(slot), report };
  }

  #beginOpen(tenant: number, byteCount: number): Slot | undefined {
    this.#checkTenant(tenant);
    assert(this.#tenants.isOpen(tenant));
    if (this.#tenants.strikes[tenant]! >= this.#strikeCountMax) {
      this.#slots.refusal = "quarantined";
      return undefined;
    }
    return this.#begin(tenant, byteCount);
  }

  #begin(tenant: number, byteCount: number): Slot | undefined {
    const slot = this.#slots.enter(tenant, byteCount);
    if (slot === undefined) return undefined;
    this.#turnStartMs = performance.now();
    this.#turnTenant = tenant;
    return slot;
  }

  /** The turn counts from here on. Nothing in its last five lines can be interrupted. */
  #finish(slot: Slot): Outcome {
    const turnMs = performance.now() - this.#turnStartMs;
    const { stats } = this;
    const slots = this.#slots;
    slot.journal.publish(turnMs);
    this.#turnTenant = NO_TENANT;
    slots.torn = undefined;
    stats.turns += 1;
    stats.outcomes.ok += 1;
    return "ok";
  }

  #fail(slot: Slot, error: unknown): Outcome {
    const outcome = outcomeOf(error, slot.base.component.growOffsets);
    const { tenant } = slot;
    this.#slots.restore(slot);
    this.#strike(tenant, outcome);
    this.#turnTenant = NO_TENANT;
    this.#slots.torn = undefined;
    return outcome;
  }

  #strike(tenant: number, outcome: Outcome): void {
    const { strikes, failures } = this.#tenants;
    strikes[tenant] = Math.min(strikes[tenant]! + 1, 255);
    failures[tenant] = OUTCOMES.indexOf(outcome) + 1;
    this.stats.outcomes[outcome] += 1;
  }

  /** A call that was not made. A strike has its entry in the books already. */
  #decline(outcome: Outcome): Outcome {
    if (outcome === "quarantined" || outcome === "refused") this.stats.outcomes[outcome] += 1;
    return outcome;
  }

  #abandonOpening(): void {
    this.#forget(this.#openingTenant);
    this.#openingTenant = NO_TENANT;
  }

  /** In this order: once closed, what is left of it belongs to nobody and is found by `recover`. */
  #forget(tenant: number): void {
    this.#tenants.close(tenant);
    this.#slots.vacate(tenant);
    this.#images.free(tenant);
  }

  #settleTimeout(cpuMs: number): void {
    const tenant = this.#turnTenant;
    const ranMs = performance.now() - this.#turnStartMs;
    this.#turnTenant = NO_TENANT;
    if (this.#openingTenant !== NO_TENANT) {
      this.#tenants.close(this.#openingTenant);
      this.#openingTenant = NO_TENANT;
    }
    this.#slots.recover();
    if (tenant !== NO_TENANT && this.#isToBlame(tenant, Math.min(cpuMs, ranMs), ranMs)) {
      this.#strike(tenant, "exceededTime");
      this.timedOutTenant = tenant;
      this.stats.timeouts += 1;
    } else this.stats.spuriousTimeouts += 1;
  }

  /**
   * Whether this turn took the time, and took it as CPU: half the limit, as slices are short beside
   * it.
   */
  #isToBlame(tenant: number, cpuMs: number, ranMs: number): boolean {
    const enoughMs = this.#turnMsMax / 2;
    if (ranMs < enoughMs) return false;
    if (this.#suspect !== tenant) this.#suspectCpuMs = 0;
    this.#suspect = tenant;
    this.#suspectCpuMs += cpuMs;
    if (this.#suspectCpuMs < enoughMs) return false;
    this.#suspect = NO_TENANT;
    return true;
  }

  #checkTenant(tenant: number): void {
    assert(tenant >= 0);
    assert(tenant < this.#tenants.tenantCountMax);
  }
}

const CLOCKS = casesOf(clockType());
const NO_TEXT = Buffer.alloc(0);

function clockType(): AbiType | undefined {
  const settings = CONFIGURE.parameters[0]!.type;
  assert(settings.kind === "record");
  return settings.fields.find(({ name }) => name === "clock")?.type;
}

function readU32(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8);
  return (low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
