/** Turns of many tenants' moderators, messages made beforehand; see scenarios/moderate.ts. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { bindClassifier, loadClassifier } from "#classifier/classifier.ts";
import { ModeratorHost } from "#isolate/moderator-host.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import { Random } from "#std/random.ts";
import { allocatedBytes, collectGarbage } from "../allocation.ts";
import { quantile } from "../statistics.ts";
import { loadTalk, Talks } from "../talks.ts";
import { mustBeOk, serveMeasurement, START_MS } from "./isolates.ts";

export type JudgeSettings = {
  readonly tenants: number;
  /** Of each tenant. */
  readonly conversations: number;
  readonly slots: number;
  /** Messages of each conversation before those that are timed. */
  readonly turnsBefore: number;
  readonly messages: number;
  /** Messages of one tenant that are judged one after the other. */
  readonly batch: number;
  readonly seed: number;
  readonly corpus: string;
};

export type JudgeFigures = {
  readonly cpuUsPerMessage: number;
  /** Each turn timed. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly allocatedBytesPerMessage: number;
  readonly slotMissShare: number;
  readonly stateBytesPerConversation: number;
  readonly imageBytesPerConversation: number;
  readonly conversationCount: number;
  readonly evictedCount: number;
  readonly flaggedCount: number;
  readonly contextTurnsPerMessage: number;
  /** Of the verdicts on one more message in every conversation. */
  readonly digest: string;
};

type Step = { readonly tenants: Uint32Array; readonly ends: Uint32Array; readonly bytes: Buffer };

const COMPONENT = new URL("../../guests/dist/moderate.component.wasm", import.meta.url);
const IMAGE_BYTES_MAX = 8 * 2 ** 30;
/** Messages made at once. */
const STEP_MESSAGES = 50_000;
const MESSAGE_BYTES_MAX = 2_048;

serveMeasurement(measure);

async function measure(settings: JudgeSettings): Promise<JudgeFigures> {
  const judge = new Judge(settings, bindClassifier(await loadClassifier()));
  judge.openAll();
  for (const step of judge.eachConversation(settings.turnsBefore)) judge.run(step);
  const { stats } = judge.host;
  const missesBefore = stats.slotMisses;
  const samples = new Float64Array(settings.messages);
  let cpuMs = 0;
  let allocated = 0;
  let at = 0;
  for (const step of judge.drawn()) {
    collectGarbage();
    const allocatedBefore = allocatedBytes();
    const cpuStart = process.threadCpuUsage();
    judge.run(step, samples.subarray(at));
    const { user, system } = process.threadCpuUsage(cpuStart);
    cpuMs += (user + system) / 1000;
    allocated += allocatedBytes() - allocatedBefore;
    at += step.tenants.length;
  }
  const slotMissShare = (stats.slotMisses - missesBefore) / settings.messages;
  return {
    cpuUsPerMessage: (cpuMs * 1000) / settings.messages,
    p50Us: quantile(samples, 0.5),
    p99Us: quantile(samples, 0.99),
    p999Us: quantile(samples, 0.999),
    allocatedBytesPerMessage: allocated / settings.messages,
    slotMissShare,
    ...judge.told(),
  };
}

class Judge {
  readonly host: ModeratorHost;
  readonly #settings: JudgeSettings;
  readonly #component: number;
  readonly #talks: Talks;
  readonly #random: Random;
  readonly #writer = new RequestBytes();
  #nowMs = START_MS;

  constructor(settings: JudgeSettings, imports: ConstructorParameters<typeof ModeratorHost>[1]) {
    const { seed, corpus, tenants, conversations, slots } = settings;
    this.#settings = settings;
    this.host = new ModeratorHost(
      {
        slotCount: slots,
        imageBytesMax: IMAGE_BYTES_MAX,
        tenantCountMax: tenants,
        // As in the product, whose moderator is its own.
        guarded: false,
      },
      imports,
    );
    this.#component = this.host.admit(readFileSync(COMPONENT));
    const talk = loadTalk(corpus, seed);
    this.#talks = new Talks({ seed, talk, tenantCount: tenants, conversationCount: conversations });
    this.#random = new Random(seed + 1);
  }

