/**
 * Calls at random through the product's own code, in simulated time and in one thread, so that a
 * seed is a run: moderators in few slots, `Consultations`, a `Desk` with its gateway, and an
 * upstream within the process that reads every prompt. Each tenant has a word of its own, its
 * canary, in every text, name and id; whoever is shown another's has been shown what is not his.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { bindClassifier, loadClassifier } from "#classifier/classifier.ts";
import { ModeratorHost } from "#isolate/moderator-host.ts";
import { Desk, type DeskPort } from "#llm/desk.ts";
import type { CallEnd, CallMessage, EndedCall, EndMessage } from "#llm/protocol.ts";
import { Upstream } from "#llm/upstream.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { type PromptPart, writePromptParts } from "#model/prompt-parts.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import { Consultations, type Review } from "#shard/consultations.ts";
import type { ReviewEnded } from "#shard/protocol.ts";
import { Random } from "#std/random.ts";
import { canariesIn, canaryOf, ReadingUpstream, readReply } from "../canaries.ts";
import { moderationAt, UNBOUNDED } from "../gateway-thread.ts";
import { seededTexts } from "../workload.ts";
import { mustBeOk, serveMeasurement, START_MS } from "./isolates.ts";

export type BleedSettings = {
  readonly calls: number;
  readonly tenants: number;
  readonly slots: number;
  readonly seed: number;
  /** Mixes up two tenants now and then, as a server that bleeds would: the checks must see it. */
  readonly sabotages?: "prompts" | "answers" | "memories";
};

export type BleedFigures = {
  readonly calls: number;
  /** By outcome. */
  readonly ends: Readonly<Record<string, number>>;
  /** Canaries that stood where they must not. */
  readonly crossed: {
    readonly prompts: number;
    readonly answers: number;
    readonly memories: number;
  };
  /** Ends of calls that had ended, and calls that never did. */
  readonly endedTwice: number;
  readonly forgotten: number;
  readonly requests: number;
  readonly canariesRead: number;
  readonly evictions: number;
  readonly cancels: number;
  readonly tenantsReopened: number;
  readonly policiesChanged: number;
  readonly gatewayRestarts: number;
  readonly shardRestarts: number;
  /** Of all ends in their order. */
  readonly digest: string;
};

const COMPONENT = new URL("../../guests/dist/moderate.component.wasm", import.meta.url);
const IMAGE_BYTES_MAX = 1 << 30;
const CONNECTIONS = 96;
const TENANT_RUNNING_MAX = 6;
const CACHE_MS_MAX = 4_000;
const CONVERSATIONS = 3;
const POOL_TEXTS = 12;
const WORDS = 2_000;
const MEMORY_CHECK_CALLS = 20_000;
const YIELD_CALLS = 2_000;
const DRAIN_MS_MAX = 120_000;
const SABOTAGE_EVERY = 50;

/** Somebody waits for the end of a call. */
type Waiting = { readonly tenant: number; readonly marker: string };

serveMeasurement(async (settings: BleedSettings) => {
  const bleed = new Bleed(settings, bindClassifier(await loadClassifier()));
  return bleed.run();
});

class Bleed {
  readonly #settings: BleedSettings;
  readonly #imports: ConstructorParameters<typeof ModeratorHost>[1];
  readonly #random: Random;
  readonly #component = readFileSync(COMPONENT);
  readonly #writer = new RequestBytes();
  readonly #words: readonly string[];
  readonly #canaries: readonly string[];
  readonly #hash = createHash("sha256");
  #nowMs = START_MS;
  // The shard's side, and the gateway's.
  #host!: ModeratorHost;
  #consultations!: Consultations;
  #moderator = 0;
  readonly #policyVersions: Uint32Array;
  #desk!: Desk;
  #isUnflushed = false;
  #shardPort!: DeskPort;
  #shardChannel!: { readonly ours: MessagePort; readonly theirs: MessagePort };
  #enginePort!: DeskPort;
  readonly #upstream: ReadingUpstream;
  // Books: reviews by id of their verdict, calls of the engine by number.
  readonly #reviews = new Map<string, Waiting>();
  readonly #engineCalls = new Map<number, Waiting>();
  readonly #fresh: Review[] = [];
  #number = 0;
  #calls = 0;
  readonly #ends: Record<string, number> = {};
  readonly #crossed = { answers: 0, memories: 0 };
  #endedTwice = 0;
  #canariesRead = 0;
  #evictions = 0;
  #cancels = 0;
  #tenantsReopened = 0;
  #policiesChanged = 0;
  #gatewayRestarts = 0;
  #shardRestarts = 0;

