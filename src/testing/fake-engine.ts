/**
 * An engine for tests of what stands before it: it counts events and words with plain maps and does
 * what the door's comments promise. `failNext` makes the next call fail with a problem.
 */
import type { EngineDoor, Offer, OfferAnswer, ShardStats, TenantList } from "#engine/door.ts";
import { ERRORS_LISTED_MAX } from "#model/limits.ts";
import { EVENT_ERRORS, type EventErrorCode } from "#model/event-error.ts";
import { Problem } from "#model/problem.ts";
import { isTenantId, type Clock, type TenantStatus } from "#model/tenant.ts";
import type { TrendingReport, TrendOrder } from "#model/trending.ts";

type FakeTenant = {
  clock: Clock;
  state: "live" | "quarantined";
  eventCount: number;
  ids: Set<string>;
  duplicateCount: number;
  words: Map<string, number>;
  users: Set<string>;
  lastText: string;
  lastMs: number;
};

type FakeEvent = { id?: string; tenant?: string; user?: string; text?: string; tsMs?: number };

export class FakeEngine implements EngineDoor {
  ready = true;
  stopped = false;
  /** What was offered, in order. */
  readonly offers: Offer[] = [];
  trendingCalls = 0;
  /** Offers that came in, also those that are held. */
  offerCalls = 0;
  #tenants = new Map<string, FakeTenant>();
  #problem: Problem | undefined;
  #gate: Promise<void> | undefined;

  failNext(problem: Problem): void {
    this.#problem = problem;
  }

  /** Offers wait until the returned function is called. */
  holdOffers(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  quarantine(tenant: string): void {
    this.#openTenant(tenant).state = "quarantined";
  }

  async offer(offer: Offer): Promise<OfferAnswer> {
    this.offerCalls += 1;
    this.#mayFail();
    if (this.stopped) throw new Problem("stopping", "The engine has stopped.");
    await this.#gate;
    this.offers.push({ ...offer, body: Buffer.from(offer.body) });
    const answer = { accepted: 0, rejected: 0, late: 0, duplicates: 0 };
    const errors: { index: number; code: EventErrorCode; message: string }[] = [];
    for (const [index, value] of eventsOf(offer).entries()) {
      const fate = this.#take(value, offer.tenant);
      if (fate === "counted" || fate === "duplicate") {
        answer.accepted += 1;
        if (fate === "duplicate") answer.duplicates += 1;
        continue;
      }
      answer.rejected += 1;
      const message = EVENT_ERRORS.find(({ code }) => code === fate)?.message ?? fate;
      if (errors.length < ERRORS_LISTED_MAX) errors.push({ index, code: fate, message });
    }
    return { ...answer, errors };
  }

  async trending(
    tenant: string,
    { limit }: { limit: number; order: TrendOrder },
  ): Promise<TrendingReport> {
    this.trendingCalls += 1;
    this.#mayFail();
    const found = this.#find(tenant);
    const words = [...found.words].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const asOfMs = found.lastMs;
    return {
      asOfMs,
      windowStartMs: asOfMs - 60_000,
      windowEndMs: asOfMs,
      eventCount: found.eventCount,
      userCount: found.users.size,
      userCountError: 0,
      lateCount: 0,
      duplicateCount: found.duplicateCount,
      repeatedCount: 0,
      items: words.slice(0, limit).map(([term, count]) => ({
        term,
        count,
        countLow: count,
        countHigh: count,
        exact: true,
        trending: count >= 3,
        expected: 0.5,
        significance: count,
        userCount: found.users.size,
        userCountError: 0,
        firstSeenMs: asOfMs,
        sample: found.lastText,
      })),
      sentences:
        found.eventCount === 0
          ? []
          : [
              { text: `${found.eventCount} messages.`, eventId: undefined },
              { text: `"${found.lastText}"`, eventId: "last" },
            ],
    };
  }

  async tenants(options: { offset: number; limit: number; prefix: string }): Promise<TenantList> {
    const { offset, limit, prefix } = options;
    const names = [...this.#tenants.keys()].filter((name) => name.startsWith(prefix));
    const page = names.slice(offset, offset + limit).map((name) => this.#status(name));
    return { total: names.length, tenants: page };
  }

  async tenant(tenant: string): Promise<TenantStatus> {
    this.#mayFail();
    this.#find(tenant);
    return this.#status(tenant);
  }

  async putTenant(tenant: string, { clock }: { clock: Clock }): Promise<TenantStatus> {
    this.#mayFail();
    const found = this.#openTenant(tenant);
    found.clock = clock;
    found.state = "live";
    return this.#status(tenant);
  }

  stats(): readonly ShardStats[] {
    return [
      {
        shard: 0,
        tenantCount: this.#tenants.size,
        eventCount: [...this.#tenants.values()].reduce((sum, t) => sum + t.eventCount, 0),
        rejectedCount: 0,
        turnCount: 0,
        slotHitCount: 0,
        slotMissCount: 0,
        imageBytes: 0,
        ringBytesUsed: 0,
        outcomes: { ok: 0 },
        turnUs: { p50: 0, p99: 0, p999: 0 },
      },
    ];
  }

  async stop(): Promise<void> {
    this.ready = false;
    this.stopped = true;
  }

  #mayFail(): void {
    const problem = this.#problem;
    this.#problem = undefined;
    if (problem !== undefined) throw problem;
  }

  #find(tenant: string): FakeTenant {
    const found = this.#tenants.get(tenant);
    if (found === undefined) throw new Problem("tenantUnknown", `There is no tenant ${tenant}.`);
    if (found.state === "live") return found;
    throw new Problem("tenantQuarantined", `${tenant} is in quarantine.`);
  }

  #status(tenant: string): TenantStatus {
    const found = this.#openTenant(tenant);
    const { clock, state, eventCount, duplicateCount, lastMs: lastEventMs } = found;
    const zero = { lateCount: 0, repeatedCount: 0, rejectedCount: 0, imageBytes: 4096 };
    const failures = { strikeCount: 0, lastFailure: undefined };
    const counts = { eventCount, duplicateCount, lastEventMs };
    return { tenant, shard: 0, clock, state, ...counts, ...zero, ...failures };
  }

  #openTenant(tenant: string): FakeTenant {
    let found = this.#tenants.get(tenant);
    if (found === undefined) {
      const counts = { eventCount: 0, duplicateCount: 0, lastMs: 0 };
      const sets = { ids: new Set<string>(), users: new Set<string>() };
      const words = new Map<string, number>();
      found = { clock: "wall", state: "live", lastText: "", words, ...counts, ...sets };
      this.#tenants.set(tenant, found);
    }
    return found;
  }

