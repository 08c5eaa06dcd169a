/**
 * What the gateway's thread does, without the thread: ports in, gateways behind them. One gateway
 * an upstream, so that one that is slow or gone holds up no other; tenants, budgets, usage and
 * cached answers are the same for all of them.
 */
import { randomBytes } from "node:crypto";
import { JOBS } from "#model/consultation.ts";
import {
  CONSULTATIONS_MAX,
  CONSULTATIONS_OF_TENANT_MAX,
  PROMPTS_BYTES_MAX,
} from "#model/limits.ts";
import { Breaker } from "./breaker.ts";
import { Budgets } from "./budget.ts";
import { AnswerCache } from "./cache.ts";
import { Call, type CallOwner } from "./call.ts";
import { Gateway } from "./gateway.ts";
import { CallTraces } from "./gateway-stats.ts";
import { JobRules } from "./job-rules.ts";
import type {
  AskedCall,
  CallEnd,
  CallMessage,
  EndedCall,
  EndMessage,
  GatewayThreadSettings,
  JobReport,
  LlmStats,
  TenantLimits,
  TenantLlmUsage,
  TenantSpending,
} from "./protocol.ts";
import type { UpstreamSettings } from "./settings.ts";
import { TenantNumbers } from "./tenant-numbers.ts";
import { TenantUsage } from "./tenant-usage.ts";
import { Upstream } from "./upstream.ts";

export type DeskOptions = GatewayThreadSettings & {
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly cpuMs: () => number;
  /** There is something to post: `flush` soon. */
  readonly soon: () => void;
};

/** Something that can be told the ends of its calls. */
export type Teller = (message: EndMessage) => void;

type Site = { readonly upstream: Upstream; readonly breaker: Breaker; readonly gateway: Gateway };

/** Calls wait this long at most, whatever they say. */
const WAIT_MS_MAX = 600_000;

export class Desk {
  readonly #options: DeskOptions;
  readonly #sites: readonly Site[];
  /** By job. */
  readonly #rules: readonly (JobRules | undefined)[];
  readonly #gateways: readonly (Gateway | undefined)[];
  readonly #tenants: TenantNumbers;
  readonly #budgets: Budgets;
  readonly #cache: AnswerCache | undefined;
  readonly #usage = new TenantUsage();
  readonly #traces = new CallTraces();
  /** By name; a number may be another tenant's meanwhile. */
  readonly #limits = new Map<string, TenantLimits>();
  #unposted: DeskPort[] = [];
  #openCount = 0;

