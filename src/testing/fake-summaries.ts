/** What the fake engine says of a tenant's summaries: exact, of everything that came. */
import { METRIC_NAMES_MAX } from "#model/limits.ts";
import type { ConversationReport, RollingText, Span, SummaryReport } from "#model/summary.ts";
import type { FakeEvent } from "./fake-events.ts";
import { encodeFakeSketch, metricOf, termOf } from "./fake-merger.ts";

export type FakeConversation = {
  id: string;
  users: Map<string, number>;
  eventCount: number;
  firstMs: number;
  lastMs: number;
  said: { user: string | undefined; eventId: string | undefined; tsMs: number; text: string }[];
};

export type FakeSummaries = {
  readonly conversations: Map<string, FakeConversation>;
  readonly metrics: Map<string, number[]>;
  metricsRefused: number;
};

type Counts = {
  readonly eventCount: number;
  readonly duplicateCount: number;
  readonly words: ReadonlyMap<string, number>;
  readonly users: ReadonlySet<string>;
  readonly lastMs: number;
};

const RATES_MS = [10_000, 60_000, 300_000];

export function takeTurn(
  { conversations }: FakeSummaries,
  { conversation, user, id, text = "" }: FakeEvent,
  tsMs: number,
): void {
  if (conversation === undefined) return;
  const empty = { users: new Map<string, number>(), eventCount: 0, firstMs: tsMs, said: [] };
  const found = conversations.get(conversation) ?? { id: conversation, lastMs: tsMs, ...empty };
  conversations.set(conversation, found);
  found.eventCount += 1;
  found.lastMs = tsMs;
  if (user !== undefined) found.users.set(user, (found.users.get(user) ?? 0) + 1);
  found.said.push({ user, eventId: id, tsMs, text });
}

/** False: a metric found no room. */
export function takeMetrics(found: FakeSummaries, { metrics = {} }: FakeEvent): boolean {
  let all = true;
  for (const [name, sample] of Object.entries(metrics)) {
    const samples = found.metrics.get(name) ?? [];
    if (samples.length === 0 && found.metrics.size >= METRIC_NAMES_MAX) {
      found.metricsRefused += 1;
      all = false;
    } else found.metrics.set(name, [...samples, sample]);
  }
  return all;
}

export function fakeSummary(
  tenant: FakeSummaries & Counts,
  span: Span,
  limit: number,
): SummaryReport {
  const { eventCount, lastMs, users, duplicateCount, conversations, metricsRefused } = tenant;
  return {
    span,
    asOfMs: lastMs,
    windowStartMs: lastMs - 60_000,
    windowEndMs: lastMs,
    watermarkMs: lastMs,
    eventCount,
    weightSum: eventCount,
    userCount: users.size,
    userCountError: 0,
    rates: RATES_MS.map((spanMs) => ({ spanMs, overMs: spanMs, perSecond: eventCount / 60 })),
    late: {
      count: 1,
      lateByMsMax: 90_000,
      byLateness: [1, 0, 0, 0, 0],
      countedInLonger: 1,
      examples: [{ eventId: undefined, tsMs: lastMs - 150_000, lateByMs: 90_000 }],
    },
    duplicateCount,
    repeatedCount: 0,
    metrics: [...tenant.metrics].map(([name, samples]) => metricOf(name, samples)),
    metricsRefused,
    terms: termsOf(tenant)
      .slice(0, limit)
      .map(([term, count]) => termOf(term, count)),
    text: textOf([...conversations.values()].flatMap(({ said }) => said)),
  };
}

export function fakeConversation(found: FakeConversation): ConversationReport {
  const users = [...found.users].toSorted((a, b) => b[1] - a[1]);
  return {
    item: conversationItem(found),
    participants: users.map(([user, eventCount]) => ({ user, eventCount })),
    text: textOf(found.said),
  };
}

export function conversationItem({ id, users, eventCount, firstMs, lastMs }: FakeConversation) {
  return { id, eventCount, userCount: users.size, userCountError: 0, firstMs, lastMs, late: false };
}

export function fakeSketch(tenant: FakeSummaries & Counts, span: Span): Uint8Array {
  const { eventCount, lastMs, users, metrics, words } = tenant;
  return encodeFakeSketch(span, {
    startMs: lastMs - 60_000,
    endMs: lastMs,
    events: eventCount,
    users: [...users],
    metrics: [...metrics],
    terms: [...words],
  });
}

function termsOf({ words }: Counts): [string, number][] {
  return [...words].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

function textOf(said: FakeConversation["said"]): RollingText {
  const lines = said.slice(-3).map((line) => {
    return { kind: line.text.endsWith("?") ? ("question" as const) : ("said" as const), ...line };
  });
  return {
    text: lines.map(({ user, text }) => `${user ?? "somebody"}: “${text}”`).join(" "),
    lines,
    openQuestions: lines.filter(({ kind }) => kind === "question"),
    decisions: [],
    revision: said.length,
  };
}
