/**
 * `GET /v1/tenants/{tenant}/live`: server-sent events, one `trending` or `summary` whenever what it
 * shows has changed, and one `verdict` for each message that was flagged or blocked.
 */
import type { EngineDoor } from "#engine/door.ts";
import type { Retellings } from "#engine/retellings.ts";
import {
  LIVE_CONNECTIONS_MAX,
  LIVE_OF_TENANT_MAX,
  LIVE_POLL_MS,
  SUMMARY_LIMIT_DEFAULT,
  TRENDING_LIMIT_DEFAULT,
} from "#model/limits.ts";
import type { Verdict } from "#model/moderation.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { summaryAnswer, visibleSummary } from "#model/summary-answer.ts";
import { requireTenantId } from "#model/tenant.ts";
import { trendingAnswer, visibleTrending } from "#model/trending-answer.ts";
import { verdictAnswer } from "#model/verdict-answer.ts";
import {
  requireWindow,
  spanOf,
  spansOf,
  type Window,
  windowOffDetail,
  WINDOWS,
} from "#model/window.ts";
import type { FastifyPluginAsync, FastifyReply } from "fastify";
import { LiveFeed, type LiveKind, type LiveListener } from "./live-feed.ts";

/** What a browser waits before it reconnects. */
const RETRY_MS = 2_000;
/** Of the summaries, unless the query says otherwise. */
const SUMMARY_WINDOW: Window = "60s";
const SUMMARY_OFF = "off";
/** Verdicts of all tenants that are remembered for listeners that come back. */
const VERDICTS_MAX = 1_024;

type LiveQuery = { Querystring: { summary: string; verdicts: "on" | "off" } };

/** `retellings`: undefined: no upstream writes TL;DRs, and nothing is done for them. */
export function liveRoutes(engine: EngineDoor, retellings?: Retellings): FastifyPluginAsync {
  return async (server) => {
    const hub = new LiveHub(engine, retellings);
    server.addHook("preClose", async () => hub.stop());
    server.addHook("onClose", async () => hub.leave());
    server.get<TenantParams & LiveQuery>(
      "/v1/tenants/:tenant/live",
      // `manual`: whoever asks for this path wants the stream, whatever its Accept says.
      {
        config: { access: "read", isStream: true },
        sse: { kind: "manual", serializer: String },
        exposeHeadRoute: false,
        schema: SCHEMA,
      },
      async (request, reply) => {
        const tenant = requireTenantId(request.params.tenant);
        const { summary, verdicts } = request.query;
        const window = summary === SUMMARY_OFF ? undefined : requireWindow(summary);
        await hub.admit(tenant, window);
        if (reply.raw.destroyed) return;
        // Others were admitted meanwhile, and the server may have begun to stop.
        hub.checkOpen(tenant);
        reply.header("cache-control", "no-store");
        hub.join(tenant, kindsOf(window), verdicts === "on", reply);
      },
    );
  };
}

/** The feeds by tenant; polls those that somebody listens to. */
class LiveHub {
  #engine: EngineDoor;
  readonly #retellings: Retellings | undefined;
  #feeds = new Map<string, LiveFeed>();
  #connectionCount = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** The last verdicts that flag or block, the oldest first. */
  #verdicts: { readonly id: number; readonly verdict: Verdict }[] = [];
  /** No verdict is heard any more, and no deletion. */
  readonly leave: () => void;

