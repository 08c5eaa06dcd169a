/**
 * The door of isolates: every tenant's component, called by tenant number. What a turn is, and what
 * its end means: tenant-host.ts.
 */
import assert from "node:assert/strict";
import { BATCH_BYTES_MAX, CONVERSATION_BYTES_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import type { Clock } from "#model/tenant.ts";
import type { TrendOrder, TrendingReport } from "#model/trending.ts";
import type { AbiType } from "./abi-types.ts";
import type { AdmittedComponent } from "./admission.ts";
import { GuestInstance, REPORT_NUMBERS } from "./guest-instance.ts";
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
import { type Answer, TenantHost, type TenantHostOptions } from "./tenant-host.ts";
import { CONFIGURE, SUMMARIZER } from "./world.gen.ts";

/** `spans`: bit n for the n-th of SPANS. */
export type TenantSettings = { readonly clock: Clock; readonly spans: number };

export class IsolateHost extends TenantHost<GuestInstance> {
  constructor(options: TenantHostOptions) {
    super({ world: SUMMARIZER, instantiate }, options);
  }

  /** Begins a tenant. When the outcome is not `ok` it stays closed, and keeps its strikes. */
  open(tenant: number, component: number, settings: TenantSettings): Outcome {
    const slot = this.beginOpening(tenant, component);
    if (slot === undefined) return this.decline();
    const clock = caseNumber(CLOCKS, settings.clock);
    try {
      slot.instance.configure(clock, settings.spans);
    } catch (error) {
      return this.failOpening(slot, error);
    }
    slot.journal.configure(clock, settings.spans);
    return this.finishOpening(slot);
  }

  /** Other spans for a tenant that is open; its clock stays what it was. */
  reconfigure(tenant: number, settings: TenantSettings): Outcome {
    const slot = this.begin(tenant, 0);
    if (slot === undefined) return this.decline();
    const clock = caseNumber(CLOCKS, settings.clock);
    try {
      slot.instance.configure(clock, settings.spans);
    } catch (error) {
      return this.fail(slot, error);
    }
    slot.journal.configure(clock, settings.spans);
    return this.finish(slot);
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
    if (this.images.isFull && !this.quarantined(tenant)) return this.decline("refused");
    const slot = this.begin(tenant, byteCount);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.ingest(source, byteOffset, byteCount, eventCount, report, fates);
    } catch (error) {
      return this.fail(slot, error);
    }
    slot.journal.ingest(source, byteOffset, byteCount);
    return this.finish(slot);
  }

  advance(tenant: number, nowMs: number): Outcome {
    const slot = this.begin(tenant, 0);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.advance(nowMs);
    } catch (error) {
      return this.fail(slot, error);
    }
    slot.journal.advance(nowMs);
    return this.finish(slot);
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

  #ask<Report>(
    tenant: number,
    question: Question<Report>,
    first: number,
    second: number,
    text: Buffer,
  ): Answer<Report> {
    const slot = this.begin(tenant, text.length);
    if (slot === undefined) {
      return { outcome: this.decline(), report: undefined };
    }
    let report: Report;
    try {
      report = slot.instance.ask(question, first, second, text);
    } catch (error) {
      return { outcome: this.fail(slot, error), report: undefined };
    }
    slot.journal.ask(question.number, first, second, text);
    return { outcome: this.finish(slot), report };
  }
}

function instantiate(component: AdmittedComponent): GuestInstance {
  return new GuestInstance(component);
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
