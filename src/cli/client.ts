/** A client of a running server: what replay, tap, summary, moderate, demo and doctor ask of it. */
import type { OfferAnswer } from "#engine/door.ts";
import type { Backup, BackupList } from "#model/backup.ts";
import type { TenantInspection } from "#model/inspection.ts";
import type { NotReviewedPage, ReviewPage, ReviewStats } from "#model/review.ts";
import type { ConversationAnswer, SummaryAnswer } from "#model/summary-answer.ts";
import type { Clock, TenantStatus } from "#model/tenant.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import type { VerdictAnswer, VerdictsAnswer } from "#model/verdict-answer.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "./terminal.ts";

/** A server that is busy is there, too; a port that nobody holds says so at once. */
const PROBE_MS_MAX = 10_000;
const RETRY_COUNT_MAX = 30;
const RETRY_AFTER_SECONDS_DEFAULT = 1;

/** An answer that is no success; `code` is the server's. */
export class AnswerError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.name = "AnswerError";
    this.status = status;
    this.code = code;
  }
}

export type Probe = "ours" | "other" | "nobody";

type ReviewsQuery = {
  readonly state: string;
  readonly limit: number;
  readonly degraded?: boolean;
};
type SummaryQuery = { readonly window: string; readonly limit: number };

export class Client {
  readonly url: string;
  readonly #key: string | undefined;

  constructor(url: string, key = keyOfEnvironment()) {
    this.url = url.replace(/\/+$/, "");
    this.#key = key;
  }

  /** Who answers there: our server (ready or not), something else, or nobody. */
  async probe(): Promise<Probe> {
    try {
      const response = await fetch(`${this.url}/`, {
        headers: { accept: "application/json" },
        signal: AbortSignal.timeout(PROBE_MS_MAX),
      });
      const text = await response.text();
      return response.ok && text.includes('"product":"nexuscore"') ? "ours" : "other";
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      return cause?.code === "ECONNREFUSED" ? "nobody" : "other";
    }
  }

