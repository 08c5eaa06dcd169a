/**
 * Calls in flight through the product's own code, in a process of its own: this thread is the shard
 * side (moderators in slots, `Consultations`, the ring it sleeps on), beside it runs the gateway's
 * thread; the upstream is another process, or in the gateway's thread (`port` 0). Calls fall due at
 * an even rate, whether or not those before were answered, in ticks of `tickMs`.
 *
 * The wall clock splits this thread's CPU time into its parts. What a tenant says and what judges
 * it beforehand is told apart: it would be the same without an upstream.
 */
import { readFileSync } from "node:fs";
import { bindClassifier, loadClassifier } from "#classifier/classifier.ts";
import { ModeratorHost } from "#isolate/moderator-host.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import { Consultations } from "#shard/consultations.ts";
import type { ReviewEnded } from "#shard/protocol.ts";
import { RingReader } from "#std/byte-ring.ts";
import { collectGarbage } from "../allocation.ts";
import { GatewayThread, moderationAt } from "../gateway-thread.ts";
import { readReason } from "../model-stand-in.ts";
import { quantile } from "../statistics.ts";
import { loadTalk, Talks } from "../talks.ts";
import { mustBeOk, serveMeasurement } from "./isolates.ts";
import { residentBytes } from "./leash.ts";

export type InFlightSettings = {
  readonly calls: number;
  readonly upstreamMs: number;
  /** Messages that a tenant sends at once, each of them a call. */
  readonly callsPerTenant: number;
  /** Of the upstream; 0: it is in the gateway's thread. */
  readonly port: number;
  /** How long calls are timed, once as many wait as there shall be, and the code is warm. */
  readonly seconds: number;
  /** At least so long before that, at the same rate. */
  readonly warmSeconds: number;
  readonly slots: number;
  /** Messages of each conversation before those that are asked about. */
  readonly turnsBefore: number;
  readonly tickMs: number;
  readonly seed: number;
  readonly corpus: string;
};

export type InFlightFigures = {
  readonly inFlight: number;
  readonly timed: number;
  readonly answered: number;
  /** Calls that ended otherwise, by how. */
  readonly failures: Readonly<Record<string, number>>;
  /** Answers that were another call's. */
  readonly crossed: number;
  readonly promptBytes: number;
  readonly residentMb: number;
  /** Resident memory, and live JavaScript and buffers, by each that waits; less before. */
  readonly residentBytesPerCall: number;
  readonly bytesPerCall: number;
  /** CPU time of the calls that were timed, us each. */
  readonly judgeUs: number;
  readonly beginUs: number;
  readonly answerUs: number;
  readonly gatewayUs: number;
  /** Of the process, by none of both threads: V8's collector and compiler. */
  readonly helperUs: number;
  /** Later than the upstream itself took, from when they fell due. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  /** Of that, how much later than due calls were begun, p99. */
  readonly lateP99Ms: number;
};

const COMPONENT = new URL("../../guests/dist/moderate.component.wasm", import.meta.url);
const IMAGE_BYTES_MAX = 8 * 2 ** 30;
const WAIT_MS_MAX = 60_000;
/** A little over what is needed to have so many in flight. */
const RATE_MORE = 1.02;
const CONNECTIONS_MORE = 1.25;
const WARM_CALLS = 256;
const YIELD_MS = 100;
/** As many as a shard takes from its ring in a step. */
const STEP_BURSTS_MAX = 64;
const POLICY_VERSION = 1;

serveMeasurement(measure);

async function measure(settings: InFlightSettings): Promise<InFlightFigures> {
  const { calls, callsPerTenant, port, upstreamMs } = settings;
  const exchanges = Math.ceil(calls / callsPerTenant);
  const connectionsMax = Math.ceil(exchanges * CONNECTIONS_MORE) + WARM_CALLS;
  const gateway = await GatewayThread.start(
    { settings: moderationAt(port, connectionsMax), tenantCountMax: exchanges },
    port === 0 ? upstreamMs : undefined,
  );
  try {
    const inFlight = new InFlight(settings, gateway, bindClassifier(await loadClassifier()));
    return await inFlight.run();
  } finally {
    await gateway.stop();
  }
}

/** Wall time on a part of the work, ms. */
type Parts = { judge: number; begin: number; answer: number; rest: number };

/** What was used up to a moment. */
type Mark = {
  readonly parts: Readonly<Parts>;
  readonly processMs: number;
  readonly threadMs: number;
  readonly gatewayMs: number;
};

class InFlight {
  readonly #settings: InFlightSettings;
  readonly #gateway: GatewayThread;
  readonly #reader: RingReader;
  readonly #host: ModeratorHost;
  readonly #consultations: Consultations;
  readonly #tenantCount: number;
  readonly #names: readonly string[];
  readonly #talks: Talks;
  readonly #writer = new RequestBytes();
  readonly #parts: Parts = { judge: 0, begin: 0, answer: 0, rest: 0 };
  /** Calls of a burst are one tenant's, sent at once. */
  readonly #burstMs: number;
  #burst = 0;
  #dueMs: Float64Array = new Float64Array(0);
  #begun = 0;
  #ended = 0;
  #promptBytes = 0;
  #inFlight = 0;
  #answered = 0;
  #crossed = 0;
  readonly #failures: Record<string, number> = {};
  /** Calls that begin and end now are timed. */
  #isTimed = false;
  readonly #added: number[] = [];
  /** Of the others: there may be none of those, if the machine stood still. */
  readonly #addedOutside: number[] = [];
  readonly #lateness: number[] = [];

