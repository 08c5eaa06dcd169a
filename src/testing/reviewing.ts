/** A review store for tests: verdicts to put into it, a clock to move, a desk behind a server. */
import { assembleServer } from "#cli/server.ts";
import { type Category, eachCategory, type Verdict } from "#model/moderation.ts";
import { openLog } from "#observe/log.ts";
import type { Outgoing } from "#review/courier.ts";
import { ReviewDesk } from "#review/desk.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { FakeEngine } from "./fake-engine.ts";

export const START_MS = 1_700_000_000_000;

/** An id in the form of verdicts. */
export function verdictId(number: number): string {
  return `v_${String(number).padStart(26, "0")}`;
}

export function flaggedVerdict(number: number, more: Partial<Verdict> = {}): Verdict {
  const flagged: Category = "insult";
  return {
    id: verdictId(number),
    tenant: "acme",
    messageId: `m${number}`,
    conversation: undefined,
    user: `user${number}`,
    action: "flag",
    proposedAction: "flag",
    flagged: true,
    categories: eachCategory((category) => category === flagged),
    scores: eachCategory((category) => (category === flagged ? 0.9 : 0.1)),
    thresholds: eachCategory(() => 0.6),
    toxicityAlone: 0.1,
    severity: 60,
    spans: [],
    contextUsed: [],
    reason: "It insults.",
    language: { tag: "en", source: "detected", support: "full" },
    listEntry: undefined,
    policy: { version: 0, source: "default" },
    model: "fake",
    asOfMs: START_MS + number,
    degraded: false,
    ...more,
  };
}

export function tempFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-review-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export type Answer<Body> = {
  readonly status: number;
  readonly body: Body;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
};

/** A server on a fake engine and a real store. */
export async function openReviewing(
  t: TestContext,
  path: string,
  send?: (outgoing: Outgoing) => Promise<number>,
) {
  const clock = { nowMs: START_MS };
  const engine = new FakeEngine();
  const log = openLog("silent");
  const desk = await ReviewDesk.open({
    path,
    log,
    targets: "loopback",
    turns: async (tenant, conversation) => engine.turns(tenant, conversation),
    nowMs: () => clock.nowMs,
    seed: 7,
    ...(send === undefined ? {} : { send }),
  });
  const { server } = await assembleServer(engine, log, {
    moderation: {
      policies: desk.policies,
      history: desk.history,
      onFeedback: (feedback) => desk.takeFeedback(feedback),
      reviews: desk,
    },
  });
  const close = async (): Promise<void> => {
    await server.close();
    await desk.close();
  };
  t.after(close);
  const ask = async <Body = Record<string, unknown>>(
    method: "GET" | "PUT" | "POST" | "DELETE",
    url: string,
    body?: object,
    headers: { [name: string]: string } = {},
  ): Promise<Answer<Body>> => {
    const request = { method, url: `/v1/tenants/acme${url}`, headers };
    const response = await server.inject(
      body === undefined ? request : { ...request, payload: body },
    );
    const isJson = String(response.headers["content-type"]).includes("json");
    const parsed = isJson && !response.headers["content-type"]?.toString().includes("ndjson");
    return {
      status: response.statusCode,
      body: (parsed ? response.json() : {}) as Body,
      text: response.body,
      headers: response.headers,
    };
  };
  return { engine, desk, server, clock, ask, close };
}
