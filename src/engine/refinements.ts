/**
 * Conversations that somebody looks at, in the words of an upstream: a summary that is written once
 * and then refined by what came since.
 *
 * A tenant's component keeps a handful of lines of a conversation, each with its event id, and a
 * revision that rises with every change of them. What the upstream is told is its own last summary,
 * the lines that are new since, and what is open and decided now: so a refinement takes as many
 * tokens as there are new lines, however long the conversation is. A line is told once.
 *
 * The summary is the upstream's, and stands beside the text of the component, with the revision it
 * is of. It is taken only if the summary it was refined from is still the newest one and the
 * conversation still the same: one that was forgotten and came back begins anew, and its first
 * event is another one. Its numbers are those of what it was told, or it is not taken.
 */
import type { ConsultationFailure } from "#model/consultation.ts";
import {
  REFINE_EVENTS_MIN,
  REFINE_LINES_MAX,
  REFINE_MS_MIN,
  REFINE_WAIT_MS_MAX,
  REFINED_OF_TENANT_MAX,
  REFINES_OF_LIST_MAX,
  REFINES_OPEN_MAX,
  RETELLINGS_BYTES_MAX,
  RETOLD_TEXT_BYTES_MAX,
  USER_BYTES_MAX,
} from "#model/limits.ts";
import type { PromptPart } from "#model/prompt-parts.ts";
import type { RefinedAnswer, RefinedText } from "#model/summary-answer.ts";
import type { ConversationItem, ConversationReport, TextLine } from "#model/summary.ts";
import { cutToBytes } from "#model/text-bytes.ts";
import { numberBeyond } from "#llm/number-check.ts";
import { Shelf } from "./shelf.ts";
import { plainText } from "./trending-record.ts";
import { askUpstream, type UpstreamDoor } from "./upstream-answer.ts";

export type RefinementOptions = {
  readonly llm: UpstreamDoor;
  readonly conversation: (tenant: string, id: string) => Promise<ConversationReport>;
  readonly nowMs: () => number;
};

type Refined = {
  readonly text: RefinedText;
  readonly eventCount: number;
  /** Keys of the lines that it knows of, of those that were there. */
  readonly lines: ReadonlySet<string>;
};

type Conversation = {
  /** Of its first event: another one, and it is another conversation of that name. */
  readonly firstMs: number;
  refined: Refined | undefined;
  failure: ConsultationFailure | undefined;
  /** When the newest try began. */
  triedMs: number;
  /** The try that runs; it is given up at `untilMs`. */
  flight: { readonly untilMs: number } | undefined;
};

type Flight = NonNullable<Conversation["flight"]>;

/** The gateway ends a call in time; this is for one that it forgot. */
const GRACE_MS = 1_000;
const STATE_BYTES = 300;
const LINE_BYTES = 100;
/** Questions, and decisions, that are told as such. */
const STANDING_MAX = 3;

