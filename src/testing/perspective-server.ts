/** A listening server with the doors in Perspective's form, and what its clients see of it. */
import { assembleServer } from "#cli/server.ts";
import type { Feedback } from "#model/feedback.ts";
import type { LanguageSource, LanguageSupport, ModerationRequest } from "#model/moderation.ts";
import { MemoryPolicyStore, MemoryVerdictHistory } from "#model/policy-store.ts";
import { openLog } from "#observe/log.ts";
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { FakeEngine } from "./fake-engine.ts";

export const KEY = "AIzaSyNotAKeyButNotToBeLoggedEither";
export const ANALYZE = `/v1alpha1/comments:analyze?key=${KEY}`;
export const SUGGEST = `/v1alpha1/comments:suggestscore?key=${KEY}`;

export type Score = { value: number; type: string };
type Scores = {
  summaryScore: Score;
  spanScores: { begin: number; end: number; score: Score }[];
};
export type Answer = {
  attributeScores?: Record<string, Scores>;
  languages: string[];
  detectedLanguages: string[];
  clientToken?: string;
};
type Detail = {
  "@type": string;
  errorType: string;
  languageNotSupportedByAttributeError?: Record<string, unknown>;
};
export type Failure = {
  error: { code: number; message: string; status: string; details?: Detail[] };
};

/** As `engine`, in any language. */
export class SpokenEngine extends FakeEngine {
  readonly asked: { tenant: string; request: ModerationRequest }[] = [];
  language: { tag: string; source: LanguageSource; support: LanguageSupport } | undefined;
  bug: Error | undefined;

  override async moderate(tenant: string, requests: readonly ModerationRequest[]) {
    if (this.bug !== undefined) throw this.bug;
    this.asked.push(...requests.map((request) => ({ tenant, request })));
    const outcomes = await super.moderate(tenant, requests);
    const { language } = this;
    if (language === undefined) return outcomes;
    return outcomes.map((outcome) => {
      return "verdict" in outcome ? { verdict: { ...outcome.verdict, language } } : outcome;
    });
  }
}

export async function openPerspective(t: TestContext) {
  const engine = new SpokenEngine();
  const logged: string[] = [];
  const labels: Feedback[] = [];
  const log = openLog("trace", { write: (line: string) => void logged.push(line) });
  const { server } = await assembleServer(engine, log, {
    moderation: {
      policies: new MemoryPolicyStore(),
      history: new MemoryVerdictHistory(),
      onFeedback: (feedback) => void labels.push(feedback),
    },
  });
  t.after(async () => server.close());
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const post = async (
    body: unknown,
    path = ANALYZE,
    headers: Record<string, string> = { "content-type": "application/json" },
  ): Promise<Response> => {
    const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return fetch(`${url}${path}`, { method: "POST", body: text, headers });
  };
  const analyze = async (body: unknown, path = ANALYZE): Promise<Answer> => {
    const response = await post(body, path);
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as Answer;
  };
  const refused = async (body: unknown, path = ANALYZE): Promise<Failure["error"]> => {
    const response = await post(body, path);
    const { error } = (await response.json()) as Failure;
    assert.equal(response.status, error.code);
    return error;
  };
  return { url, engine, logged, labels, post, analyze, refused };
}

export const idiot = { comment: { text: "you idiot" }, requestedAttributes: { TOXICITY: {} } };