  async putTenant(tenant: string, clock: Clock): Promise<TenantStatus> {
    const body = JSON.stringify({ clock });
    const headers = { "content-type": "application/json" };
    return (await this.#ask(tenant, "", { method: "PUT", body, headers })) as TenantStatus;
  }

  async tenant(tenant: string): Promise<TenantStatus> {
    return (await this.#ask(tenant, "", {})) as TenantStatus;
  }

  /** `tldrWaitMs`: how long a TL;DR that is being written may be waited for. */
  async trending(tenant: string, limit: number, tldrWaitMs = 0): Promise<TrendingAnswer> {
    const query = `limit=${limit}&tldrWaitMs=${tldrWaitMs}`;
    return (await this.#ask(tenant, `/trending?${query}`, {})) as TrendingAnswer;
  }

  async reviews(tenant: string, query: ReviewsQuery): Promise<ReviewPage> {
    const { state, limit, degraded = false } = query;
    const search = new URLSearchParams({ limit: String(limit) });
    if (state !== "all") search.set("state", state);
    if (degraded) search.set("degraded", "true");
    return (await this.#ask(tenant, `/reviews?${search.toString()}`, {})) as ReviewPage;
  }

  async notReviewed(tenant: string, limit: number): Promise<NotReviewedPage> {
    return (await this.#ask(tenant, `/reviews:notReviewed?limit=${limit}`, {})) as NotReviewedPage;
  }

  async reviewStats(tenant: string): Promise<ReviewStats> {
    return (await this.#ask(tenant, "/reviews:stats", {})) as ReviewStats;
  }

  async summary(tenant: string, query: SummaryQuery): Promise<SummaryAnswer> {
    return (await this.#ask(tenant, `/summary?${searchOf(query)}`, {})) as SummaryAnswer;
  }

  async conversation(tenant: string, id: string): Promise<ConversationAnswer> {
    const path = `/conversations/${encodeURIComponent(id)}/summary`;
    return (await this.#ask(tenant, path, {})) as ConversationAnswer;
  }

  async summaryCsv(tenant: string, query: SummaryQuery): Promise<string> {
    const response = await this.#answer(tenant, `/summary?${searchOf(query)}&format=csv`, {});
    return response.text();
  }

  /** Sends NDJSON; waits and tries again as long as the server says that it is behind. */
  async postEvents(tenant: string, body: string): Promise<OfferAnswer> {
    const headers = { "content-type": "application/x-ndjson" };
    return (await this.#ask(tenant, "/events", { method: "POST", body, headers })) as OfferAnswer;
  }

  async putPolicy(tenant: string, policy: object): Promise<void> {
    const headers = { "content-type": "application/json" };
    await this.#ask(tenant, "/policy", { method: "PUT", body: JSON.stringify(policy), headers });
  }

  async moderate(tenant: string, message: object): Promise<VerdictAnswer> {
    return (await this.#post(tenant, "/moderate", message)) as VerdictAnswer;
  }

  async moderateAll(tenant: string, messages: readonly object[]): Promise<VerdictsAnswer> {
    return (await this.#post(tenant, "/moderate", { messages })) as VerdictsAnswer;
  }

  async inspect(tenant: string): Promise<TenantInspection> {
    return (await this.#ask(tenant, "/state", {})) as TenantInspection;
  }

  async createBackup(): Promise<Backup> {
    return (await this.#askAt("/v1/backups", { method: "POST" })) as Backup;
  }

  async backup(name: string): Promise<Backup> {
    return (await this.#askAt(`/v1/backups/${encodeURIComponent(name)}`, {})) as Backup;
  }

  async backups(): Promise<BackupList> {
    return (await this.#askAt("/v1/backups", {})) as BackupList;
  }

  async #post(tenant: string, path: string, value: object): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    return this.#ask(tenant, path, { method: "POST", body: JSON.stringify(value), headers });
  }

  async #ask(tenant: string, path: string, init: RequestInit): Promise<unknown> {
    return (await this.#answer(tenant, path, init)).json();
  }

  async #answer(tenant: string, path: string, init: RequestInit): Promise<Response> {
    return this.#answerAt(`/v1/tenants/${encodeURIComponent(tenant)}${path}`, init);
  }

  async #askAt(path: string, init: RequestInit): Promise<unknown> {
    return (await this.#answerAt(path, init)).json();
  }

  async #answerAt(path: string, init: RequestInit): Promise<Response> {
    const url = this.url + path;
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch(url, init);
      if (response.ok) return response;
      const error = await answerError(response);
      if (!isPassing(error) || attempt === RETRY_COUNT_MAX) throw error;
      const seconds = Number(response.headers.get("retry-after") ?? RETRY_AFTER_SECONDS_DEFAULT);
      await sleep(seconds * 1_000);
    }
  }

  /** Of routes that this class has no name for. */
  async send(method: string, path: string, value?: object): Promise<unknown> {
    if (value === undefined) return this.#askAt(path, { method });
    const headers = { "content-type": "application/json" };
    return this.#askAt(path, { method, body: JSON.stringify(value), headers });
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, withKey(init, this.#key));
    } catch (error) {
      throw unreachable(this.url, error);
    }
  }
}

function searchOf({ window, limit }: SummaryQuery): string {
  return new URLSearchParams({ window, limit: String(limit) }).toString();
}

export function unreachable(url: string, error: unknown): CliError {
  const { cause, message } = error as { cause?: { code?: string }; message: string };
  const why = cause?.code === "ECONNREFUSED" ? "nobody listens there" : (cause?.code ?? message);
  return new CliError(`no NexusCore at ${url}: ${why}; start one with: nexuscore serve`);
}

export async function answerError(response: Response): Promise<AnswerError> {
  const text = await response.text();
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return new AnswerError(response.status, code ?? "", detail ?? response.statusText);
  } catch {
    return new AnswerError(response.status, "", response.statusText);
  }
}

/** The key that a command opens a server with; a flag would be seen by others on the machine. */
export function keyOfEnvironment(): string | undefined {
  const key = process.env["NEXUSCORE_KEY"]?.trim();
  return key === "" ? undefined : key;
}

/** A redirect is not followed with it: it is for the server that was named. */
export function withKey(init: RequestInit, key: string | undefined): RequestInit {
  if (key === undefined) return init;
  const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${key}` };
  return { ...init, headers, redirect: "error" };
}

/** What to do about a server that lets nobody in; empty: the error is about something else. */
export function keyAdvice(status: number): string {
  const hasKey = keyOfEnvironment() !== undefined;
  if (status === 401) {
    return hasKey
      ? "\nNEXUSCORE_KEY does not open it; ask for one that does, or make one where its files\n" +
          "are: nexuscore key create --role <name> --tenants <ids>"
      : "\nSet NEXUSCORE_KEY to a key of the server.";
  }
  return status === 403 && hasKey ? "\nThe key in NEXUSCORE_KEY is for something else." : "";
}

const LASTING = ["tenantLimit", "memoryFull", "storeUnavailable", "stopping", "tooManyTries"];

/** Problems that are over by themselves. */
function isPassing({ status, code }: AnswerError): boolean {
  const isLasting = LASTING.includes(code);
  if (isLasting) return false;
  return status === 429 || status === 503;
}
