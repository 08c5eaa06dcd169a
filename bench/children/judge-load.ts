/**
 * The load generator for moderation, a process of its own. It builds the requests of a phase when
 * it is told, sends them when it is told to go, and says what came back. The messages of all phases
 * are one stream: conversations go on from phase to phase.
 *
 * A paced phase does not wait for answers: requests fall due at a steady rate and are let go in the
 * next tick of a millisecond. Their time runs from being let go to the last byte of the answer, so
 * waiting for a free connection is in it; how late the generator itself was is told apart.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { buildRequest, Connection } from "../http-client.ts";
import { quantile } from "../statistics.ts";
import { loadTalk, Talks } from "../talks.ts";
import { seededTexts, tenantName } from "../workload.ts";

export type JudgeLoadSettings = {
  readonly port: number;
  readonly connections: number;
  readonly tenants: number;
  /** Of each tenant. */
  readonly conversations: number;
  readonly seed: number;
  readonly corpus: string;
};

export type JudgePhase = {
  /** Messages of a request; 1: a lone message, not a batch. */
  readonly batch: number;
  /** Left out: as fast as they are answered. */
  readonly messagesPerSecond?: number;
  readonly what:
    | { readonly kind: "drawn"; readonly messages: number }
    /** So many messages in every conversation. */
    | { readonly kind: "each"; readonly turns: number }
    /** One conversation of a tenant of its own, which grows by so many texts of so many bytes. */
    | {
        readonly kind: "grown";
        readonly id: string;
        readonly turns: number;
        readonly bytes: number;
      };
};

export type JudgeLoadResult = {
  readonly messages: number;
  readonly requests: number;
  readonly flagged: number;
  readonly seconds: number;
  readonly requestMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** How much later than due requests were let go, p99; 0 unless paced. */
  readonly lateP99Ms: number;
};

export type LoadedMessage = { readonly type: "loaded" };
export type BuiltMessage = { readonly type: "built" };
export type SentMessage = { readonly type: "sent"; readonly result: JudgeLoadResult };

type Request = { readonly bytes: Buffer; readonly messages: number };

const GROWING_TENANT = "growing";
const TICK_MS = 1;

process.channel?.ref();
process.on("message", (message: { type: string; settings?: JudgeLoadSettings }) => {
  if (message.type === "load") void load(message.settings!);
});

async function load(settings: JudgeLoadSettings): Promise<void> {
  const { port, connections: count } = settings;
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(port)));
  const builder = new Builder(settings);
  let requests: readonly Request[] = [];
  let phase: JudgePhase | undefined;
  process.on("message", (message: { type: string; phase?: JudgePhase }) => {
    if (message.type === "build") {
      phase = message.phase!;
      requests = builder.build(phase);
      process.send!({ type: "built" } satisfies BuiltMessage);
    } else if (message.type === "go") {
      void send(phase!, requests, connections).then((result) => {
        process.send!({ type: "sent", result } satisfies SentMessage);
      });
    }
  });
  process.send!({ type: "loaded" } satisfies LoadedMessage);
}

class Builder {
  readonly #settings: JudgeLoadSettings;
  readonly #talks: Talks;
  readonly #random: Random;

  constructor(settings: JudgeLoadSettings) {
    const { seed, corpus, tenants: tenantCount, conversations: conversationCount } = settings;
    this.#settings = settings;
    const talk = loadTalk(corpus, seed);
    this.#talks = new Talks({ seed, talk, tenantCount, conversationCount });
    this.#random = new Random(seed + 1);
  }

  build({ batch, what }: JudgePhase): readonly Request[] {
    if (what.kind === "grown") return this.#grown(what);
    return what.kind === "each" ? this.#each(what.turns, batch) : this.#drawn(what.messages, batch);
  }

  #each(turns: number, batch: number): Request[] {
    const { tenants, conversations } = this.#settings;
    const requests: Request[] = [];
    const count = turns * conversations;
    for (let tenant = 0; tenant < tenants; tenant++) {
      for (let from = 0; from < count; from += batch) {
        const length = Math.min(batch, count - from);
        const messages = Array.from({ length }, (_, index) => {
          return this.#talks.next(tenant, (from + index) % conversations);
        });
        requests.push(requestOf(tenantName(tenant), messages));
      }
    }
    return requests;
  }

  /** A tenant drawn for each request, and conversations of it for its messages. */
  #drawn(count: number, batch: number): Request[] {
    const { tenants, conversations } = this.#settings;
    return Array.from({ length: Math.ceil(count / batch) }, (_, request) => {
      const tenant = this.#random.below(tenants);
      const length = Math.min(batch, count - request * batch);
      const messages = Array.from({ length }, () => {
        return this.#talks.next(tenant, this.#random.below(conversations));
      });
      return requestOf(tenantName(tenant), messages);
    });
  }

  #grown({ id, turns, bytes }: JudgePhase["what"] & { kind: "grown" }): Request[] {
    const texts = seededTexts(this.#random, turns * Math.ceil(bytes / 16));
    let next = 0;
    return Array.from({ length: turns }, (_, turn) => {
      let text = "";
      while (text.length < bytes) text += `${texts[next++ % texts.length]!} `;
      const message = { id: `m${turn}`, conversation: id, user: `user${turn % 5}` };
      return requestOf(GROWING_TENANT, [{ ...message, text: text.slice(0, bytes) }]);
    });
  }
}

