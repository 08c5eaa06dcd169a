/**
 * All shards of a process, seen from the I/O thread: which shard a tenant is on, whether there is
 * room, and which answer belongs to which request. Knows no protocol and parses no event.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { cutLines, ELEMENT_TOO_LARGE, Splitter } from "#batcher/splitter.ts";
import type { HoldGate } from "#durable/writer-hold.ts";
import { Merger } from "#merger/merger.ts";
import {
  BODY_BYTES_MAX,
  LINE_BYTES_MAX,
  REQUESTS_WAITING_MAX,
  REVIEWS_STOP_MS_MAX,
} from "#model/limits.ts";
import type { InspectedTenant } from "#model/inspection.ts";
import type { MergeRequest, SummaryMerge } from "#model/merge.ts";
import type { ModerationRequest, ModeratorUsage, Turn } from "#model/moderation.ts";
import {
  jsonLimits,
  QUOTA_NAMES,
  type JsonLimits,
  type QuotaLimits,
  type QuotaStatus,
  type TenantCpu,
} from "#model/quota.ts";
import { shardOf } from "#model/placement.ts";
import type { PolicyRecord } from "#model/policy.ts";
import { Problem } from "#model/problem.ts";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import { type AckMode, type AckWish, type StorageStats } from "#model/storage.ts";
import type { TenantStatus } from "#model/tenant.ts";
import type { TrendingReport, TrendOrder } from "#model/trending.ts";
import type { ModerationOutcome } from "#model/verdict.ts";
import { SALT_MAX } from "#model/verdict-id.ts";
import {
  FLAG_MEMORY,
  type Question,
  RECORD_ELEMENTS,
  RECORD_LINES,
  RECORD_POLICY,
  RECORD_QUESTION,
  tenantsTakenBytes,
} from "#shard/protocol.ts";
import type {
  EngineDoor,
  LlmDoor,
  Offer,
  OfferAnswer,
  QuotaRefusals,
  ShardStats,
  StopOptions,
  TenantList,
  TenantSettings,
  VerdictListener,
} from "./door.ts";
import {
  type EngineComponents,
  type EngineSettings,
  keptOf,
  loadComponents,
  modelOf,
} from "./engine-settings.ts";
import { EngineStorage } from "./engine-storage.ts";
import { llmDoor, modelsOf } from "./llm-door.ts";
import { type LlmThread, startLlm } from "./llm-thread.ts";
import { Merges } from "./merges.ts";
import { Moderation } from "./moderation.ts";
import { Quotas } from "./quotas.ts";
import { ShardThread } from "./shard-thread.ts";
import { Waiting } from "./waiting.ts";
import { WriterThread } from "./writer-thread.ts";

/** Bytes of body that go into one ring record: as many lines as fit, or one line. */
const CHUNK_BYTES = 64 * 1024;
const LINES_BYTES_MAX = Math.max(CHUNK_BYTES, LINE_BYTES_MAX + 2);
/** What is refused as busy tells the caller. */
const RETRY_AFTER_SECONDS = 1;
const NO_TENANT = new Uint8Array(0);

/** Starts the shards; resolves once every one of them takes events. */
export async function startEngine(settings: EngineSettings): Promise<Engine> {
  const engine = await beginEngine(settings);
  try {
    await engine.started;
  } catch (error) {
    await engine.stop({ deadlineMs: 0 });
    throw error;
  }
  engine.open();
  return engine;
}

/**
 * The same, but resolves once the threads have begun: they read what is kept (`started`), and
 * nothing is taken before `open`, but for policies.
 */
export async function beginEngine(settings: EngineSettings): Promise<Engine> {
  const { durability, shardCount } = settings;
  const [components, gateway] = await Promise.all([
    loadComponents(settings),
    startGateway(settings),
  ]);
  try {
    const writer =
      durability === undefined
        ? undefined
        : new WriterThread(durability, keptOf(components), shardCount);
    await writer?.opened;
    return new Engine(settings, components, gateway, writer);
  } catch (error) {
    await gateway?.stop();
    throw error;
  }
}

