/**
 * Replays logs: their own time rules, at any speed. Tenants are put on the clock `event`, so the
 * window ends at the newest message; the messages of one tenant are sent in order, one request at a
 * time.
 */
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { AnswerError, type Client } from "./client.ts";
import { findLogs, openLogFile, type LogFile } from "./log-files.ts";
import { SkipCounter, type LogMessage } from "./log-message.ts";
import { CliError } from "./terminal.ts";

export type ReplayOptions = {
  readonly paths: readonly string[];
  readonly tenant: string | undefined;
  /** Times the log's own speed; Infinity: as fast as the server takes it. */
  readonly speed: number;
  /** Milliseconds of log time from one look at the trends to the next. */
  readonly everyMs: number;
  /** Reports every look, also one at which nothing trends. */
  readonly everyLook: boolean;
  readonly limit: number;
};

export type ReplayReporter = {
  look(answer: TrendingAnswer): void;
  progress(totals: ReplayTotals): void;
};

export type ReplayTotals = {
  events: number;
  accepted: number;
  rejected: number;
  late: number;
  duplicates: number;
  /** The first few reasons, as the server gave them. */
  errors: Record<string, number>;
  skipped: Record<string, number>;
  looks: number;
  trendingLooks: number;
  tenants: string[];
};

const BATCH_EVENTS_MAX = 1_000;
const BATCH_CHARACTERS_MAX = 512 * 1024;
/** Events held for all tenants together, before all are sent. */
const HELD_EVENTS_MAX = 20_000;
const LOOK_LIMIT = 10;
/** A paced replay sends what is due at least this often, and sleeps no longer over silence. */
const STEP_MS = 50;
const SILENCE_MS_MAX = 60 * 60_000;

export async function replay(
  client: Client,
  options: ReplayOptions,
  reporter: ReplayReporter,
): Promise<ReplayTotals> {
  const run = new Replay(client, options, reporter);
  const tracks = Map.groupBy(await findLogs(options.paths), ({ tenant }) => tenant);
  if (options.speed === Infinity) {
    for (const logs of tracks.values()) await run.play(logs);
  } else {
    await Promise.all([...tracks.values()].map((logs) => run.play(logs)));
  }
  return run.finish();
}

type Held = {
  readonly tenant: string;
  lines: string[];
  characters: number;
  /** Log time of the next look; 0 before the first message. */
  lookMs: number;
  /** Sends of this tenant follow each other. */
  sending: Promise<void>;
};

