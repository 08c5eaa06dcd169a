/**
 * The door of moderators: every tenant's second component, with an image, strikes and a quarantine
 * of its own. What a turn is, and what its end means: tenant-host.ts. What a moderator imports is
 * bound to another Wasm module's exports, with no JavaScript in between.
 */
import assert from "node:assert/strict";
import { CONVERSATION_BYTES_MAX, JUDGE_BYTES_MAX, POLICY_BYTES_MAX } from "#model/limits.ts";
import type { ModeratorUsage, Turn, VerdictReport } from "#model/moderation.ts";
import type { Outcome } from "#model/outcome.ts";
import { FLAG_DO_NOT_STORE, FLAG_JUDGE_ONLY, FLAGS_AT } from "#model/request-bytes.ts";
import type { GuestImports } from "./admission.ts";
import {
  ADVANCE_ENTRY,
  CONFIGURE_ENTRY,
  CONVERSATION_ENTRY,
  FORGET_ENTRY,
  JUDGE_ENTRY,
  ModeratorInstance,
  USAGE_ENTRY,
} from "./moderator-instance.ts";
import { MESSAGE_ROW, MODERATOR, PARAMETER, REPLY_ROW } from "./moderator-world.gen.ts";
import type { Slot } from "./slot.ts";
import { type Answer, TenantHost, type TenantHostOptions } from "./tenant-host.ts";

/** The classifier, as the world imports it: exports of a Wasm module. */
export type ModeratorImports = {
  readonly messageRow: Function;
  readonly replyRow: Function;
  readonly parameter: Function;
};

const NOTHING = Buffer.alloc(0);
const FLAGS_UNREMEMBERED = FLAG_DO_NOT_STORE | FLAG_JUDGE_ONLY;

export class ModeratorHost extends TenantHost<ModeratorInstance> {
  constructor(options: TenantHostOptions, imports: ModeratorImports) {
    const bound = importsOf(imports);
    const instantiate = (component: ConstructorParameters<typeof ModeratorInstance>[0]) =>
      new ModeratorInstance(component, bound);
    super({ world: MODERATOR, instantiate }, options);
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

  #declined(outcome?: Outcome): { outcome: Outcome; report: undefined } {
    return { outcome: this.decline(outcome), report: undefined };
  }
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