export class Refinements {
  readonly #options: RefinementOptions;
  readonly #shelf = new Shelf<Conversation>({
    bytesMax: RETELLINGS_BYTES_MAX,
    ofTenantMax: REFINED_OF_TENANT_MAX,
  });
  /** Tries that run, by tenant. */
  readonly #open = new Map<string, number>();

  constructor(options: RefinementOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#shelf.bytes;
  }

  /** Undefined: there is none, and nothing went wrong. */
  look(tenant: string, report: ConversationReport): RefinedAnswer | undefined {
    if (this.#options.llm.models.rolling === undefined) return undefined;
    const found = this.#find(tenant, report);
    this.#mayBegin(tenant, found, report);
    const { refined, failure } = found;
    if (failure !== undefined) return { ...refined?.text, degraded: true, reason: failure };
    return refined === undefined ? undefined : { ...refined.text, degraded: false };
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#shelf.dropTenant(tenant);
  }

  /** Somebody who follows the tenant lists its conversations, the newest first. */
  list(tenant: string, items: readonly ConversationItem[]): void {
    if (this.#options.llm.models.rolling === undefined) return;
    for (const item of items.slice(0, REFINES_OF_LIST_MAX)) {
      const found = this.#shelf.find(tenant, item.id);
      const isKnown = found?.firstMs === item.firstMs;
      if (item.eventCount < REFINE_EVENTS_MIN || (isKnown && !this.#isDue(found, item))) continue;
      void this.#readAndLook(tenant, item.id);
    }
  }

  async #readAndLook(tenant: string, id: string): Promise<void> {
    try {
      this.look(tenant, await this.#options.conversation(tenant, id));
    } catch {
      // It is gone, or its tenant cannot answer now: then there is nothing to refine.
    }
  }

  #find(tenant: string, { item, text }: ConversationReport): Conversation {
    const found = this.#shelf.find(tenant, item.id);
    if (found !== undefined && found.firstMs === item.firstMs) {
      const isBehind = (found.refined?.text.revision ?? 0) <= text.revision;
      if (isBehind) return found;
    }
    const fresh: Conversation = {
      firstMs: item.firstMs,
      refined: undefined,
      failure: undefined,
      // Forgetting a conversation often must not be a way to ask more often.
      triedMs: found?.triedMs ?? Number.NEGATIVE_INFINITY,
      flight: undefined,
    };
    this.#shelf.put(tenant, item.id, fresh, STATE_BYTES);
    return fresh;
  }

  #isDue({ refined, triedMs, flight }: Conversation, { eventCount }: ConversationItem): boolean {
    const nowMs = this.#options.nowMs();
    if (flight !== undefined && nowMs < flight.untilMs) return false;
    if (nowMs - triedMs < REFINE_MS_MIN) return false;
    return eventCount - (refined?.eventCount ?? 0) >= REFINE_EVENTS_MIN;
  }

  #mayBegin(tenant: string, found: Conversation, report: ConversationReport): void {
    if (!this.#isDue(found, report.item) || !hasNews(found.refined, report.text.lines)) return;
    const open = this.#open.get(tenant) ?? 0;
    if (open >= REFINES_OPEN_MAX) return;
    this.#open.set(tenant, open + 1);
    const nowMs = this.#options.nowMs();
    found.triedMs = nowMs;
    const flight = { untilMs: nowMs + REFINE_WAIT_MS_MAX + GRACE_MS };
    found.flight = flight;
    void this.#refine(tenant, found, flight, report).finally(() => this.#close(tenant));
  }

  #close(tenant: string): void {
    const open = this.#open.get(tenant)! - 1;
    if (open === 0) this.#open.delete(tenant);
    else this.#open.set(tenant, open);
  }

  async #refine(
    tenant: string,
    found: Conversation,
    flight: Flight,
    { item, text }: ConversationReport,
  ): Promise<void> {
    const { llm } = this.#options;
    const from = found.refined;
    const parts = partsOf(from, text.lines);
    const waitMsMax = REFINE_WAIT_MS_MAX;
    const end = await askUpstream(llm, tenant, "rolling", { parts, waitMsMax });
    // It was given up, or another one came first: then this one lacks what that one knows.
    if (found.flight !== flight || found.refined !== from) return;
    found.flight = undefined;
    const summary = "answer" in end ? checked(end.answer.summary, parts) : undefined;
    if (summary === undefined) {
      const failure = "failure" in end ? end.failure : "malformed";
      found.failure = failure === "off" ? undefined : failure;
      return;
    }
    const { revision } = text;
    const generatedBy = llm.models.rolling ?? "";
    found.failure = undefined;
    found.refined = {
      text: { text: summary, revision, upToMs: item.lastMs, generatedBy },
      eventCount: item.eventCount,
      lines: new Set(text.lines.map(keyOf)),
    };
    const bytes = STATE_BYTES + 2 * summary.length + LINE_BYTES * text.lines.length;
    // A conversation that came back meanwhile, or was pushed out, has its own place or none.
    this.#shelf.resize(tenant, item.id, found, bytes);
  }
}

/** Whether there is a line that it was not told, or one that is not there or not so any more. */
function hasNews(refined: Refined | undefined, lines: readonly TextLine[]): boolean {
  if (refined === undefined) return lines.length > 0;
  return (
    lines.length !== refined.lines.size || lines.some((line) => !refined.lines.has(keyOf(line)))
  );
}

function partsOf(from: Refined | undefined, lines: readonly TextLine[]): readonly PromptPart[] {
  const parts: PromptPart[] = [];
  if (from !== undefined) parts.push({ kind: "summary", name: "", text: from.text.text });
  const told = new Set([...(from?.lines ?? [])].map(idOf));
  const delta = lines.filter((line) => !told.has(idOf(keyOf(line))));
  for (const { user, text } of delta.slice(-REFINE_LINES_MAX)) {
    parts.push({
      kind: "delta",
      name: cutToBytes(user ?? "somebody", USER_BYTES_MAX),
      text: cutToBytes(text, RETOLD_TEXT_BYTES_MAX),
    });
  }
  return [
    ...parts,
    ...standing("still open", "question", lines),
    ...standing("decided", "decision", lines),
  ];
}

function standing(
  name: string,
  kind: TextLine["kind"],
  lines: readonly TextLine[],
): readonly PromptPart[] {
  const those = lines.filter((line) => line.kind === kind).slice(-STANDING_MAX);
  const texts = those.map(({ text }) => cutToBytes(text, RETOLD_TEXT_BYTES_MAX));
  return [{ kind: "fact", name, text: texts.length === 0 ? "nothing" : texts.join("\n") }];
}

/** Undefined: it is empty, or says a number that it was not told. */
function checked(summary: string, parts: readonly PromptPart[]): string | undefined {
  const text = plainText(summary);
  const record = parts.map((part) => `${part.name} ${part.text}`);
  return text === "" || numberBeyond(text, record) !== undefined ? undefined : text;
}

/** A question that was settled is the same line of another kind. */
function keyOf({ kind, eventId, tsMs, text }: TextLine): string {
  return `${kind} ${eventId ?? `${tsMs} ${text}`}`;
}

function idOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}