  constructor(engine: EngineDoor, retellings: Retellings | undefined) {
    this.#engine = engine;
    this.#retellings = retellings;
    const leaveVerdicts = engine.onVerdict((verdict, _text, leavesTrace) => {
      if (leavesTrace && verdict.action !== "allow") this.#tell(verdict, Date.now());
    });
    const leaveClosed = engine.onClosed((tenant) => this.#forget(tenant));
    this.leave = () => {
      leaveVerdicts();
      leaveClosed();
    };
  }

  /**
   * Throws the problem of a listener that cannot be served, while there is still a status to send.
   */
  async admit(tenant: string, window: Window | undefined): Promise<void> {
    this.checkOpen(tenant);
    const { state, windows } = await this.#engine.tenant(tenant);
    if (state !== "live") {
      const detail = `${tenant} is in quarantine; PUT /v1/tenants/${tenant} releases it.`;
      throw new Problem("tenantQuarantined", detail);
    }
    if (window === undefined || windows.includes(window)) return;
    throw new Problem("windowOff", windowOffDetail(tenant, window, spansOf(windows)));
  }

  checkOpen(tenant: string): void {
    if (this.#stopped) throw new Problem("stopping", "The server is stopping.");
    if (this.#connectionCount >= LIVE_CONNECTIONS_MAX) {
      throw liveLimit(`All ${LIVE_CONNECTIONS_MAX} live connections are taken.`);
    }
    // Others have the rest, whatever one tenant's readers do.
    if ((this.#feeds.get(tenant)?.listenerCount ?? 0) < LIVE_OF_TENANT_MAX) return;
    throw liveLimit(`All ${LIVE_OF_TENANT_MAX} live connections of one tenant are taken.`);
  }

  /** Follows `checkOpen` without a wait in between. */
  join(tenant: string, kinds: readonly string[], isTold: boolean, reply: FastifyReply): void {
    const { sse } = reply;
    sse.keepAlive();
    // The answer begins now: a listener knows that it is connected before the first change.
    sse.sendHeaders();
    reply.raw.write(`retry: ${RETRY_MS}\n\n`);
    let feed = this.#feeds.get(tenant);
    if (feed === undefined) this.#feeds.set(tenant, (feed = this.#openFeed(tenant)));
    const seenId = Number(sse.lastEventId ?? 0) || 0;
    const nowMs = Date.now();
    const lacking = feed.lacks(kinds);
    const leave = feed.join(listenerOf(reply), { kinds, isTold, seenId, nowMs });
    const unfollow = this.#retellings?.follow(tenant);
    this.#connectionCount += 1;
    sse.onClose(() => {
      leave();
      unfollow?.();
      this.#connectionCount -= 1;
      // A feed that ended may have a successor by now: that one goes on.
      if (feed.listenerCount === 0 && this.#feeds.get(tenant) === feed) this.#feeds.delete(tenant);
      if (this.#feeds.size === 0) this.#sleep();
    });
    if (feed.listenerCount === 1 || lacking) void feed.poll(nowMs);
    this.#timer ??= setInterval(() => this.#poll(), LIVE_POLL_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#sleep();
    const problem = new Problem("stopping", "The server is stopping; connect again.");
    // Closing leaves the map, which a Map allows while it is walked.
    for (const feed of this.#feeds.values()) feed.end(problem);
  }

  #openFeed(tenant: string): LiveFeed {
    const summaries = WINDOWS.map((window) => {
      return [summaryKind(window), { event: "summary", read: this.#summary(tenant, window) }];
    });
    const trending = { event: "trending", read: this.#trending(tenant) };
    const feed = new LiveFeed({ trending, ...Object.fromEntries(summaries) });
    for (const { id, verdict } of this.#verdicts) {
      if (verdict.tenant !== tenant) continue;
      feed.remember({ id, event: "verdict", json: JSON.stringify(shown(verdict)) });
    }
    return feed;
  }

  #tell(verdict: Verdict, nowMs: number): void {
    const lastId = this.#verdicts.at(-1)?.id ?? 0;
    const feed = this.#feeds.get(verdict.tenant);
    const id = feed?.tell("verdict", shown(verdict), nowMs) ?? Math.max(nowMs, lastId + 1);
    this.#verdicts.push({ id, verdict });
    if (this.#verdicts.length > VERDICTS_MAX) this.#verdicts.shift();
  }

  /** The tenant is deleted: its streams end, and what was told of it is forgotten. */
  #forget(tenant: string): void {
    this.#verdicts = this.#verdicts.filter(({ verdict }) => verdict.tenant !== tenant);
    const feed = this.#feeds.get(tenant);
    this.#feeds.delete(tenant);
    feed?.end(new Problem("tenantUnknown", `${tenant} was deleted.`));
  }

  #trending(tenant: string): LiveKind["read"] {
    const options = { limit: TRENDING_LIMIT_DEFAULT, order: "trend" } as const;
    return async () => {
      const report = await this.#engine.trending(tenant, options);
      const retelling = this.#retellings?.tldr(tenant, report, options);
      const answer = trendingAnswer(tenant, report, retelling);
      return { visible: visibleTrending(answer), answer };
    };
  }

  #summary(tenant: string, window: Window): LiveKind["read"] {
    const options = { span: spanOf(window), limit: SUMMARY_LIMIT_DEFAULT };
    return async () => {
      const answer = summaryAnswer(tenant, await this.#engine.summary(tenant, options));
      return { visible: visibleSummary(answer), answer };
    };
  }

  #poll(): void {
    const nowMs = Date.now();
    for (const feed of this.#feeds.values()) void feed.poll(nowMs);
  }

  #sleep(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function shown(verdict: Verdict): object {
  return verdictAnswer(verdict, { text: "" });
}

function kindsOf(window: Window | undefined): readonly string[] {
  return window === undefined ? ["trending"] : ["trending", summaryKind(window)];
}

function summaryKind(window: Window): string {
  return `summary ${window}`;
}

function liveLimit(detail: string): Problem {
  return new Problem("liveLimit", detail, { retryAfterSeconds: 10 });
}

function listenerOf(reply: FastifyReply): LiveListener {
  const { sse, raw } = reply;
  return {
    send: async ({ id, event, json }) => sse.send({ id: String(id), event, data: json }),
    heartbeat: () => void raw.write(": still here\n\n"),
    end: (problem) => {
      if (problem !== undefined) {
        const { code, message: detail } = problem;
        // A stop is none of the stream's own: its successor has the same.
        const event = code === "stopping" ? "stopping" : "problem";
        raw.write(`event: ${event}\ndata: ${JSON.stringify({ code, detail })}\n\n`);
      }
      sse.close();
    },
    cut: () => void raw.destroy(),
  };
}

const SCHEMA = {
  tags: ["trending"],
  operationId: "live",
  summary: "Follow what is trending and what has happened",
  description: `Server-sent events: \`trending\` and \`summary\` with the answers of the routes of
these names as data, each at most once a second and only when it changed; \`verdict\` with each one
that flags or blocks. \`Last-Event-ID\` is honoured: what was seen is not sent again, and of
verdicts the last ones that were missed are sent. A stream that cannot go on ends with the event
\`problem\`; if the server stops, with \`stopping\`: connect again.`,
  params: TENANT_PARAMS,
  querystring: {
    type: "object",
    properties: {
      summary: {
        type: "string",
        default: SUMMARY_WINDOW,
        examples: [...WINDOWS, SUMMARY_OFF],
        description: `Window of the summaries: ${WINDOWS.join(", ")}; ${SUMMARY_OFF}: none of them`,
      },
      verdicts: {
        type: "string",
        enum: ["on", "off"],
        default: "on",
        description: "Whether verdicts that flag or block are told",
      },
    },
  },
  response: {
    200: {
      description: "The stream",
      content: {
        "text/event-stream": {
          schema: { type: "string" },
          example: 'id: 1795197660000\nevent: trending\ndata: {"tenant":"acme","items":[]}\n\n',
        },
      },
    },
    ...problemResponses(
      "tenantIllegal",
      "windowUnknown",
      "tenantUnknown",
      "tenantQuarantined",
      "windowOff",
      "liveLimit",
      "shardRestarting",
      "stopping",
    ),
  },
};