  constructor(settings: BleedSettings, imports: ConstructorParameters<typeof ModeratorHost>[1]) {
    const { seed, tenants } = settings;
    this.#settings = settings;
    this.#imports = imports;
    this.#random = new Random(seed);
    this.#words = seededTexts(this.#random, WORDS);
    this.#canaries = Array.from({ length: tenants }, (_, tenant) => canaryOf(tenant));
    this.#policyVersions = new Uint32Array(tenants).fill(1);
    this.#upstream = new ReadingUpstream(tenants, this.#random, () => this.#nowMs);
    Upstream.prototype.send = (request, deliver) => this.#upstream.send(request, deliver);
    this.#startGateway();
    this.#startShard();
  }

  async run(): Promise<BleedFigures> {
    const { calls } = this.#settings;
    let checked = 0;
    let yielded = 0;
    while (this.#calls < calls) {
      this.#act();
      if (this.#random.chance(1, 4)) this.#pass(1 + this.#random.below(8));
      if (this.#calls - checked >= MEMORY_CHECK_CALLS) {
        checked = this.#calls;
        this.#checkMemories();
      }
      if (this.#calls - yielded >= YIELD_CALLS) {
        yielded = this.#calls;
        // Ports that were closed are let go of.
        await new Promise(setImmediate);
      }
    }
    const endMs = this.#nowMs + DRAIN_MS_MAX;
    while (this.#openCount > 0 && this.#nowMs < endMs) this.#pass(8);
    this.#checkMemories();
    this.#evictions += this.#host.stats.evictions;
    this.#shardChannel.ours.close();
    return {
      calls: this.#calls,
      ends: this.#ends,
      crossed: { ...this.#crossed, prompts: this.#upstream.crossed },
      endedTwice: this.#endedTwice,
      forgotten: this.#openCount,
      requests: this.#upstream.requests,
      canariesRead: this.#canariesRead + this.#upstream.canariesRead,
      evictions: this.#evictions,
      cancels: this.#cancels,
      tenantsReopened: this.#tenantsReopened,
      policiesChanged: this.#policiesChanged,
      gatewayRestarts: this.#gatewayRestarts,
      shardRestarts: this.#shardRestarts,
      digest: this.#hash.digest("hex").slice(0, 16),
    };
  }

  get #openCount(): number {
    return this.#reviews.size + this.#engineCalls.size;
  }

  #act(): void {
    const random = this.#random;
    const tenant = random.below(this.#settings.tenants);
    const what = random.below(10_000);
    if (what < 8_500) this.#say(tenant);
    else if (what < 9_300) this.#askDirectly(tenant);
    else if (what < 9_700) this.#cancelOne();
    else if (what < 9_900) this.#pass(1 + random.below(40));
    else if (what < 9_960) this.#changePolicy(tenant);
    else if (what < 9_992) this.#reopen(tenant);
    else if (what < 9_996) this.#restartGateway();
    else this.#restartShard();
  }

  // What tenants say.

  #say(tenant: number): void {
    const messages = this.#random.chance(1, 10) ? 1 + this.#random.below(20) : 1;
    for (let n = 0; n < messages; n++) this.#sayOne(tenant);
  }

  #sayOne(tenant: number): void {
    const consultations = this.#consultations;
    const { marker, text } = this.#text(tenant);
    const host = this.#host;
    if (!host.isOpen(tenant)) mustBeOk(host.open(tenant, this.#moderator, this.#policy(tenant)));
    const message = this.#mixedMessage(this.#message(tenant, marker, text), tenant);
    const byteCount = this.#writer.write(message, this.#nowMs);
    if (typeof byteCount === "string") throw new Error(`${byteCount} of a message is too long`);
    const { bytes } = this.#writer;
    const { outcome, report } = host.judge(tenant, bytes, 0, byteCount);
    mustBeOk(outcome);
    for (const turn of report!.contextUsed) this.#look(turn.id ?? "", tenant, "memories");
    this.#look(report!.reason, tenant, "memories");
    this.#calls += 1;
    this.#number += 1;
    const call = consultations.callAfter(tenant, consultations.lastCallOf(tenant));
    const tooMany = consultations.openCountOf(tenant) >= 60;
    const begun = tooMany ? undefined : host.beginReview(tenant, call, bytes, 0, byteCount);
    if (begun?.asked === undefined) {
      return this.#end(begun === undefined ? "tooManyOpen" : begun.outcome, marker, "");
    }
    const id = `${this.#number}`;
    this.#reviews.set(id, { tenant, marker });
    const review = consultations.begin(
      {
        tenant,
        name: nameOf(tenant),
        id,
        call,
        asked: begun.asked,
        policyVersion: this.#policyVersions[tenant]!,
        waitMsMax: 60 + this.#random.below(1_500),
      },
      this.#nowMs,
    );
    if (this.#random.chance(1, 16)) this.#fresh.push(review);
  }

  /** Texts of a pool are said again and again: they are cached, and asked by many at once. */
  #text(tenant: number): { readonly marker: string; readonly text: string } {
    const random = this.#random;
    const canary = this.#canaries[tenant]!;
    const isOfPool = random.chance(1, 5);
    const of = isOfPool ? `p${random.below(POOL_TEXTS)}` : `${this.#number + 1}`;
    const marker = `t${tenant}.${of}`;
    if (isOfPool) return { marker, text: `${canary} ${this.#words[tenant]!} (${marker})` };
    const count = random.chance(1, 200) ? 200 : 1 + random.below(3);
    const words = Array.from({ length: count }, () => this.#words[random.below(WORDS)]!);
    return { marker, text: `${canary} ${words.join(` ${canary}\n`)} ${canary} (${marker})` };
  }

  #message(tenant: number, marker: string, text: string): ModerationRequest {
    const random = this.#random;
    const canary = this.#canaries[tenant]!;
    const isOfPool = marker.includes(".p");
    const conversation = isOfPool ? undefined : `${canary}-${random.below(CONVERSATIONS)}`;
    return {
      id: `${canary}-${marker}`,
      user: `${canary}-${isOfPool ? 0 : random.below(4)}`,
      ...(conversation !== undefined && { conversation }),
      text,
      tsMs: this.#nowMs,
      doNotStore: random.chance(1, 10),
    };
  }

  /** As TL;DRs and summaries are asked for: by the engine, over a port of its own. */
  #askDirectly(tenant: number): void {
    const { marker, text } = this.#text(tenant);
    const name = this.#canaries[tenant]!;
    const job = this.#random.chance(1, 2) ? ("tldr" as const) : ("moderation" as const);
    const kind: PromptPart["kind"] = job === "tldr" ? "fact" : "subject";
    this.#calls += 1;
    this.#number += 1;
    const request = this.#number;
    this.#engineCalls.set(request, { tenant, marker });
    const prompt = writePromptParts([{ kind, name, text }]);
    const waitMsMax = 40 + this.#random.below(1_000);
    const call = { request, tenant: nameOf(tenant), job, prompt, policyVersion: 1, waitMsMax };
    this.#enginePort.take({ type: "ask", calls: [call] });
  }

  // What becomes of it.

  #cancelOne(): void {
    this.#cancels += 1;
    const review = this.#fresh.pop();
    if (review !== undefined && !review.isSent) {
      // Nobody is to be told of it.
      if (this.#reviews.delete(review.id)) this.#count("dropped");
      return this.#consultations.drop(review);
    }
    const requests = [...this.#engineCalls.keys()];
    if (requests.length === 0) return;
    const request = requests[this.#random.below(requests.length)]!;
    this.#enginePort.take({ type: "cancel", requests: [request] });
  }

  /** Its moderator is gone, with all that it remembers; what waits of it is cancelled. */
  #reopen(tenant: number): void {
    this.#tenantsReopened += 1;
    if (!this.#host.isOpen(tenant)) return;
    while (this.#consultations.hasDue) this.#pass(0);
    this.#host.close(tenant);
    this.#consultations.checkTenant(tenant);
    this.#takeEnded();
  }

  #changePolicy(tenant: number): void {
    this.#policiesChanged += 1;
    this.#policyVersions[tenant]! += 1;
    if (this.#host.isOpen(tenant)) mustBeOk(this.#host.configure(tenant, this.#policy(tenant)));
    const budget = { callsPerMinute: 30, tokensPerMinute: 1e5, microsPerDay: 1e6 };
    const limits = this.#random.chance(1, 4) ? { budget, runningMax: 1 } : { budget: UNBOUNDED };
    this.#desk.putLimits(nameOf(tenant), limits);
  }

  #policy(tenant: number): Uint8Array {
    const guidance = `${this.#canaries[tenant]!} is what we say here`;
    const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const, weight: 1, guidance };
    const version = this.#policyVersions[tenant]!;
    const policy = { ...POLICY_DEFAULT, consult };
    return policyBytes({ version, setAtMs: 0, note: undefined, policy })!;
  }

  #startShard(): void {
    const { slots, tenants } = this.#settings;
    this.#host = new ModeratorHost(
      {
        slotCount: slots,
        imageBytesMax: IMAGE_BYTES_MAX,
        tenantCountMax: tenants,
        guarded: false,
      },
      this.#imports,
    );
    this.#moderator = this.#host.admit(this.#component);
    this.#consultations = new Consultations(this.#host, this.#attach());
  }

