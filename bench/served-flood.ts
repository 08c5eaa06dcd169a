/**
 * Floods a server with event datagrams from a process beside it, waits until every one of them is
 * with its tenant or counted as lost, and holds the server's books against the sender's.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { StageFacts } from "#kernel/stage.ts";
import type { StageStats } from "#kernel/stage-stats.ts";
import { Child } from "./child.ts";
import type { FloodedMessage, PreparedMessage, TotalsMessage } from "./children/flood.ts";
import type { PoolSettings } from "./datagram-pool.ts";
import type { FloodOptions, FloodResult } from "./datagram-sender.ts";
import { expectEqual, WrongAnswer } from "./harness.ts";
import type { Server } from "./server.ts";
import { tenantName } from "./workload.ts";

const GENERATOR = new URL("children/flood.ts", import.meta.url);
const POLL_MS = 100;
const SETTLE_MS_MAX = 60_000;
/** Terms asked of a window. */
const TERMS = 50;

export class Flood {
  readonly facts: StageFacts;
  readonly generator: Child;
  /** Since the start. */
  offeredEvents = 0;
  readonly #server: Server;
  #datagramEvents = 0;

  private constructor(server: Server, generator: Child, facts: StageFacts) {
    this.#server = server;
    this.generator = generator;
    this.facts = facts;
  }

  /** Draws the pool and sends all names. */
  static async start(server: Server, pool: PoolSettings): Promise<Flood> {
    const { datagrams } = await server.kernel();
    if (datagrams.status === "off") throw new Error(`No event datagrams: ${datagrams.reason}`);
    const flood = new Flood(server, await Child.start(GENERATOR), datagrams);
    const { host, port } = datagrams;
    flood.generator.send({ type: "prepare", settings: { ...pool, host, port } });
    const prepared = await flood.generator.next<PreparedMessage>("prepared");
    flood.#datagramEvents = prepared.datagramEvents;
    return flood;
  }

  async send(options: FloodOptions): Promise<FloodResult> {
    this.generator.send({ type: "flood", options });
    const flooded = this.generator.next<FloodedMessage>("flooded");
    const { result } = await this.#server.child.orDeath(flooded, "flood's end");
    this.offeredEvents += result.events;
    return result;
  }

  /**
   * Waits until what was sent is with the tenants, then balances the books: a datagram is
   * aggregated, a dictionary, or counted as lost, and a record that was aggregated is delivered or
   * counted as refused. Only a later datagram shows that the last were lost: one more is sent then.
   */
  async settle(): Promise<StageStats> {
    let stats = await this.#untilDelivered();
    if ((await this.#unaccounted(stats)) !== 0) {
      await this.send({ events: 1, eventsPerSecond: 0, secondsMax: 10 });
      stats = await this.#untilDelivered();
    }
    expectEqual("datagrams in nobody's books", await this.#unaccounted(stats), 0);
    const lost = this.offeredEvents - aggregated(stats) - stats.passedLostRecords;
    const lostDatagrams = lost / this.#datagramEvents;
    if (!Number.isInteger(lostDatagrams) || lostDatagrams < 0) {
      throw new WrongAnswer(`${lost} events are lost, and datagrams have ${this.#datagramEvents}`);
    }
    // Sequence numbers do not tell a dictionary that was lost from records.
    if (lostDatagrams > stats.senders.lost) {
      throw new WrongAnswer(`${lostDatagrams} datagrams are lost, ${stats.senders.lost} counted`);
    }
    return stats;
  }

  /** What was sent since the start. */
  async totals(tenants: readonly number[] = []): Promise<TotalsMessage> {
    return this.generator.ask<TotalsMessage>(
      { type: "totals", tenants } as { type: "totals" },
      "totals",
    );
  }

  /**
   * How many of the tenants have a window that does not hold what was sent between `before` and
   * `after`: a term's true weight must lie in the interval that is stated for it, be equal where
   * the count is called exact, the most frequent term must be listed, and the counts of events in
   * the window and since the start must be those of the sender.
   */
  async inexactWindows(
    tenants: readonly number[],
    { before, after }: { before?: TotalsMessage; after: TotalsMessage },
  ): Promise<number> {
    let inexact = 0;
    for (const tenant of tenants) {
      // Nobody made a tenant to whom nothing was sent.
      if (after.counts[tenant] === 0) continue;
      const name = tenantName(tenant);
      const truth = new Map(Object.entries(after.terms[name]!));
      for (const [term, weight] of Object.entries(before?.terms[name] ?? {})) {
        truth.set(term, truth.get(term)! - weight);
      }
      const window = await this.#server.window(name, TERMS);
      const total = await this.#server.eventCount(name);
      const counted = (after.counts[tenant] ?? 0) - (before?.counts[tenant] ?? 0);
      const isExact = window.eventCount === counted && total === after.counts[tenant];
      if (!isExact || !holds(truth, window.items)) inexact += 1;
    }
    return inexact;
  }

  async stop(): Promise<void> {
    await this.generator.stop();
  }

  async #untilDelivered(): Promise<StageStats> {
    const endMs = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      const stats = (await this.#server.kernel()).stats!;
      const { shards } = stats;
      const settled = shards.deliveredCount + shards.unknownCount + shards.tenantLimitCount;
      const waiting = stats.passed.datagrams - stats.user.datagrams;
      const read = stats.passedLostRecords === 0 || waiting > 0;
      if (settled === aggregated(stats) && read) return stats;
      if (performance.now() > endMs) {
        throw new WrongAnswer(`${aggregated(stats) - settled} events never reached their tenants`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Datagrams that were sent and are in none of the server's books. */
  async #unaccounted(stats: StageStats): Promise<number> {
    const { kernel, user, passed, dictionaries, senders } = stats;
    // With the kernel's program what it passed up may be lost behind it, and is in its books.
    const taken =
      this.facts.path === "kernel" ? kernel.datagrams + passed.datagrams : user.datagrams;
    return (await this.totals()).datagrams - taken - dictionaries - senders.lost;
  }
}

/** Records that are in the tables, by whoever put them there. */
export function aggregated({ kernel, user }: StageStats): number {
  return kernel.records + user.records;
}

type Item = {
  readonly term: string;
  readonly count: number;
  readonly countLow: number;
  readonly countHigh: number;
  readonly exact: boolean;
};

function holds(truth: ReadonlyMap<string, number>, items: readonly Item[]): boolean {
  const listed = new Set(items.map(({ term }) => term));
  const most = [...truth].reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  const ties = [...truth].filter(([, weight]) => weight === most[1] && weight > 0);
  if (ties.length > 0 && !ties.some(([term]) => listed.has(term))) return false;
  return items.every(({ term, count, countLow, countHigh, exact }) => {
    const weight = truth.get(term) ?? 0;
    return exact ? weight === count : countLow <= weight && weight <= countHigh;
  });
}