  #take(value: unknown, path: string | undefined): EventErrorCode | "counted" | "duplicate" {
    if (value === undefined) return "malformedJson";
    if (typeof value !== "object" || value === null || Array.isArray(value)) return "notAnObject";
    const envelope = value as { specversion?: string; id?: string; data?: FakeEvent };
    const event: FakeEvent =
      envelope.specversion === undefined
        ? (value as FakeEvent)
        : { ...(envelope.id === undefined ? {} : { id: envelope.id }), ...envelope.data };
    const tenant = path ?? event.tenant;
    if (tenant === undefined) return "tenantMissing";
    if (!isTenantId(tenant)) return "tenantIllegal";
    if (event.tenant !== undefined && event.tenant !== tenant) return "tenantMismatch";
    if (event.text === undefined) return "eventEmpty";
    if (typeof event.text !== "string") return "textInvalid";
    const found = this.#openTenant(tenant);
    if (event.id !== undefined && found.ids.has(event.id)) {
      found.duplicateCount += 1;
      return "duplicate";
    }
    if (event.id !== undefined) found.ids.add(event.id);
    found.eventCount += 1;
    found.lastText = event.text;
    found.lastMs = event.tsMs ?? found.lastMs + 1;
    if (event.user !== undefined) found.users.add(event.user);
    for (const word of event.text.toLowerCase().split(/\s+/)) {
      found.words.set(word, (found.words.get(word) ?? 0) + 1);
    }
    return "counted";
  }
}

/** The values of a body; undefined where one is not JSON. */
function eventsOf({ body, format }: Offer): unknown[] {
  const text = Buffer.from(body).toString("utf8");
  if (format === "json") {
    const value = parse(text);
    if (value === undefined) throw new Problem("malformedJson", "The body is not valid JSON.");
    return Array.isArray(value) ? value : [value];
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parse);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