  /** With everything that its tenants remember; who waits is told so. */
  #restartShard(): void {
    this.#shardRestarts += 1;
    this.#evictions += this.#host.stats.evictions;
    this.#consultations.stop(this.#nowMs);
    this.#takeEnded();
    this.#fresh.length = 0;
    this.#shardPort.close();
    this.#shardChannel.ours.close();
    this.#startShard();
  }

  #startGateway(): void {
    const { tenants } = this.#settings;
    const { jobs, ...settings } = moderationAt(1, CONNECTIONS);
    const upstream = { ...jobs.moderation!, hedges: true };
    this.#desk = new Desk({
      settings: {
        ...settings,
        jobs: { moderation: upstream, tldr: upstream },
        tenantRunningMax: TENANT_RUNNING_MAX,
        cacheMsMax: CACHE_MS_MAX,
      },
      // A few less than there are tenants: numbers are used again, for others.
      tenantCountMax: Math.ceil(tenants * 0.9),
      nowMs: () => this.#nowMs,
      random: () => this.#random.unit(),
      cpuMs: () => 0,
      soon: () => (this.#isUnflushed = true),
    });
    this.#enginePort = this.#desk.openPort(({ ends }) => this.#takeEngineEnds(ends));
  }

  /** The new one has forgotten what was asked, as when its thread died. */
  #restartGateway(): void {
    this.#gatewayRestarts += 1;
    this.#pump();
    for (const request of this.#engineCalls.keys()) {
      this.#endEngineCall({ request, end: { failure: "interrupted", detail: "" }, waitMs: 0 });
    }
    this.#shardChannel.ours.close();
    this.#startGateway();
    this.#consultations.attach(this.#attach());
  }

  /** A port of the desk, whose other end is the shard's. */
  #attach(): MessagePort {
    const { port1: ours, port2: theirs } = new MessageChannel();
    this.#shardChannel = { ours, theirs };
    this.#shardPort = this.#desk.openPort((message) => ours.postMessage(this.#mixed(message)));
    return theirs;
  }

  /** Both threads, and the upstream, for so many milliseconds. */
  #pass(ms: number): void {
    for (let n = 0; n < ms; n++) {
      this.#nowMs += 1;
      this.#upstream.run(this.#nowMs);
      this.#desk.tick();
    }
    this.#consultations.step(this.#nowMs);
    this.#takeEnded();
    this.#fresh.length = 0;
    this.#pump();
    this.#consultations.step(this.#nowMs);
    this.#takeEnded();
  }

  #pump(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#shardChannel.ours) as
        | { message: CallMessage }
        | undefined;
      if (received === undefined) break;
      this.#shardPort.take(this.#mixedCalls(received.message));
    }
    this.#desk.tick();
    while (this.#isUnflushed) {
      this.#isUnflushed = false;
      this.#desk.flush();
    }
  }

  #takeEnded(): void {
    for (const ended of this.#consultations.takeEnded()) this.#endReview(ended);
  }

  #endReview({ id, outcome, opinion }: ReviewEnded): void {
    const waiting = this.#reviews.get(id);
    if (waiting === undefined) this.#endedTwice += 1;
    if (waiting === undefined) return;
    this.#reviews.delete(id);
    this.#checkEnd(waiting, outcome, opinion?.reason);
  }

  #takeEngineEnds(ends: readonly EndedCall[]): void {
    for (const ended of ends) this.#endEngineCall(ended);
  }

  #endEngineCall({ request, end }: EndedCall): void {
    const waiting = this.#engineCalls.get(request);
    if (waiting === undefined) this.#endedTwice += 1;
    if (waiting === undefined) return;
    this.#engineCalls.delete(request);
    if ("failure" in end) return this.#checkEnd(waiting, end.failure, undefined);
    const said = Buffer.from(end.answer).toString("latin1");
    this.#checkEnd(waiting, end.isCached ? "cached" : "answered", said);
  }

  /** `said`: what it was answered; undefined: it was not. */
  #checkEnd({ tenant, marker }: Waiting, outcome: string, said: string | undefined): void {
    if (said !== undefined) {
      this.#look(said, tenant, "answers");
      const reply = readReply(said);
      const isOwn = reply?.canary === this.#canaries[tenant] && reply?.marker === marker;
      if (!isOwn) this.#crossed.answers += 1;
    }
    this.#end(outcome, marker, said ?? "");
  }

  #end(outcome: string, marker: string, said: string): void {
    this.#count(outcome);
    this.#hash.update(`${marker} ${outcome} ${readReply(said)?.marker}\n`);
  }

  #count(outcome: string): void {
    this.#ends[outcome] = (this.#ends[outcome] ?? 0) + 1;
  }

  #checkMemories(): void {
    for (let tenant = 0; tenant < this.#settings.tenants; tenant++) {
      if (!this.#host.isOpen(tenant)) continue;
      for (let n = 0; n < CONVERSATIONS; n++) {
        const id = `${this.#canaries[tenant]!}-${n}`;
        const { outcome, report } = this.#host.conversation(tenant, id);
        mustBeOk(outcome);
        for (const { user, text } of report!) this.#look(`${user} ${text}`, tenant, "memories");
      }
    }
  }

  /** All canaries in it are the tenant's. */
  #look(text: string, tenant: number, where: "answers" | "memories"): void {
    const own = this.#canaries[tenant]!;
    for (const canary of canariesIn(text)) {
      this.#canariesRead += 1;
      if (canary !== own) this.#crossed[where] += 1;
    }
  }

  // As a server that bleeds would do it.

  /** In the text that is remembered, a word of the tenant after it. */
  #mixedMessage(message: ModerationRequest, tenant: number): ModerationRequest {
    const isMixed = this.#settings.sabotages === "memories";
    if (!isMixed || !this.#random.chance(1, SABOTAGE_EVERY)) return message;
    const other = canaryOf((tenant + 1) % this.#settings.tenants);
    return { ...message, text: `${other} ${message.text}` };
  }

  #mixed(message: EndMessage): EndMessage {
    if (this.#settings.sabotages !== "answers" || !this.#random.chance(1, SABOTAGE_EVERY)) {
      return message;
    }
    const ends = message.ends.map((each, n) => ({
      ...each,
      end: message.ends[(n + 1) % message.ends.length]!.end satisfies CallEnd,
    }));
    return { ...message, ends };
  }

  #mixedCalls(message: CallMessage): CallMessage {
    const isMixed = this.#settings.sabotages === "prompts" && message.type === "ask";
    if (!isMixed || !this.#random.chance(1, SABOTAGE_EVERY)) return message;
    const calls = message.calls.map((each, n) => ({
      ...each,
      prompt: message.calls[(n + 1) % message.calls.length]!.prompt,
    }));
    return { ...message, calls };
  }
}

function nameOf(tenant: number): string {
  return `tenant-${canaryOf(tenant)}`;
}
