/**
 * The whole engine with its gateway's thread, in a process of its own, and two loads on it: the
 * neighbours' messages at an even rate, and beside them what a hostile tenant does. Each message is
 * asked about, and its time runs from when it fell due to its verdict.
 */
import { type Engine, startEngine } from "#engine/engine.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { CONTEXT_BYTES_MAX, CONTEXT_TURNS_MAX } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { moderationAt } from "../gateway-thread.ts";
import { readReason } from "../model-stand-in.ts";
import { quantile } from "../statistics.ts";
import { loadTalk, Talks } from "../talks.ts";
import { seededTexts } from "../workload.ts";

export type HostileSettings = {
  readonly port: number;
  readonly shards: number;
  readonly slots: number;
  readonly connections: number;
  readonly tenantRunningMax: number;
  readonly waitMsMax: number;
  readonly neighbours: number;
  /** Of each of them. */
  readonly conversations: number;
  readonly seed: number;
  readonly corpus: string;
};

export type HostileLoad = {
  /** Messages a second of the hostile tenant; 0: it is silent. */
  readonly messagesPerSecond: number;
  /** Bytes of its messages; 0: they are of the corpus. */
  readonly textBytes: number;
};

export type HostilePhase = {
  readonly seconds: number;
  /** Of all neighbours. */
  readonly messagesPerSecond: number;
  readonly hostile: HostileLoad;
};

export type PhaseFigures = {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of those that the upstream answered, less what it took itself. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  /** Verdicts of neighbours without the upstream's answer. */
  readonly degraded: number;
  readonly hostileMessages: number;
  readonly hostileDegraded: number;
  /** Of the hostile tenant: of the last calls' prompts. */
  readonly hostilePromptBytesMax: number;
  readonly crossed: number;
  /** How much later than due messages were let go, p99. */
  readonly lateP99Ms: number;
};

export type EngineReady = { readonly type: "ready" };
export type PhaseDone = { readonly type: "phase"; readonly figures: PhaseFigures };

/** The hostile tenant's number, name and the first part of its markers. */
const HOSTILE = "t0";
const TICK_MS = 1;
const IMAGE_BYTES_MAX = 1 << 30;
const LONG_CONVERSATION = "long";
const LONG_CONTEXT = {
  ...POLICY_DEFAULT.context,
  turnsMax: CONTEXT_TURNS_MAX,
  bytesMax: CONTEXT_BYTES_MAX,
};

process.channel?.ref();
process.once("message", ({ settings }: { settings: HostileSettings }) => void serve(settings));

async function serve(settings: HostileSettings): Promise<void> {
  const { port, shards, slots, connections, tenantRunningMax, neighbours } = settings;
  const llm = { ...moderationAt(port, connections), tenantRunningMax };
  const engine = await startEngine({
    shardCount: shards,
    slotCount: slots,
    imageBytesMax: IMAGE_BYTES_MAX,
    tenantCountMax: neighbours + 1,
    llm,
  });
  const load = new Load(engine, settings);
  await load.putPolicies();
  process.on("message", (message: { type: string; phase?: HostilePhase }) => {
    if (message.type !== "phase") return;
    void load.run(message.phase!).then((figures) => {
      process.send!({ type: "phase", figures } satisfies PhaseDone);
    });
  });
  process.send!({ type: "ready" } satisfies EngineReady);
}

class Load {
  readonly #engine: Engine;
  readonly #settings: HostileSettings;
  readonly #talks: Talks;
  readonly #random: Random;
  #said = 0;

  constructor(engine: Engine, settings: HostileSettings) {
    const { seed, corpus, neighbours, conversations: conversationCount } = settings;
    this.#engine = engine;
    this.#settings = settings;
    const talk = loadTalk(corpus, seed);
    this.#talks = new Talks({ seed, talk, tenantCount: neighbours + 1, conversationCount });
    this.#random = new Random(seed + 1);
  }