/** Without an upstream there is no thread, and nothing of it costs anything. */
async function startGateway({
  llm,
  tenantCountMax,
}: EngineSettings): Promise<LlmThread | undefined> {
  if (llm === undefined || Object.keys(modelsOf(llm)).length === 0) return undefined;
  return startLlm(llm, tenantCountMax);
}

export class Engine implements EngineDoor {
  readonly started: Promise<unknown>;
  readonly llm: LlmDoor | undefined;
  readonly #shards: ShardThread[];
  readonly #splitter: Splitter;
  readonly #waiting = new Waiting();
  readonly #encoder = new TextEncoder();
  readonly #merges: Merges;
  readonly #moderation: Moderation;
  readonly #gateway: LlmThread | undefined;
  readonly #writer: WriterThread | undefined;
  readonly #storage: EngineStorage;
  #isOpen = false;
  readonly #quotas: Quotas;
  readonly #closedListeners = new Set<(tenant: string) => void>();
  /** Tenants that were closed, and whose files are not clean yet. */
  readonly #erasing = new Map<string, PromiseWithResolvers<void>>();
  /** There is a kernel stage. */
  readonly #staged: boolean;
  #stopping: Promise<void> | undefined;
  #reviewsEnd: NodeJS.Timeout | undefined;

  constructor(
    settings: EngineSettings,
    components: EngineComponents,
    gateway?: LlmThread,
    writer?: WriterThread,
  ) {
    const { shardCount, slotCount, tenantCountMax, stage } = settings;
    const { durability, llm, keepPending, verdictsWritten } = settings;
    assert(shardCount >= 1);
    this.#writer = writer;
    this.#storage = new EngineStorage(writer, durability?.ack ?? "none", shardCount);
    this.#quotas = new Quotas(settings.quota);
    this.#gateway = gateway;
    if (gateway !== undefined && llm !== undefined) this.llm = llmDoor(gateway, llm);
    const upstreamModel = this.llm?.models.moderation;
    this.#staged = stage !== undefined;
    const tenantsTaken = new SharedArrayBuffer(tenantsTakenBytes(shardCount));
    const imageBytesMax = Math.floor(settings.imageBytesMax / shardCount);
    this.#splitter = new Splitter(shardCount);
    const limits = { tenantsTaken, tenantCountMax, slotCount, imageBytesMax };
    const salt = randomInt(SALT_MAX);
    this.#moderation = new Moderation({
      model: modelOf(components),
      send: async (tenant, kind, body) => this.#send(this.#shardOf(tenant), kind, tenant, body),
      shardOf: (tenant) => shardOf(tenant, shardCount),
      upstreamModel,
      keepPending,
      verdictsWritten,
    });
    const asks = gateway !== undefined && upstreamModel !== undefined;
    this.#shards = Array.from({ length: shardCount }, (_, shard) => {
      const isOfShard = (tenant: string): boolean => shardOf(tenant, shardCount) === shard;
      return new ShardThread(
        { shard, ...limits, ...components, stage, salt },
        {
          waiting: this.#waiting,
          policies: () => this.#moderation.policiesOf(isOfShard),
          quota: () => this.#quotas.defaults,
          quotas: () => this.#quotas.ownOf(isOfShard),
          takeEvents: (json) => this.#moderation.takeEvents(shard, json),
          endReviews: (json) => this.#moderation.endReviews(json),
          loseReviews: () => this.#moderation.loseReviews(shard),
          unkeptReviewCount: () => this.#moderation.unkeptCount(shard),
          log:
            writer === undefined
              ? undefined
              : (ring, isAgain) => writer.attach(shard, ring, isAgain),
          checkKeeping: () => this.#storage.checkTaking(shard),
          recovered: (recovery) => this.#storage.recovered(shard, recovery),
          recovering: () => this.#storage.recovering(),
          gateway: asks ? (ring) => gateway.attach(ring) : undefined,
        },
      );
    });
    if (writer !== undefined) {
      writer.onDamaged = (tenants) => this.#snapshot(tenants);
      writer.onErased = (tenant) => this.#erasing.get(tenant)?.resolve();
    }
    gateway?.onRestart(() => {
      for (const shard of this.#shards) shard.attachGateway();
    });
    const mergeShards = this.#shards.map((shard) => ({
      ask: async (question: Question) => this.#ask(shard, question),
      restartCount: () => shard.restartCount,
    }));
    this.#merges = new Merges(mergeShards, () => new Merger());
    this.started = Promise.all(this.#shards.map((shard) => shard.started));
    // Whoever waits for it is told when it does.
    this.started.catch(() => undefined);
  }

  get ready(): boolean {
    if (this.#stopping !== undefined || !this.#isOpen) return false;
    return this.#shards.every((shard) => shard.ready);
  }

  async offer(offer: Offer): Promise<OfferAnswer> {
    this.#checkTaking();
    assert(offer.body.length <= BODY_BYTES_MAX);
    const { tenant } = offer;
    if (tenant === undefined) return this.#offerElements(offer);
    try {
      if (offer.format !== "ndjson") return await this.#offerElements(offer);
      return await this.#offerLines(tenant, offer.body, this.#storage.ackOf(offer.ack));
    } catch (error) {
      throw this.#quotas.learn(tenant, error, Date.now());
    }
  }

  async trending(
    tenant: string,
    options: { limit: number; order: TrendOrder },
  ): Promise<TrendingReport> {
    return this.#askOf<TrendingReport>(tenant, { type: "trending", tenant, ...options });
  }

  async summary(tenant: string, options: { span: Span; limit: number }): Promise<SummaryReport> {
    return this.#askOf<SummaryReport>(tenant, { type: "summary", tenant, ...options });
  }

  async conversations(
    tenant: string,
    { limit }: { limit: number },
  ): Promise<readonly ConversationItem[]> {
    return this.#askOf<ConversationItem[]>(tenant, { type: "conversations", tenant, limit });
  }

  async conversation(tenant: string, id: string): Promise<ConversationReport> {
    return this.#askOf<ConversationReport>(tenant, { type: "conversation", tenant, id });
  }

  async sketch(tenant: string, span: Span): Promise<Uint8Array> {
    return this.#askOf<Uint8Array>(tenant, { type: "sketch", tenant, span });
  }

  async mergeSummaries(request: MergeRequest): Promise<SummaryMerge> {
    this.#checkTaking();
    return this.#merges.run(request);
  }

  async tenants({
    offset,
    limit,
    prefix,
  }: {
    offset: number;
    limit: number;
    prefix: string;
  }): Promise<TenantList> {
    const question: Question = { type: "tenants", limit: offset + limit, prefix };
    const lists = await Promise.all(
      this.#shards.map((shard) => this.#ask(shard, question) as Promise<TenantList>),
    );
    const all = lists.flatMap((list) => list.tenants);
    all.sort((a, b) => b.lastEventMs - a.lastEventMs || (a.tenant < b.tenant ? -1 : 1));
    const total = lists.reduce((sum, list) => sum + list.total, 0);
    return { total, tenants: all.slice(offset, offset + limit) };
  }

  async tenant(tenant: string): Promise<TenantStatus> {
    return this.#askOf<TenantStatus>(tenant, { type: "tenant", tenant });
  }

  async inspect(tenant: string): Promise<InspectedTenant> {
    return this.#askOf<InspectedTenant>(tenant, { type: "inspect", tenant });
  }

  async putTenant(tenant: string, settings: TenantSettings): Promise<TenantStatus> {
    return this.#askOf<TenantStatus>(tenant, { type: "putTenant", tenant, ...settings });
  }

  async moderate(
    tenant: string,
    requests: readonly ModerationRequest[],
  ): Promise<readonly ModerationOutcome[]> {
    this.checkQuota(tenant);
    try {
      return await this.#moderation.moderate(tenant, requests);
    } catch (error) {
      throw this.#quotas.learn(tenant, error, Date.now());
    }
  }

  async closeTenant(tenant: string): Promise<void> {
    if (this.#writer !== undefined && !this.#erasing.has(tenant)) {
      this.#erasing.set(tenant, Promise.withResolvers<void>());
    }
    await this.#askOf(tenant, { type: "closeTenant", tenant });
    if (this.#writer !== undefined) {
      await Promise.all(this.#shards.map((shard) => this.#ask(shard, { type: "hurryLog" })));
    }
    this.#quotas.forget(tenant);
    this.#moderation.forget(tenant);
    this.llm?.forget(tenant);
    for (const listener of this.#closedListeners) listener(tenant);
  }

  async tenantErased(tenant: string): Promise<void> {
    await this.#erasing.get(tenant)?.promise;
    this.#erasing.delete(tenant);
  }

  async freeTenant(tenant: string): Promise<void> {
    // Answers of an upstream that was asked before may have come meanwhile.
    this.llm?.forget(tenant);
    await this.#askOf(tenant, { type: "freeTenant", tenant });
  }

  onClosed(listener: (tenant: string) => void): () => void {
    this.#closedListeners.add(listener);
    return () => this.#closedListeners.delete(listener);
  }

  checkQuota(tenant: string): void {
    this.#quotas.check(tenant, Date.now());
  }

  async quota(tenant: string): Promise<QuotaStatus> {
    const status = await this.#askOf<QuotaStatus>(tenant, { type: "quota", tenant });
    return this.#quotas.whole(tenant, status);
  }

  async putQuota(tenant: string, limits: JsonLimits): Promise<QuotaStatus> {
    const status = await this.#askOf<QuotaStatus>(tenant, { type: "putQuota", tenant, limits });
    this.#quotas.put(tenant, limits);
    return this.#quotas.whole(tenant, status);
  }

  async setQuotaDefaults(defaults: QuotaLimits): Promise<void> {
    this.#quotas.defaults = defaults;
    const question: Question = { type: "quotaDefaults", limits: jsonLimits(defaults) };
    await Promise.all(this.#shards.map((shard) => this.#ask(shard, question)));
  }

  async topCpu(count: number): Promise<readonly TenantCpu[]> {
    if (this.#quotas.defaults === undefined) return [];
    const question: Question = { type: "topCpu", count };
    const lists = await Promise.all(
      this.#shards.map((shard) => this.#ask(shard, question) as Promise<readonly TenantCpu[]>),
    );
    const all = lists.flat().toSorted((a, b) => b.cpuMs - a.cpuMs);
    return all.slice(0, count);
  }

  quotaRefusals(): QuotaRefusals {
    const shards = this.#shards.map((shard) => shard.quotaRefusals());
    const sums = (of: (each: QuotaRefusals) => QuotaRefusals["events"], more: boolean) =>
      Object.fromEntries(
        QUOTA_NAMES.map((name) => {
          const here = more ? this.#quotas.refusedCount(name) : 0;
          return [name, shards.reduce((sum, each) => sum + of(each)[name], here)];
        }),
      ) as QuotaRefusals["events"];
    return { requests: sums((each) => each.requests, true), events: sums((e) => e.events, false) };
  }

  async putPolicy(tenant: string, record: PolicyRecord): Promise<void> {
    return this.#moderation.putPolicy(tenant, record);
  }

  async turns(tenant: string, conversation: string): Promise<readonly Turn[]> {
    return this.#askOf<Turn[]>(tenant, { type: "turns", tenant, conversation });
  }

  async forgetConversation(tenant: string, conversation: string): Promise<boolean> {
    return this.#askOf<boolean>(tenant, { type: "forgetConversation", tenant, conversation });
  }

  async moderatorUsage(tenant: string): Promise<ModeratorUsage> {
    return this.#askOf<ModeratorUsage>(tenant, { type: "moderatorUsage", tenant });
  }

  onVerdict(listener: VerdictListener): () => void {
    return this.#moderation.onVerdict(listener);
  }

  holdLog(gate: HoldGate): void {
    assert(this.#writer !== undefined, "nothing is kept");
    this.#writer.hold(gate);
  }

  stats(): readonly ShardStats[] {
    return this.#shards.map((shard) => shard.stats());
  }

  /** From now on, for offers that wish nothing. */
  set ack(ack: AckWish) {
    this.#storage.ack = ack;
  }

  storage(): StorageStats {
    return this.#storage.stats();
  }

  /** From now on events and questions are taken; called once, after `started`. */
  open(): void {
    this.#isOpen = true;
  }

  beginStop(): void {
    this.#reviewsEnd ??= setTimeout(() => {
      for (const shard of this.#shards) shard.endReviews();
    }, REVIEWS_STOP_MS_MAX);
    this.#reviewsEnd.unref();
  }

  stop({ deadlineMs }: StopOptions = {}): Promise<void> {
    // Clocks of threads begin when they do: what crosses is the time of day.
    const leftMs = deadlineMs === undefined ? 0 : deadlineMs - performance.now();
    this.#stopping ??= this.#stop(Date.now() + leftMs);
    return this.#stopping;
  }

  /** The gateway last: reviews that are open may end. */
  async #stop(deadlineMs: number): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.stop(deadlineMs)));
    await this.#writer?.stop();
    await this.#moderation.told();
    clearTimeout(this.#reviewsEnd);
    await this.#gateway?.stop();
  }

  /** Of tenants whose snapshots cannot be read. */
  #snapshot(tenants: readonly string[]): void {
    for (const [index, shard] of this.#shards.entries()) {
      const own = tenants.filter((tenant) => shardOf(tenant, this.#shards.length) === index);
      if (own.length > 0) shard.snapshot(own);
    }
  }

  /** NDJSON of one tenant: cut at line ends, nothing else is looked at. */
  async #offerLines(tenant: string, body: Uint8Array, ack: AckMode): Promise<OfferAnswer> {
    const shard = this.#shardOf(tenant);
    const chunkCount = Math.ceil(body.length / (CHUNK_BYTES / 2)) + 1;
    shard.checkRoom(chunkCount, body.length, LINES_BYTES_MAX, true);
    const name = this.#encoder.encode(tenant);
    const { request, answer } = this.#waiting.open(1, ack);
    const flags = ack === "disk" ? 0 : FLAG_MEMORY;
    let start = 0;
    do {
      const cut = cutLines(body, start, CHUNK_BYTES);
      const last = cut.end === body.length;
      const kind = cut.tooLarge ? RECORD_ELEMENTS : RECORD_LINES;
      const bytes = cut.tooLarge ? ELEMENT_TOO_LARGE : body.subarray(start, cut.end);
      shard.write({ kind, request, last, flags, tenant: name }, bytes);
      start = cut.end;
    } while (start < body.length);
    return answer as Promise<OfferAnswer>;
  }

  /** Everything else: the splitter finds the elements and scatters them over the shards. */
  async #offerElements({ tenant, body, format, ack: wish }: Offer): Promise<OfferAnswer> {
    const ack = this.#storage.ackOf(wish);
    const flags = ack === "disk" ? 0 : FLAG_MEMORY;
    const fixedShard = tenant === undefined ? -1 : shardOf(tenant, this.#shards.length);
    const split = this.#splitter.split(body, format, fixedShard);
    if (split.malformedAtByte !== undefined) {
      throw new Problem(
        "malformedJson",
        `Not one JSON object or array: it goes wrong at byte ${split.malformedAtByte}. ` +
          "Send application/x-ndjson for one event a line.",
      );
    }
    const name = tenant === undefined ? NO_TENANT : this.#encoder.encode(tenant);
    const chunks = this.#shards.map(() => ({ count: 0, bytes: 0, bytesMax: 0 }));
    for (let i = 0; i < split.chunkCount; i++) {
      const chunk = chunks[split.chunkShard(i)]!;
      const byteCount = split.chunkByteCount(i);
      chunk.count += 1;
      chunk.bytes += byteCount;
      chunk.bytesMax = Math.max(chunk.bytesMax, byteCount);
    }
    const targets = chunks.flatMap(({ count }, shard) => (count > 0 ? [shard] : []));
    if (targets.length === 0) return this.#waiting.nothing(ack);
    for (const i of targets) {
      const { count, bytes, bytesMax } = chunks[i]!;
      this.#shards[i]!.checkRoom(count, bytes, bytesMax, true);
    }
    const { request, answer } = this.#waiting.open(targets.length, ack);
    for (let i = 0; i < split.chunkCount; i++) {
      const shard = split.chunkShard(i);
      const from = split.chunkByteOffset(i);
      const bytes = split.memory.subarray(from, from + split.chunkByteCount(i));
      chunks[shard]!.count -= 1;
      const last = chunks[shard]!.count === 0;
      const record = { kind: RECORD_ELEMENTS, request, last, flags, tenant: name };
      this.#shards[shard]!.write(record, bytes);
    }
    return answer as Promise<OfferAnswer>;
  }

  /** What the answer to a question is, follows from its type. */
  async #askOf<Value>(tenant: string, question: Question): Promise<Value> {
    // The tables of the kernel stage turn for the question once every shard has read its last turn.
    if (this.#staged) for (const shard of this.#shards) shard.wake();
    return (await this.#ask(this.#shardOf(tenant), question)) as Value;
  }

  async #ask(shard: ShardThread, question: Question): Promise<unknown> {
    const body = this.#encoder.encode(JSON.stringify(question));
    const { type } = question;
    return this.#send(shard, RECORD_QUESTION, "", body, isKept(question), FIRST.has(type));
  }

  async #send(
    shard: ShardThread,
    kind: number,
    tenant: string,
    body: Uint8Array,
    isKept = kind === RECORD_POLICY,
    isFirst = kind === RECORD_POLICY,
  ): Promise<unknown> {
    this.#checkTaking(isFirst);
    shard.checkRoom(1, body.length, body.length, isKept);
    const { request, answer } = this.#waiting.open(1);
    const name = tenant === "" ? NO_TENANT : this.#encoder.encode(tenant);
    shard.write({ kind, request, last: true, flags: 0, tenant: name }, body);
    return answer;
  }

  #shardOf(tenant: string): ShardThread {
    return this.#shards[shardOf(tenant, this.#shards.length)]!;
  }

  /** `isFirst`: it is there before all others are taken. */
  #checkTaking(isFirst = false): void {
    if (!this.#isOpen && !isFirst) {
      const opening = new Problem("recovering", "The server begins; try again.", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
      throw this.#storage.recovering() ?? opening;
    }
    if (this.#stopping !== undefined) {
      throw new Problem("stopping", "The server is stopping; ask its successor.", {
        retryAfterSeconds: 5,
      });
    }
    if (this.#waiting.count < REQUESTS_WAITING_MAX) return;
    throw new Problem("busy", `${REQUESTS_WAITING_MAX} requests wait already. Try again.`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}

/** Questions of a start, before events and other questions are taken. */
const FIRST: ReadonlySet<Question["type"]> = new Set(["putQuota", "closeTenant", "hurryLog"]);

/** Whether what the question does is to outlive the process. */
function isKept({ type }: Question): boolean {
  return type === "putTenant" || type === "forgetConversation";
}
