/**
 * Words of which every tenant has its own, in all that it says and is called; and an upstream that
 * reads the prompts it is sent for them, answers most, and lets the others fail in many ways.
 */
import { failed, type UpstreamAnswer } from "#llm/completion.ts";
import type { ChatRequest, Sending } from "#llm/upstream.ts";
import { CATEGORIES } from "#model/moderation.ts";
import type { Random } from "#std/random.ts";
import { type AskedCase, casesOf, DelayWheel, USAGE } from "./model-stand-in.ts";

/** Of the upstream, if it answers. */
const LATENCY_MS_MAX = 120;
const CANARY = /zq[a-j]+qz/g;
/** What an answer says: whose it is, and which text's. */
const REPLY = /(zq[a-j]+qz) ([\w.-]+)/;
const SCORES = Object.fromEntries(CATEGORIES.map((category) => [category, 0.1]));

type Asked = {
  readonly request: ChatRequest;
  readonly cases: readonly AskedCase[];
  readonly canary: string;
  deliver: ((answer: UpstreamAnswer) => void) | undefined;
};

/** A word that no other tenant has, and no text by chance. */
export function canaryOf(tenant: number): string {
  return `zq${String(tenant).replaceAll(/\d/g, (digit) => "abcdefghij"[Number(digit)]!)}qz`;
}

export function canariesIn(text: string): readonly string[] {
  return text.match(CANARY) ?? [];
}

export function readReply(
  said: string,
): { readonly canary: string; readonly marker: string } | undefined {
  const [, canary, marker] = REPLY.exec(said) ?? [];
  return canary === undefined ? undefined : { canary, marker: marker! };
}

export class ReadingUpstream {
  requests = 0;
  canariesRead = 0;
  /** Canaries and markers of another tenant than the prompt's first. */
  crossed = 0;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #tenants: ReadonlyMap<string, number>;
  readonly #wheel: DelayWheel<Asked>;
  /** Of cases that were asked before, of whomever. */
  #staleIds: readonly string[] = [];

  constructor(tenantCount: number, random: Random, nowMs: () => number) {
    this.#random = random;
    this.#nowMs = nowMs;
    this.#tenants = new Map(Array.from({ length: tenantCount }, (_, n) => [canaryOf(n), n]));
    this.#wheel = new DelayWheel<Asked>(LATENCY_MS_MAX, nowMs());
  }

  send(request: ChatRequest, deliver: (answer: UpstreamAnswer) => void): Sending {
    const cases = casesOf(request.user);
    const canaries = canariesIn(request.user);
    const canary = canaries[0] ?? "";
    const tenant = this.#tenants.get(canary);
    this.requests += 1;
    this.canariesRead += canaries.length;
    for (const each of canaries) if (each !== canary) this.crossed += 1;
    for (const { marker } of cases) if (!marker.startsWith(`t${tenant}.`)) this.crossed += 1;
    const asked: Asked = { request, cases, canary, deliver };
    const cancel = (): void => {
      asked.deliver = undefined;
    };
    // Some are never answered.
    if (this.#random.chance(1, 50)) return { cancel };
    this.#wheel.add(asked, 1 + this.#random.below(LATENCY_MS_MAX - 2), this.#nowMs());
    return { cancel };
  }

  /** Answers what is due. */
  run(nowMs: number): void {
    this.#wheel.run(nowMs, (asked) => this.#answer(asked));
  }

  #answer(asked: Asked): void {
    const { deliver, cases } = asked;
    asked.deliver = undefined;
    if (deliver === undefined) return;
    const what = this.#random.below(100);
    if (what < 4) return deliver(failed("unavailable", "503", { mayRetry: true, usage: USAGE }));
    if (what < 5) return deliver(failed("unavailable", "reset", { opensBreaker: true }));
    if (what < 6) {
      return deliver(failed("rateLimited", "429", { mayRetry: true, retryAfterMs: 5 }));
    }
    if (what < 8) return deliver(contentOf('{"answers":[]}'));
    // An answer to somebody else's case.
    const ids = cases.map(({ id }) => id);
    const stale = this.#staleIds;
    this.#staleIds = ids;
    if (what < 10 && stale.length > 0) return deliver(contentOf(answersOf(asked, stale)));
    deliver(contentOf(answersOf(asked, ids)));
  }
}

function contentOf(content: string): UpstreamAnswer {
  return { kind: "content", content, usage: USAGE };
}

function answersOf({ request, cases, canary }: Asked, ids: readonly string[]): string {
  const isTldr = request.form.before.includes('"name":"tldr"');
  const answers = cases.map(({ marker }, n) => {
    const said = `${canary} ${marker}`;
    const id = ids[n] ?? "";
    return isTldr ? { id, sentences: [said] } : { id, scores: SCORES, reason: said };
  });
  return JSON.stringify({ answers });
}