function requestOf(tenant: string, messages: readonly object[]): Request {
  const body = JSON.stringify(messages.length === 1 ? messages[0] : { messages });
  const bytes = buildRequest(`/v1/tenants/${tenant}/moderate`, "application/json", body);
  return { bytes, messages: messages.length };
}

async function send(
  { batch, messagesPerSecond }: JudgePhase,
  requests: readonly Request[],
  connections: readonly Connection[],
): Promise<JudgeLoadResult> {
  const sending = new Sending(requests, connections);
  const startMs = performance.now();
  if (messagesPerSecond === undefined) await sending.flat();
  else await sending.paced(messagesPerSecond / batch);
  const seconds = (performance.now() - startMs) / 1000;
  const { messages, flagged, latencies, lateness } = sending;
  const requestMs = {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    p999: quantile(latencies, 0.999),
  };
  const lateP99Ms = quantile(lateness, 0.99);
  return { messages, requests: requests.length, flagged, seconds, requestMs, lateP99Ms };
}

class Sending {
  messages = 0;
  flagged = 0;
  readonly latencies: Float64Array;
  readonly lateness: Float64Array;
  readonly #requests: readonly Request[];
  readonly #idle: Connection[];
  readonly #connectionCount: number;
  /** Of each request; those up to `#next` are on their way or answered. */
  readonly #letGoMs: Float64Array;
  #letGo = 0;
  #next = 0;
  #answered = 0;
  readonly #done = Promise.withResolvers<void>();

  constructor(requests: readonly Request[], connections: readonly Connection[]) {
    this.#requests = requests;
    this.#idle = [...connections];
    this.#connectionCount = connections.length;
    this.latencies = new Float64Array(requests.length);
    this.lateness = new Float64Array(requests.length);
    this.#letGoMs = new Float64Array(requests.length);
  }

  /** Each connection has a request on its way, always. */
  async flat(): Promise<void> {
    const work = async (connection: Connection): Promise<void> => {
      while (this.#next < this.#requests.length) {
        const index = this.#next++;
        this.#letGoMs[index] = performance.now();
        await this.#exchange(index, connection);
      }
    };
    await Promise.all(this.#idle.map(work));
  }

  async paced(requestsPerSecond: number): Promise<void> {
    const count = this.#requests.length;
    const startMs = performance.now();
    while (this.#letGo < count) {
      await sleep(TICK_MS);
      const nowMs = performance.now();
      const due = Math.min(count, 1 + Math.floor(((nowMs - startMs) / 1000) * requestsPerSecond));
      for (; this.#letGo < due; this.#letGo++) {
        this.#letGoMs[this.#letGo] = nowMs;
        this.lateness[this.#letGo] = nowMs - startMs - (this.#letGo * 1000) / requestsPerSecond;
      }
      this.#pump();
    }
    await this.#done.promise;
  }

  #pump(): void {
    while (this.#next < this.#letGo && this.#idle.length > 0) {
      const connection = this.#idle.pop()!;
      void this.#exchange(this.#next++, connection).then(
        () => {
          this.#idle.push(connection);
          if (this.#answered === this.#requests.length) this.#done.resolve();
          this.#pump();
        },
        (error: unknown) => this.#done.reject(error),
      );
    }
    assert(this.#idle.length <= this.#connectionCount);
  }

  async #exchange(index: number, connection: Connection): Promise<void> {
    const { bytes, messages } = this.#requests[index]!;
    const { status, body } = await connection.send(bytes);
    this.latencies[index] = performance.now() - this.#letGoMs[index]!;
    assert.equal(status, 200, body);
    // Reading it whole would take the core that the server needs.
    assert.equal(
      countOf(body, '"reason":'),
      messages,
      `a verdict a message: ${body.slice(0, 300)}`,
    );
    this.messages += messages;
    this.flagged += countOf(body, '"action":"flag"') + countOf(body, '"action":"block"');
    this.#answered += 1;
  }
}

function countOf(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length))
    count += 1;
  return count;
}
