/**
 * `GET /v1/tenants/{tenant}/live`: server-sent events, one `trending` whenever the window changed.
 */
import type { EngineDoor } from "#engine/door.ts";
import { LIVE_CONNECTIONS_MAX, LIVE_POLL_MS, TRENDING_LIMIT_DEFAULT } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { trendingAnswer } from "#model/trending-answer.ts";
import type { FastifyPluginAsync, FastifyReply } from "fastify";
import { LiveFeed, type LiveListener } from "./live-feed.ts";

/** What a browser waits before it reconnects. */
const RETRY_MS = 2_000;

export function liveRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    const hub = new LiveHub(engine);
    server.addHook("preClose", async () => hub.stop());
    server.get<TenantParams>(
      "/v1/tenants/:tenant/live",
      // `manual`: whoever asks for this path wants the stream, whatever its Accept says.
      { sse: { kind: "manual", serializer: String }, exposeHeadRoute: false, schema: SCHEMA },
      async (request, reply) => {
        const tenant = requireTenantId(request.params.tenant);
        await hub.admit(tenant);
        if (reply.raw.destroyed) return;
        // Others were admitted meanwhile, and the server may have begun to stop.
        hub.checkOpen();
        reply.header("cache-control", "no-store");
        hub.join(tenant, reply);
      },
    );
  };
}

/** The feeds by tenant; polls those that somebody listens to. */
class LiveHub {
  #engine: EngineDoor;
  #feeds = new Map<string, LiveFeed>();
  #connectionCount = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(engine: EngineDoor) {
    this.#engine = engine;
  }

  /**
   * Throws the problem of a listener that cannot be served, while there is still a status to send.
   */
  async admit(tenant: string): Promise<void> {
    this.checkOpen();
    const { state } = await this.#engine.tenant(tenant);
    if (state === "live") return;
    const detail = `${tenant} is in quarantine; PUT /v1/tenants/${tenant} releases it.`;
    throw new Problem("tenantQuarantined", detail);
  }

  checkOpen(): void {
    if (this.#stopped) throw new Problem("stopping", "The server is stopping.");
    if (this.#connectionCount >= LIVE_CONNECTIONS_MAX) throw liveLimit();
  }

  /** Follows `checkOpen` without a wait in between. */
  join(tenant: string, reply: FastifyReply): void {
    const { sse } = reply;
    sse.keepAlive();
    // The answer begins now: a listener knows that it is connected before the first change.
    sse.sendHeaders();
    reply.raw.write(`retry: ${RETRY_MS}\n\n`);
    let feed = this.#feeds.get(tenant);
    if (feed === undefined) this.#feeds.set(tenant, (feed = this.#openFeed(tenant)));
    const seenId = Number(sse.lastEventId ?? 0) || 0;
    const nowMs = Date.now();
    const leave = feed.join(listenerOf(reply), { seenId, nowMs });
    this.#connectionCount += 1;
    sse.onClose(() => {
      leave();
      this.#connectionCount -= 1;
      // A feed that ended may have a successor by now: that one goes on.
      if (feed.listenerCount === 0 && this.#feeds.get(tenant) === feed) this.#feeds.delete(tenant);
      if (this.#feeds.size === 0) this.#sleep();
    });
    if (feed.listenerCount === 1) void feed.poll(nowMs);
    this.#timer ??= setInterval(() => this.#poll(), LIVE_POLL_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#sleep();
    // Closing leaves the map, which a Map allows while it is walked.
    for (const feed of this.#feeds.values()) feed.end(undefined);
  }

  #openFeed(tenant: string): LiveFeed {
    const options = { limit: TRENDING_LIMIT_DEFAULT, order: "trend" } as const;
    return new LiveFeed(async () =>
      trendingAnswer(tenant, await this.#engine.trending(tenant, options)),
    );
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

function liveLimit(): Problem {
  return new Problem("liveLimit", `All ${LIVE_CONNECTIONS_MAX} live connections are taken.`, {
    retryAfterSeconds: 10,
  });
}

function listenerOf(reply: FastifyReply): LiveListener {
  const { sse, raw } = reply;
  return {
    send: async ({ id, json }) => sse.send({ id: String(id), event: "trending", data: json }),
    heartbeat: () => void raw.write(": still here\n\n"),
    end: (problem) => {
      if (problem !== undefined) {
        const { code, message: detail } = problem;
        raw.write(`event: problem\ndata: ${JSON.stringify({ code, detail })}\n\n`);
      }
      sse.close();
    },
    cut: () => void raw.destroy(),
  };
}

const SCHEMA = {
  tags: ["trending"],
  operationId: "live",
  summary: "Follow what is trending",
  description: `Server-sent events: \`trending\` with the answer of the trending route as data, at
most once a second and only when it changed. \`Last-Event-ID\` is honoured: what was seen is not
sent again. A stream that cannot go on ends with the event \`problem\`.`,
  params: TENANT_PARAMS,
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
      "tenantUnknown",
      "tenantQuarantined",
      "liveLimit",
      "shardRestarting",
      "stopping",
    ),
  },
};