  /** Everything is asked about; the hostile tenant has as much context as a policy may have. */
  async putPolicies(): Promise<void> {
    const { neighbours, waitMsMax } = this.#settings;
    for (let tenant = 0; tenant <= neighbours; tenant++) {
      const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const, weight: 1, waitMsMax };
      const context = tenant === 0 ? LONG_CONTEXT : POLICY_DEFAULT.context;
      const policy = { ...POLICY_DEFAULT, consult, context };
      const record = { version: 1, setAtMs: 0, note: undefined, policy };
      await this.#engine.putPolicy(`t${tenant}`, record);
    }
  }

  async run({ seconds, messagesPerSecond, hostile }: HostilePhase): Promise<PhaseFigures> {
    const { neighbours } = this.#settings;
    const texts = hostile.textBytes > 0 ? longTexts(this.#random, hostile.textBytes) : undefined;
    const verdicts: Promise<void>[] = [];
    const [ours, theirs] = [new Times(), new Times()];
    const neighbour = new Pace(messagesPerSecond, seconds);
    const other = new Pace(hostile.messagesPerSecond, seconds);
    const lateness: number[] = [];
    const over = Promise.withResolvers<void>();
    const startMs = performance.now();
    const ticking = setInterval(() => {
      const sinceMs = performance.now() - startMs;
      for (const dueMs of neighbour.due(sinceMs)) {
        const tenant = 1 + this.#random.below(neighbours);
        lateness.push(performance.now() - startMs - dueMs);
        verdicts.push(this.#ask(tenant, this.#message(tenant, undefined), startMs + dueMs, ours));
      }
      for (const dueMs of other.due(sinceMs)) {
        verdicts.push(this.#ask(0, this.#message(0, texts), startMs + dueMs, theirs));
      }
      if (neighbour.isOver && other.isOver) over.resolve();
    }, TICK_MS);
    await over.promise;
    clearInterval(ticking);
    await Promise.all(verdicts);
    const { traces } = await this.#engine.llm!.stats();
    const prompts = traces.filter(({ tenant }) => tenant === HOSTILE);
    return {
      messages: neighbour.count,
      p50Ms: quantile(Float64Array.from(ours.ms), 0.5),
      p99Ms: quantile(Float64Array.from(ours.ms), 0.99),
      addedP50Ms: quantile(Float64Array.from(ours.addedMs), 0.5),
      addedP99Ms: quantile(Float64Array.from(ours.addedMs), 0.99),
      degraded: ours.degraded,
      hostileMessages: other.count,
      hostileDegraded: theirs.degraded,
      hostilePromptBytesMax: Math.max(0, ...prompts.map(({ promptBytes }) => promptBytes)),
      crossed: ours.crossed + theirs.crossed,
      lateP99Ms: quantile(Float64Array.from(lateness), 0.99),
    };
  }

  #message(tenant: number, texts: readonly string[] | undefined): ModerationRequest {
    const { conversations } = this.#settings;
    const said = this.#talks.next(tenant, this.#random.below(conversations));
    this.#said += 1;
    const marker = `(t${tenant}.${this.#said})`;
    if (texts === undefined) return { ...said, text: `${said.text} ${marker}` };
    const text = texts[this.#said % texts.length]!;
    return { user: said.user!, conversation: LONG_CONVERSATION, text: `${text} ${marker}` };
  }

  async #ask(
    tenant: number,
    message: ModerationRequest,
    dueMs: number,
    times: Times,
  ): Promise<void> {
    const said = this.#said;
    const [outcome] = await this.#engine.moderate(`t${tenant}`, [message]);
    const tookMs = performance.now() - dueMs;
    if (outcome === undefined || !("verdict" in outcome)) {
      throw new Error(`a message of t${tenant} has no verdict: ${JSON.stringify(outcome)}`);
    }
    const { verdict } = outcome;
    if (verdict.upstream === undefined) throw new Error("the policy has everything asked");
    times.add(tookMs, verdict.degraded);
    if (verdict.degraded) return;
    const read = readReason(verdict.reason);
    if (read?.marker === `t${tenant}.${said}`) times.addedMs.push(tookMs - read.tookMs);
    else times.crossed += 1;
  }
}

class Times {
  readonly ms: number[] = [];
  readonly addedMs: number[] = [];
  degraded = 0;
  crossed = 0;

  add(ms: number, isDegraded: boolean): void {
    this.ms.push(ms);
    if (isDegraded) this.degraded += 1;
  }
}

/** An even rate: what falls due within a tick is let go at its end. */
class Pace {
  readonly count: number;
  readonly #everyMs: number;
  #next = 0;

  constructor(perSecond: number, seconds: number) {
    this.count = Math.round(perSecond * seconds);
    this.#everyMs = 1_000 / perSecond;
  }

  get isOver(): boolean {
    return this.#next === this.count;
  }

  *due(sinceMs: number): Generator<number> {
    for (; this.#next < this.count; this.#next++) {
      const dueMs = Math.ceil((this.#next * this.#everyMs) / TICK_MS) * TICK_MS;
      if (dueMs > sinceMs) return;
      yield dueMs;
    }
  }
}

function longTexts(random: Random, bytes: number): readonly string[] {
  const words = seededTexts(random, 16 * Math.ceil(bytes / 16));
  let next = 0;
  return Array.from({ length: 16 }, () => {
    let text = "";
    while (text.length < bytes) text += `${words[next++ % words.length]!} `;
    return text.slice(0, bytes);
  });
}