  /** Throws TypeError if an address is none. */
  constructor(options: DeskOptions) {
    const { settings, tenantCountMax } = options;
    this.#options = options;
    this.#rules = JOBS.map((job, index) => {
      const upstream = settings.jobs[job];
      return upstream === undefined ? undefined : new JobRules(index, upstream);
    });
    this.#budgets = new Budgets({ tenantCountMax, limits: settings.budget });
    const ageMsMax = settings.cacheMsMax;
    this.#cache = ageMsMax > 0 ? new AnswerCache({ ageMsMax }) : undefined;
    this.#tenants = new TenantNumbers(tenantCountMax, (tenant) => this.#forget(tenant));
    const ids = JOBS.map((job) => siteId(settings.jobs[job]));
    const distinct = [...new Set(ids)].filter((id) => id !== undefined);
    this.#sites = distinct.map((id) => this.#openSite(ids, id, distinct.length));
    this.#gateways = ids.map((id) =>
      id === undefined ? undefined : this.#sites[distinct.indexOf(id)]!.gateway,
    );
  }

  /** Calls that have not ended. */
  get openCount(): number {
    return this.#openCount;
  }

  openPort(tell: Teller): DeskPort {
    return new DeskPort(this, tell);
  }

  /** Hot. Its end comes to the port, perhaps before this returns. */
  ask(port: DeskPort, asked: AskedCall): void {
    const arrivedMs = this.#options.nowMs();
    const job = JOBS.indexOf(asked.job);
    const gateway = this.#gateways[job];
    if (gateway === undefined) return port.refuse(asked.request, "off", "No upstream for the job.");
    const tenant = this.#numberOf(asked.tenant);
    if (tenant === undefined) return port.refuse(asked.request, "queueFull", "Too many tenants.");
    const call = new Call({
      owner: port,
      request: asked.request,
      tenant,
      job,
      arrivedMs,
      deadlineMs: arrivedMs + (asked.waitMsMax > 0 ? Math.min(asked.waitMsMax, WAIT_MS_MAX) : 0),
      promptBytes: asked.prompt.length,
    });
    this.#openCount += 1;
    this.#tenants.open(tenant);
    port.open(call);
    gateway.ask(call, asked.prompt, asked.policyVersion);
  }

  cancel(call: Call): void {
    this.#gateways[call.job]!.cancel(call);
  }

  /** Of a port. */
  ended(port: DeskPort, tenant: number): void {
    this.#openCount -= 1;
    this.#tenants.close(tenant);
    this.toPost(port);
  }

  toPost(port: DeskPort): void {
    if (this.#unposted.length === 0) this.#options.soon();
    if (!port.isUnposted) this.#unposted.push(port);
    port.isUnposted = true;
  }

  /** After what came in, and every 8 ms while calls are open. */
  tick(): void {
    for (const { gateway } of this.#sites) gateway.tick();
  }

  /** Tells all ports what ended. */
  flush(): void {
    const ports = this.#unposted;
    this.#unposted = [];
    for (const port of ports) port.post();
  }

  /** All of a tenant's limits; what is undefined is the default again. */
  putLimits(name: string, limits: TenantLimits): void {
    const { spent, ...own } = limits;
    const isDefault = own.budget === undefined && own.runningMax === undefined;
    if (isDefault) this.#limits.delete(name);
    else this.#limits.set(name, own);
    const known = this.#tenants.find(name);
    // Without a call there is nothing to limit, but money that was spent must be remembered.
    const tenant = known ?? (spent === undefined ? undefined : this.#numberOf(name));
    if (tenant === undefined) return;
    this.#applyLimits(tenant, own);
    if (spent === undefined) return;
    this.#budgets.setSpent(tenant, spent.spentMicros, spent.atMs, this.#options.nowMs());
  }

  /**
   * The tenant is deleted: what is left is its number, calls that end as they will, and what it has
   * taken of its budgets: or whoever may delete a tenant could spend a day's money many times.
   */
  forget(name: string): void {
    this.#limits.delete(name);
    const tenant = this.#tenants.find(name);
    if (tenant === undefined) return;
    this.#budgets.setLimits(tenant, undefined);
    this.#forgetUse(tenant);
  }

  /** Of whom it changed since it was asked last. */
  spending(): readonly TenantSpending[] {
    const atMs = this.#options.nowMs();
    return this.#budgets.takeSpenders().map((tenant) => ({
      tenant: this.#tenants.nameOf(tenant),
      spentMicros: this.#budgets.spentMicros(tenant, atMs),
      atMs,
    }));
  }

  usage(name: string): TenantLlmUsage {
    const tenant = this.#tenants.find(name);
    const own = this.#limits.get(name);
    const limits = own?.budget ?? this.#budgets.limitsOf(undefined);
    const left =
      tenant === undefined
        ? ([limits.callsPerMinute, limits.tokensPerMinute, limits.microsPerDay] as const)
        : this.#budgets.left(tenant, this.#options.nowMs());
    const [calls, tokens, micros] = left.map((each) => (Number.isFinite(each) ? each : null));
    return {
      limits,
      runningMax: own?.runningMax ?? this.#options.settings.tenantRunningMax,
      left: { calls: calls!, tokens: tokens!, micros: micros! },
      jobs: tenant === undefined ? [] : this.#usage.of(tenant),
    };
  }

  stats(): LlmStats {
    const nowMs = this.#options.nowMs();
    return {
      jobs: this.#rules.flatMap((rules, job) =>
        rules === undefined ? [] : [this.#reportOf(rules, job)],
      ),
      breakers: this.#sites.map(({ upstream, breaker }) => ({
        origin: upstream.origin,
        state: breaker.state(nowMs),
      })),
      exchanges: this.#sites.reduce((sum, { gateway }) => sum + gateway.exchangeCount, 0),
      cacheBytes: this.#cache?.bytes ?? 0,
      traces: this.#traces.list(),
      top: this.#usage.top(this.#tenants.count).map(({ tenant, ...used }) => ({
        tenant: this.#tenants.nameOf(tenant),
        ...used,
      })),
      cpuMs: this.#options.cpuMs(),
    };
  }

  /** All calls end; resolves once no connection is open. */
  async stop(): Promise<void> {
    for (const { gateway } of this.#sites) gateway.stop();
    await Promise.all(this.#sites.map(({ upstream }) => upstream.stop()));
  }

  /** `ids`: of each job's upstream. */
  #openSite(ids: readonly (string | undefined)[], id: string, siteCount: number): Site {
    const { settings, tenantCountMax, nowMs, random } = this.#options;
    const ofSite = JOBS.filter((_, job) => ids[job] === id).map((job) => settings.jobs[job]!);
    const connectionsMax = Math.max(...ofSite.map((each) => each.connectionsMax));
    const { baseUrl, apiKey } = ofSite[0]!;
    const upstream = new Upstream({ baseUrl, apiKey, connectionsMax });
    const breaker = new Breaker(tenantCountMax);
    const gateway = new Gateway({
      upstream,
      breaker,
      rules: this.#rules.map((rules, job) => (ids[job] === id ? rules : undefined)),
      budgets: this.#budgets,
      cache: this.#cache,
      usage: this.#usage,
      traces: this.#traces,
      nameOf: (tenant) => this.#tenants.nameOf(tenant),
      ticketCountMax: CONSULTATIONS_MAX,
      tenantCountMax,
      tenantWaitingMax: CONSULTATIONS_OF_TENANT_MAX,
      tenantRunningMax: settings.tenantRunningMax,
      promptsBytesMax: PROMPTS_BYTES_MAX / siteCount,
      exchangeCountMax: connectionsMax,
      nowMs,
      random,
      drawKey: keyDrawer(),
    });
    return { upstream, breaker, gateway };
  }

  #numberOf(name: string): number | undefined {
    const known = this.#tenants.find(name);
    if (known !== undefined) return known;
    const tenant = this.#tenants.numberOf(name);
    const limits = this.#limits.get(name);
    if (tenant !== undefined && limits !== undefined) this.#applyLimits(tenant, limits);
    return tenant;
  }

  #applyLimits(tenant: number, { budget, runningMax }: TenantLimits): void {
    this.#budgets.setLimits(tenant, budget);
    for (const { gateway } of this.#sites) gateway.setRunningMax(tenant, runningMax);
  }

  /** Its number is another tenant's from now on. */
  #forget(tenant: number): void {
    this.#budgets.forget(tenant);
    this.#forgetUse(tenant);
  }

  #forgetUse(tenant: number): void {
    this.#usage.forget(tenant);
    this.#cache?.forget(this.#tenants.nameOf(tenant));
    for (const { gateway, breaker } of this.#sites) {
      gateway.setRunningMax(tenant, undefined);
      breaker.forget(tenant);
    }
  }

  #reportOf({ job, model, stats }: JobRules, index: number): JobReport {
    const gateway = this.#gateways[index]!;
    return {
      job,
      model,
      origin: new URL(this.#options.settings.jobs[job]!.baseUrl).origin,
      waiting: gateway.waitingCount(index),
      running: gateway.runningCount(index),
      calls: stats.calls,
      answered: stats.answered,
      cached: stats.cached,
      joined: stats.joined,
      failures: { ...stats.failures },
      malformed: stats.malformed,
      retries: stats.retries,
      hedges: stats.hedges,
      tokens: stats.tokens,
      costMicros: stats.costMicros,
      waitMs: stats.waits.quantiles,
      upstreamMs: stats.upstream.quantiles,
    };
  }
}