  constructor(
    settings: InFlightSettings,
    gateway: GatewayThread,
    imports: ConstructorParameters<typeof ModeratorHost>[1],
  ) {
    const { calls, callsPerTenant, upstreamMs, slots, seed, corpus } = settings;
    this.#settings = settings;
    this.#gateway = gateway;
    this.#reader = new RingReader(gateway.ring);
    this.#tenantCount = Math.ceil(calls / callsPerTenant);
    this.#burstMs = upstreamMs / (this.#tenantCount * RATE_MORE);
    this.#names = Array.from({ length: this.#tenantCount }, (_, n) => `tenant-${n}`);
    this.#host = new ModeratorHost(
      {
        slotCount: slots,
        imageBytesMax: IMAGE_BYTES_MAX,
        tenantCountMax: this.#tenantCount,
        guarded: false,
      },
      imports,
    );
    this.#consultations = new Consultations(this.#host, gateway.port);
    const talk = loadTalk(corpus, seed);
    this.#talks = new Talks({ seed, talk, tenantCount: this.#tenantCount, conversationCount: 1 });
    const component = this.#host.admit(readFileSync(COMPONENT));
    const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const, weight: 1 };
    const policy = { ...POLICY_DEFAULT, consult };
    const record = { version: POLICY_VERSION, setAtMs: 0, note: undefined, policy };
    const bytes = policyBytes(record)!;
    for (let tenant = 0; tenant < this.#tenantCount; tenant++) {
      mustBeOk(this.#host.open(tenant, component, bytes));
      for (let turn = 0; turn < settings.turnsBefore; turn++) this.#judge(tenant, "before");
    }
  }

  async run(): Promise<InFlightFigures> {
    const { callsPerTenant, seconds, warmSeconds, upstreamMs } = this.#settings;
    await this.#offer(Math.ceil(WARM_CALLS / callsPerTenant));
    const before = await this.#held();
    const residentBefore = residentBytes();
    const fillMs = Math.max(upstreamMs, warmSeconds * 1_000);
    const filling = Math.ceil(fillMs / this.#burstMs) + 1;
    const timed = Math.ceil((seconds * 1_000) / this.#burstMs);
    this.#inFlight = 0;
    const marks: Mark[] = [];
    const memory = { resident: 0, held: 0, waiting: 0 };
    const atEnd = async (): Promise<void> => {
      marks.push(this.#mark());
      // What ends from here on ends late: a collection takes its time.
      this.#isTimed = false;
      memory.resident = residentBytes();
      memory.waiting = this.#consultations.openCount;
      memory.held = await this.#held();
    };
    await this.#offer(filling + timed, (burst) => {
      if (burst === filling + timed) return atEnd();
      if (burst !== filling) return undefined;
      marks.push(this.#mark());
      this.#isTimed = true;
      return undefined;
    });
    const added = Float64Array.from(this.#added.length > 0 ? this.#added : this.#addedOutside);
    return {
      inFlight: this.#inFlight,
      timed: timed * callsPerTenant,
      answered: this.#answered,
      failures: this.#failures,
      crossed: this.#crossed,
      promptBytes: this.#promptBytes / this.#begun,
      residentMb: memory.resident / 2 ** 20,
      residentBytesPerCall: (memory.resident - residentBefore) / memory.waiting,
      bytesPerCall: (memory.held - before) / memory.waiting,
      ...this.#cpu(marks[0]!, marks[1]!, timed * callsPerTenant),
      addedP50Ms: quantile(added, 0.5),
      addedP99Ms: quantile(added, 0.99),
      lateP99Ms: quantile(Float64Array.from(this.#lateness), 0.99),
    };
  }

  /** Live bytes of both threads; what the gateway's has posted meanwhile is with this one. */
  async #held(): Promise<number> {
    const gateway = await this.#gateway.heldBytes();
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return gateway + heapUsed + external;
  }

  /** So many bursts at the even rate, until all have ended. `at`: before each, and after. */
  async #offer(
    bursts: number,
    at: (burst: number) => Promise<void> | undefined = () => undefined,
  ): Promise<void> {
    const { tickMs, callsPerTenant } = this.#settings;
    const dueMs = new Float64Array(this.#begun + bursts * callsPerTenant);
    dueMs.set(this.#dueMs);
    this.#dueMs = dueMs;
    const startMs = performance.now();
    let begun = 0;
    let yieldedMs = startMs;
    while (this.#ended < this.#dueMs.length) {
      this.#reader.look();
      let nowMs = performance.now();
      const tick = Math.floor((nowMs - startMs) / tickMs);
      const due = Math.min(bursts, 1 + Math.floor((tick * tickMs) / this.#burstMs));
      const stepEnd = Math.min(due, begun + STEP_BURSTS_MAX);
      for (; begun < stepEnd; begun++) {
        const pause = at(begun);
        if (pause !== undefined) await pause;
        const fellDue = Math.ceil((begun * this.#burstMs) / tickMs) * tickMs;
        this.#beginBurst(startMs + fellDue);
      }
      if (begun === bursts) {
        await at(begun);
        begun += 1;
      }
      this.#inFlight = Math.max(this.#inFlight, this.#consultations.openCount);
      const before = performance.now();
      this.#consultations.step(Date.now());
      const stepped = performance.now();
      this.#parts.answer += stepped - before;
      for (const ended of this.#consultations.takeEnded()) this.#take(ended, stepped);
      const nextMs = startMs + (tick + 1) * tickMs;
      nowMs = performance.now();
      this.#parts.rest += nowMs - stepped;
      if (nowMs - yieldedMs > YIELD_MS) {
        yieldedMs = nowMs;
        await new Promise(setImmediate);
      }
      const isBehind = this.#consultations.hasDue || begun < due;
      if (!isBehind && nowMs < nextMs) this.#reader.wait(nextMs - nowMs);
    }
  }

  #beginBurst(dueMs: number): void {
    const { callsPerTenant } = this.#settings;
    const tenant = this.#burst % this.#tenantCount;
    this.#burst += 1;
    if (this.#isTimed) this.#lateness.push(performance.now() - dueMs);
    for (let n = 0; n < callsPerTenant; n++) {
      this.#dueMs[this.#begun] = dueMs;
      this.#beginCall(tenant, `(c${this.#begun})`);
      this.#begun += 1;
    }
  }

  #beginCall(tenant: number, marker: string): void {
    const consultations = this.#consultations;
    const byteCount = this.#judge(tenant, marker);
    const startMs = performance.now();
    const call = consultations.callAfter(tenant, consultations.lastCallOf(tenant));
    const { bytes } = this.#writer;
    const { outcome, asked } = this.#host.beginReview(tenant, call, bytes, 0, byteCount);
    if (asked === undefined) {
      this.#end(`not asked: ${outcome}`);
      consultations.countRefused();
      return;
    }
    this.#promptBytes += asked.prompt.length;
    consultations.begin(
      {
        tenant,
        name: this.#names[tenant]!,
        id: `${this.#begun}`,
        call,
        asked,
        policyVersion: POLICY_VERSION,
        waitMsMax: WAIT_MS_MAX,
      },
      Date.now(),
    );
    this.#parts.begin += performance.now() - startMs;
  }

  /** Returns the bytes of the request. */
  #judge(tenant: number, marker: string): number {
    const startMs = performance.now();
    const said = this.#talks.next(tenant, 0);
    const request = { ...said, text: `${said.text} ${marker}` };
    const byteCount = this.#writer.write(request, Date.now());
    if (typeof byteCount === "string") throw new Error(`${byteCount} of a message is too long`);
    const { outcome, report } = this.#host.judge(tenant, this.#writer.bytes, 0, byteCount);
    mustBeOk(outcome);
    if (!report!.consult) throw new Error("the policy has everything asked");
    this.#parts.judge += performance.now() - startMs;
    return byteCount;
  }

  #take({ id, outcome, opinion }: ReviewEnded, nowMs: number): void {
    const call = Number(id);
    if (opinion === undefined) return this.#end(outcome);
    const read = readReason(opinion.reason);
    if (read?.marker !== `c${call}`) this.#crossed += 1;
    else {
      const added = this.#isTimed ? this.#added : this.#addedOutside;
      added.push(nowMs - this.#dueMs[call]! - read.tookMs);
    }
    this.#ended += 1;
    this.#answered += 1;
  }

  #end(failure: string): void {
    this.#ended += 1;
    this.#failures[failure] = (this.#failures[failure] ?? 0) + 1;
  }

  #mark(): Mark {
    const { user, system } = process.cpuUsage();
    const thread = process.threadCpuUsage();
    return {
      parts: { ...this.#parts },
      processMs: (user + system) / 1_000,
      threadMs: (thread.user + thread.system) / 1_000,
      gatewayMs: this.#gateway.cpuMs,
    };
  }

  #cpu(from: Mark, to: Mark, timed: number) {
    const us = (ms: number): number => (ms * 1_000) / timed;
    const threadMs = to.threadMs - from.threadMs;
    const gatewayMs = to.gatewayMs - from.gatewayMs;
    const wall = (part: keyof Parts): number => to.parts[part] - from.parts[part];
    const allMs = wall("judge") + wall("begin") + wall("answer") + wall("rest");
    const share = (part: keyof Parts): number => us((threadMs * wall(part)) / allMs);
    return {
      judgeUs: share("judge"),
      beginUs: share("begin"),
      answerUs: share("answer"),
      gatewayUs: us(gatewayMs),
      helperUs: us(to.processMs - from.processMs - threadMs - gatewayMs),
    };
  }
}