class Replay {
  #client: Client;
  #options: ReplayOptions;
  #reporter: ReplayReporter;
  #held = new Map<string, Held>();
  #heldEvents = 0;
  #skipped = new SkipCounter();
  #totals: ReplayTotals = {
    events: 0,
    accepted: 0,
    rejected: 0,
    late: 0,
    duplicates: 0,
    errors: {},
    skipped: {},
    looks: 0,
    trendingLooks: 0,
    tenants: [],
  };

  constructor(client: Client, options: ReplayOptions, reporter: ReplayReporter) {
    this.#client = client;
    this.#options = options;
    this.#reporter = reporter;
  }

  /** Plays the logs one after the other, each message when it is due. */
  async play(logs: readonly LogFile[]): Promise<void> {
    const { speed, limit, tenant } = this.#options;
    const pace = new Pace(speed);
    for (const log of logs) {
      for await (const message of openLogFile(log, { tenant, skipped: this.#skipped })) {
        if (this.#totals.events >= limit) return;
        this.#totals.events += 1;
        if (pace.waitMs(message.tsMs) > STEP_MS) {
          await this.#sendAll();
          await sleep(pace.waitMs(message.tsMs));
        }
        await this.#take(message);
      }
    }
  }

  async finish(): Promise<ReplayTotals> {
    await this.#sendAll();
    for (const held of this.#held.values()) await this.#look(held);
    this.#totals.skipped = Object.fromEntries(this.#skipped.counts);
    return this.#totals;
  }

  async #take(message: LogMessage): Promise<void> {
    const held = this.#held.get(message.tenant) ?? (await this.#open(message.tenant));
    if (held.lookMs === 0) held.lookMs = this.#nextLookMs(message.tsMs);
    if (message.tsMs >= held.lookMs) {
      await this.#send(held);
      await this.#look(held);
      held.lookMs = this.#nextLookMs(message.tsMs);
    }
    const { tenant: _tenant, ...event } = message;
    const line = JSON.stringify(event);
    held.lines.push(line);
    held.characters += line.length + 1;
    this.#heldEvents += 1;
    if (held.lines.length >= BATCH_EVENTS_MAX) await this.#send(held);
    else if (held.characters >= BATCH_CHARACTERS_MAX) await this.#send(held);
    else if (this.#heldEvents >= HELD_EVENTS_MAX) await this.#sendAll();
  }

  #nextLookMs(tsMs: number): number {
    const { everyMs } = this.#options;
    return (Math.floor(tsMs / everyMs) + 1) * everyMs;
  }

  async #open(tenant: string): Promise<Held> {
    const held = { tenant, lines: [], characters: 0, lookMs: 0, sending: Promise.resolve() };
    this.#held.set(tenant, held);
    this.#totals.tenants.push(tenant);
    await this.#refuseLiveTenant(tenant);
    await this.#client.putTenant(tenant, "event");
    return held;
  }

  /** A tenant that people write to now would lose its window to the log's time. */
  async #refuseLiveTenant(tenant: string): Promise<void> {
    try {
      const { clock, eventCount } = await this.#client.tenant(tenant);
      if (clock === "event" || eventCount === 0) return;
    } catch (error) {
      if (error instanceof AnswerError && error.code === "tenantUnknown") return;
      throw error;
    }
    const advice = "replay into another name with --tenant";
    throw new CliError(`tenant ${tenant} takes live events on this server; ${advice}`);
  }

  async #sendAll(): Promise<void> {
    for (const held of this.#held.values()) await this.#send(held);
  }

  async #send(held: Held): Promise<void> {
    if (held.lines.length === 0) return held.sending;
    const body = held.lines.join("\n");
    this.#heldEvents -= held.lines.length;
    held.lines = [];
    held.characters = 0;
    held.sending = held.sending.then(() => this.#post(held.tenant, body));
    return held.sending;
  }

  async #post(tenant: string, body: string): Promise<void> {
    const answer = await this.#client.postEvents(tenant, body);
    const totals = this.#totals;
    totals.accepted += answer.accepted;
    totals.rejected += answer.rejected;
    totals.late += answer.late;
    totals.duplicates += answer.duplicates;
    for (const { code } of answer.errors) totals.errors[code] = (totals.errors[code] ?? 0) + 1;
    this.#reporter.progress(totals);
  }

  async #look({ tenant }: Held): Promise<void> {
    const answer = await this.#client.trending(tenant, LOOK_LIMIT);
    this.#totals.looks += 1;
    const trends = answer.items.some((item) => item.trending);
    if (trends) this.#totals.trendingLooks += 1;
    if (trends || this.#options.everyLook) this.#reporter.look(answer);
  }
}

/**
 * When a message of a log is due. A silence of more than an hour, such as between days, is cut
 * short.
 */
class Pace {
  #speed: number;
  #startedMs = performance.now();
  #lastTsMs: number | undefined;
  #playedMs = 0;

  constructor(speed: number) {
    this.#speed = speed;
  }

  waitMs(tsMs: number): number {
    if (this.#speed === Infinity) return 0;
    const stepMs = Math.max(0, tsMs - (this.#lastTsMs ?? tsMs));
    this.#lastTsMs = Math.max(tsMs, this.#lastTsMs ?? tsMs);
    this.#playedMs += Math.min(stepMs, SILENCE_MS_MAX) / this.#speed;
    return Math.max(0, this.#startedMs + this.#playedMs - performance.now());
  }
}