/** Who asks over one port, by its own numbers. */
export class DeskPort implements CallOwner {
  readonly #desk: Desk;
  readonly #tell: Teller;
  readonly #calls = new Map<number, Call>();
  #ends: EndedCall[] = [];
  #isClosed = false;
  isUnposted = false;

  constructor(desk: Desk, tell: Teller) {
    this.#desk = desk;
    this.#tell = tell;
  }

  take(message: CallMessage): void {
    if (message.type === "ask") for (const asked of message.calls) this.#desk.ask(this, asked);
    else {
      for (const request of message.requests) {
        const call = this.#calls.get(request);
        // It may have ended meanwhile.
        if (call !== undefined) this.#desk.cancel(call);
      }
    }
  }

  /** Nobody listens any more. */
  close(): void {
    this.#isClosed = true;
    for (const call of this.#calls.values()) this.#desk.cancel(call);
  }

  open(call: Call): void {
    this.#calls.set(call.request, call);
  }

  deliver(call: Call, end: CallEnd, nowMs: number): void {
    this.#calls.delete(call.request);
    this.#ends.push({ request: call.request, end, waitMs: nowMs - call.arrivedMs });
    this.#desk.ended(this, call.tenant);
  }

  /** A call that no gateway saw. */
  refuse(request: number, failure: "off" | "queueFull", detail: string): void {
    this.#ends.push({ request, end: { failure, detail }, waitMs: 0 });
    this.#desk.toPost(this);
  }

  post(): void {
    const ends = this.#ends;
    this.#ends = [];
    this.isUnposted = false;
    if (!this.#isClosed) this.#tell({ type: "ends", ends: ownBytes(ends) });
  }
}

/**
 * The same, with all answers in one buffer that has nothing else: what is posted is the whole
 * buffer behind a view, which may be one that others' answers lie in.
 */
function ownBytes(ends: readonly EndedCall[]): readonly EndedCall[] {
  let byteCount = 0;
  for (const { end } of ends) if ("answer" in end) byteCount += end.answer.length;
  const bytes = new Uint8Array(byteCount);
  let at = 0;
  return ends.map((ended) => {
    if ("failure" in ended.end) return ended;
    const { answer, isCached } = ended.end;
    bytes.set(answer, at);
    at += answer.length;
    return { ...ended, end: { answer: bytes.subarray(at - answer.length, at), isCached } };
  });
}

/** Jobs with the same server and key share a gateway. */
function siteId(upstream: UpstreamSettings | undefined): string | undefined {
  if (upstream === undefined) return undefined;
  return JSON.stringify([upstream.baseUrl.replace(/\/$/, ""), upstream.apiKey ?? ""]);
}

const KEY_BYTES = 10;
const KEYS_DRAWN = 256;

/** Random keys in hexadecimal, drawn many at a time. */
function keyDrawer(): () => string {
  let bytes = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === bytes.length) {
      bytes = randomBytes(KEYS_DRAWN * KEY_BYTES);
      at = 0;
    }
    at += KEY_BYTES;
    return bytes.toString("hex", at - KEY_BYTES, at);
  };
}