  openAll(): void {
    const policy = policyBytes(POLICY_RECORD_DEFAULT)!;
    for (let tenant = 0; tenant < this.#settings.tenants; tenant++) {
      mustBeOk(this.host.open(tenant, this.#component, policy));
    }
  }

  /** So many messages for every conversation, tenant after tenant, conversations in turn. */
  *eachConversation(turns: number): Generator<Step> {
    const { tenants, conversations } = this.#settings;
    const perTenant = conversations * turns;
    const tenantsAtOnce = Math.max(1, Math.floor(STEP_MESSAGES / perTenant));
    for (let first = 0; first < tenants; first += tenantsAtOnce) {
      const count = Math.min(tenantsAtOnce, tenants - first);
      yield this.#step(count * perTenant, (index) => {
        const tenant = first + Math.floor(index / perTenant);
        return { tenant, conversation: index % conversations };
      });
    }
  }

  /** The messages that are timed: a tenant drawn, and conversations of it drawn for its batch. */
  *drawn(): Generator<Step> {
    const { tenants, conversations, messages, batch } = this.#settings;
    let tenant = 0;
    for (let from = 0; from < messages; from += STEP_MESSAGES) {
      const count = Math.min(STEP_MESSAGES, messages - from);
      yield this.#step(count, (index) => {
        if ((from + index) % batch === 0) tenant = this.#random.below(tenants);
        return { tenant, conversation: this.#random.below(conversations) };
      });
    }
  }

  run({ tenants, ends, bytes }: Step, samples?: Float64Array): void {
    const { host } = this;
    let at = 0;
    let nowMs = performance.now();
    for (let index = 0; index < tenants.length; index++) {
      const end = ends[index]!;
      const answer = host.judge(tenants[index]!, bytes, at, end - at);
      if (answer.outcome !== "ok") mustBeOk(answer.outcome);
      at = end;
      if (samples === undefined) continue;
      const doneMs = performance.now();
      samples[index] = (doneMs - nowMs) * 1000;
      nowMs = doneMs;
    }
  }

  /** What there is at the end, and what it says. */
  told() {
    const { tenants, conversations } = this.#settings;
    const live = tenants * conversations;
    let stateBytes = 0;
    let conversationCount = 0;
    let evictedCount = 0;
    for (let tenant = 0; tenant < tenants; tenant++) {
      const { outcome, report } = this.host.usage(tenant);
      mustBeOk(outcome);
      stateBytes += report!.stateBytes;
      conversationCount += report!.conversationCount;
      evictedCount += report!.evictedCount;
    }
    this.host.commitAll();
    return {
      stateBytesPerConversation: stateBytes / live,
      imageBytesPerConversation: this.host.stats.imageBytes / live,
      conversationCount,
      evictedCount,
      ...this.#digest(live),
    };
  }

  #digest(live: number) {
    const hash = createHash("sha256");
    let flaggedCount = 0;
    let contextTurns = 0;
    for (const { tenants, ends, bytes } of this.eachConversation(1)) {
      let at = 0;
      for (const [index, end] of ends.entries()) {
        const { outcome, report } = this.host.judge(tenants[index]!, bytes, at, end - at);
        mustBeOk(outcome);
        at = end;
        hash.update(JSON.stringify(report));
        if (report!.flagged !== 0) flaggedCount += 1;
        contextTurns += report!.contextUsed.length;
      }
    }
    return {
      flaggedCount,
      contextTurnsPerMessage: contextTurns / live,
      digest: hash.digest("hex").slice(0, 16),
    };
  }

  #step(
    count: number,
    of: (index: number) => { readonly tenant: number; readonly conversation: number },
  ): Step {
    const bytes = Buffer.allocUnsafe(count * MESSAGE_BYTES_MAX);
    const tenants = new Uint32Array(count);
    const ends = new Uint32Array(count);
    let end = 0;
    for (let index = 0; index < count; index++) {
      const { tenant, conversation } = of(index);
      this.#nowMs += 1;
      const written = this.#writer.write(this.#talks.next(tenant, conversation), this.#nowMs);
      if (typeof written === "string") throw new Error(`${written} of a message is too long`);
      bytes.set(this.#writer.bytes.subarray(0, written), end);
      end += written;
      tenants[index] = tenant;
      ends[index] = end;
    }
    return { tenants, ends, bytes };
  }
}
