/** `…/reviews` of a tenant: the queue, and what is done with an item of it. */
import {
  CLAIM_COUNT_MAX,
  EVENT_ID_BYTES_MAX,
  LEASE_MS_DEFAULT,
  LEASE_MS_MAX,
  LEASE_MS_MIN,
  REVIEW_BODY_BYTES_MAX,
  REVIEW_REASON_BYTES_MAX,
  REVIEWS_LIMIT_DEFAULT,
  REVIEWS_LIMIT_MAX,
  TEXT_BYTES_MAX,
  USER_BYTES_MAX,
} from "#model/limits.ts";
import { CATEGORIES, type Category } from "#model/moderation.ts";
import { requireConversation } from "#model/conversation-id.ts";
import { Problem } from "#model/problem.ts";
import { type Decision, DECISIONS, REVIEW_STATES, type ReviewState } from "#model/review.ts";
import { TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { type ItemFilter, readCursor } from "#review/item-rows.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { sayLimit } from "./json-body.ts";
import {
  checkTenant,
  type DeskSource,
  fresh,
  IF_MATCH,
  MODERATOR,
  optionalName,
  REASON,
  requireName,
  requireText,
  responses,
  REVIEW,
  REVIEW_PARAMS,
  type ReviewRequest,
  versionOf,
  writeResponses,
} from "./review-routes.ts";

const PATH = "/v1/tenants/:tenant/reviews";
const tags = ["reviews"];
const bodyLimit = REVIEW_BODY_BYTES_MAX;

export function reviewRoutes(desk: DeskSource): FastifyPluginAsync {
  return async (server) => {
    sayLimit(server, REVIEW_BODY_BYTES_MAX);
    server.addHook("onRequest", checkTenant);
    registerList(server, desk);
    registerReport(server, desk);
    registerClaim(server, desk);
    registerDetail(server, desk);
    registerClaimOne(server, desk);
    registerRelease(server, desk);
    registerDecide(server, desk);
    registerAppeal(server, desk);
    registerStats(server, desk);
  };
}

export type FilterQuery = {
  state?: string;
  category?: Category;
  user?: string;
  conversation?: string;
  moderator?: string;
  decision?: Decision;
  severityMin?: number;
  escalated?: boolean;
  degraded?: boolean;
};

export const FILTER_PROPERTIES = {
  state: { type: "string", description: `Of ${REVIEW_STATES.join(", ")}, by commas` },
  category: { type: "string", enum: [...CATEGORIES], description: "Flagged by the verdict" },
  user: { type: "string", description: "Who said it" },
  conversation: { type: "string" },
  moderator: { type: "string", description: "Who has it, or decided it last" },
  decision: { type: "string", enum: [...DECISIONS], description: "That stands" },
  severityMin: { type: "integer", minimum: 0, maximum: 100 },
  escalated: { type: "boolean" },
  degraded: { type: "boolean", description: "An upstream was to judge it, and did not" },
} as const;

export function filterOf(query: FilterQuery): ItemFilter {
  const { state, ...rest } = query;
  const { category, user, conversation, moderator, decision, severityMin, escalated } = rest;
  const { degraded } = rest;
  const numbers = { severityMin, escalated, degraded };
  const names = { category, user, conversation, moderator, decision, ...numbers };
  if (state === undefined) return names;
  const states = state.split(",").map((name) => name.trim());
  const unknown = states.find((name) => !(REVIEW_STATES as readonly string[]).includes(name));
  if (unknown === undefined) return { ...names, states: states as ReviewState[] };
  const known = REVIEW_STATES.join(", ");
  const detail = `In the query: /state has ${JSON.stringify(unknown)}; there are ${known}.`;
  throw new Problem("badRequest", detail);
}

type ListQuery = FilterQuery & { limit: number; cursor?: string };

function registerList(server: FastifyInstance, desk: DeskSource): void {
  server.get<TenantParams & { Querystring: ListQuery }>(
    PATH,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "listReviews",
        summary: "The review queue",
        description: `The worst first, of the same severity the oldest. Without \`state\` decided
items are there, too.`,
        params: TENANT_PARAMS,
        querystring: {
          type: "object",
          properties: {
            ...FILTER_PROPERTIES,
            limit: {
              type: "integer",
              minimum: 1,
              maximum: REVIEWS_LIMIT_MAX,
              default: REVIEWS_LIMIT_DEFAULT,
            },
            cursor: { type: "string", description: "`nextCursor` of the page before" },
          },
        },
        response: responses("ReviewPage", "One page"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { limit, cursor, ...query } = request.query;
      const after = cursor === undefined ? undefined : readCursor(cursor);
      if (cursor !== undefined && after === undefined) {
        throw new Problem("badRequest", "In the query: /cursor is none of this list.");
      }
      const { nowMs, ask } = deskOf(desk);
      const filter = filterOf(query);
      return fresh(reply).send(await ask("list", { tenant, filter, limit, after, nowMs }));
    },
  );
}

type ReportBody = {
  verdictId?: string;
  messageId?: string;
  conversation?: string;
  user?: string;
  text?: string;
  reporter?: string;
  reason?: string;
};

function registerReport(server: FastifyInstance, desk: DeskSource): void {
  const text = { type: "string" } as const;
  server.post<TenantParams & { Body: ReportBody }>(
    PATH,
    {
      bodyLimit,
      config: { access: "judge" },
      schema: {
        tags,
        operationId: "report",
        summary: "Report a message",
        description: `By the id of its verdict or its own, if it was flagged; or as a text. What is
in the queue already is counted there: the same person counts once. 201: a new item.`,
        params: TENANT_PARAMS,
        body: {
          type: "object",
          additionalProperties: false,
          properties: {
            verdictId: text,
            messageId: text,
            conversation: text,
            user: { ...text, description: "Who said it" },
            text: { ...text, description: `At most ${TEXT_BYTES_MAX} bytes` },
            reporter: { ...text, description: "Who reports it" },
            reason: REASON,
          },
        },
        response: writeResponses("Review", "The item", "textTooLong"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { reason, text: said, conversation, ...names } = request.body;
      if (said === undefined && names.verdictId === undefined && names.messageId === undefined) {
        throw new Problem("badRequest", "Give a verdictId, a messageId or a text.");
      }
      const { nowMs, ask, keepsTexts } = deskOf(desk);
      const { item, isNew } = await ask("report", {
        tenant,
        nowMs,
        verdictId: optionalName(names.verdictId, "/verdictId"),
        messageId: optionalName(names.messageId, "/messageId", EVENT_ID_BYTES_MAX),
        user: optionalName(names.user, "/user", USER_BYTES_MAX),
        reporter: optionalName(names.reporter, "/reporter", USER_BYTES_MAX),
        conversation: conversation === undefined ? undefined : requireConversation(conversation),
        reason: reasonOf(reason),
        text:
          said === undefined || !keepsTexts(tenant)
            ? undefined
            : requireText(said, "/text", TEXT_BYTES_MAX),
      });
      return fresh(reply.code(isNew ? 201 : 200), item.version).send(item);
    },
  );
}

type ClaimBody = FilterQuery & { moderator: string; count: number; leaseMs: number };

const LEASE = {
  type: "integer",
  minimum: LEASE_MS_MIN,
  maximum: LEASE_MS_MAX,
  default: LEASE_MS_DEFAULT,
  description: "How long; claimed again by the same person, it begins anew",
} as const;

function registerClaim(server: FastifyInstance, desk: DeskSource): void {
  const { category, severityMin, escalated } = FILTER_PROPERTIES;
  server.post<TenantParams & { Body: ClaimBody }>(
    `${PATH}::claim`,
    {
      bodyLimit,
      config: { access: "review" },
      schema: {
        tags,
        operationId: "claimReviews",
        summary: "Take the next items of the queue",
        description: `The worst that wait, for you alone until the lease ends. Nobody is given what
they decided before.`,
        params: TENANT_PARAMS,
        body: {
          type: "object",
          additionalProperties: false,
          required: ["moderator"],
          properties: {
            moderator: MODERATOR,
            count: { type: "integer", minimum: 1, maximum: CLAIM_COUNT_MAX, default: 1 },
            leaseMs: LEASE,
            category,
            severityMin,
            escalated,
          },
        },
        response: writeResponses("ReviewClaim", "What you have now; nothing: nothing waits"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { count, leaseMs, moderator: name, ...query } = request.body;
      const moderator = requireName(name, "/moderator");
      const filter = filterOf(query);
      const { nowMs, ask } = deskOf(desk);
      const items = await ask("claim", { tenant, moderator, count, leaseMs, filter, nowMs });
      return fresh(reply).send({ items });
    },
  );
}

function registerDetail(server: FastifyInstance, desk: DeskSource): void {
  server.get<ReviewRequest>(
    `${PATH}/${REVIEW}`,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "getReview",
        summary: "One item, and all that helps to decide it",
        description: `The verdict, the conversation before the message as it was remembered then,
reports, decisions, appeals, the author's history, the audit log.`,
        params: REVIEW_PARAMS,
        response: responses("ReviewDetail", "The item", "reviewUnknown"),
      },
    },
    async (request, reply) => {
      const { tenant, review: id } = request.params;
      const { nowMs, ask } = deskOf(desk);
      const detail = await ask("detail", { tenant, id, nowMs });
      return fresh(reply, detail.version).send(detail);
    },
  );
}

const VERSION = {
  type: "integer",
  minimum: 1,
  description: "The version that was seen, instead of If-Match",
} as const;

function bodyOf(required: readonly string[], properties: object): object {
  const all = { ...properties, version: VERSION };
  return { type: "object", additionalProperties: false, required, properties: all };
}

const STATE_PROBLEMS = ["reviewUnknown", "reviewState", "reviewTaken", "reviewChanged"] as const;

function registerClaimOne(server: FastifyInstance, desk: DeskSource): void {
  server.post<ReviewRequest & { Body: { moderator: string; leaseMs: number; version?: number } }>(
    `${PATH}/${REVIEW}::claim`,
    {
      bodyLimit,
      config: { access: "review" },
      schema: {
        tags,
        operationId: "claimReview",
        summary: "Take an item, or keep it for longer",
        params: REVIEW_PARAMS,
        headers: IF_MATCH,
        body: bodyOf(["moderator"], { moderator: MODERATOR, leaseMs: LEASE }),
        response: writeResponses("Review", "You have it", ...STATE_PROBLEMS),
      },
    },
    async (request, reply) => {
      const { tenant, review: id } = request.params;
      const { leaseMs } = request.body;
      const moderator = requireName(request.body.moderator, "/moderator");
      const version = versionOf(request, request.body.version);
      const { nowMs, ask } = deskOf(desk);
      const item = await ask("claimOne", { tenant, id, moderator, leaseMs, version, nowMs });
      return fresh(reply, item.version).send(item);
    },
  );
}

function registerRelease(server: FastifyInstance, desk: DeskSource): void {
  server.post<ReviewRequest & { Body: { moderator: string; version?: number } }>(
    `${PATH}/${REVIEW}::release`,
    {
      bodyLimit,
      config: { access: "review" },
      schema: {
        tags,
        operationId: "releaseReview",
        summary: "Give an item back to the queue",
        params: REVIEW_PARAMS,
        headers: IF_MATCH,
        body: bodyOf(["moderator"], { moderator: MODERATOR }),
        response: writeResponses("Review", "It waits again", ...STATE_PROBLEMS),
      },
    },
    async (request, reply) => {
      const { tenant, review: id } = request.params;
      const moderator = requireName(request.body.moderator, "/moderator");
      const version = versionOf(request, request.body.version);
      const { nowMs, ask } = deskOf(desk);
      const item = await ask("release", { tenant, id, moderator, version, nowMs });
      return fresh(reply, item.version).send(item);
    },
  );
}

type DecideBody = { moderator: string; decision: Decision; reason?: string; version?: number };

function registerDecide(server: FastifyInstance, desk: DeskSource): void {
  server.post<ReviewRequest & { Body: DecideBody }>(
    `${PATH}/${REVIEW}::decide`,
    {
      bodyLimit,
      config: { access: "review" },
      schema: {
        tags,
        operationId: "decideReview",
        summary: "Decide an item that you have",
        description: `\`approve\`: nothing is wrong with it; \`remove\`: it should not be shown;
\`escalate\`: somebody else shall decide; \`ignore\`: neither. The first two become labels. The same
decision sent again is answered as the first.`,
        params: REVIEW_PARAMS,
        headers: IF_MATCH,
        body: bodyOf(["moderator", "decision"], {
          moderator: MODERATOR,
          decision: { type: "string", enum: [...DECISIONS] },
          reason: REASON,
        }),
        response: writeResponses("Review", "It is decided", ...STATE_PROBLEMS),
      },
    },
    async (request, reply) => {
      const { tenant, review: id } = request.params;
      const { decision } = request.body;
      const moderator = requireName(request.body.moderator, "/moderator");
      const reason = reasonOf(request.body.reason);
      const version = versionOf(request, request.body.version);
      const { nowMs, ask } = deskOf(desk);
      const change = { tenant, id, moderator, decision, reason, version, nowMs };
      const item = await ask("decide", change);
      return fresh(reply, item.version).send(item);
    },
  );
}

function registerAppeal(server: FastifyInstance, desk: DeskSource): void {
  server.post<ReviewRequest & { Body: { by: string; reason: string; version?: number } }>(
    `${PATH}/${REVIEW}::appeal`,
    {
      bodyLimit,
      config: { access: "review" },
      schema: {
        tags,
        operationId: "appealReview",
        summary: "Appeal against a decision",
        description: "It waits again, for somebody who has not decided it before.",
        params: REVIEW_PARAMS,
        headers: IF_MATCH,
        body: bodyOf(["by", "reason"], { by: { ...MODERATOR, examples: ["ada"] }, reason: REASON }),
        response: writeResponses("Review", "It waits again", ...STATE_PROBLEMS),
      },
    },
    async (request, reply) => {
      const { tenant, review: id } = request.params;
      const by = requireName(request.body.by, "/by");
      const reason = requireText(request.body.reason, "/reason", REVIEW_REASON_BYTES_MAX);
      const version = versionOf(request, request.body.version);
      const { nowMs, ask } = deskOf(desk);
      const item = await ask("appeal", { tenant, id, by, reason, version, nowMs });
      return fresh(reply, item.version).send(item);
    },
  );
}

function registerStats(server: FastifyInstance, desk: DeskSource): void {
  server.get<TenantParams>(
    `${PATH}::stats`,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "reviewStats",
        summary: "How the queue stands, and how often people agree with verdicts",
        params: TENANT_PARAMS,
        response: responses("ReviewStats", "Counts"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { nowMs, ask } = deskOf(desk);
      return fresh(reply).send(await ask("stats", { tenant, nowMs }));
    },
  );
}

function reasonOf(reason: string | undefined): string | undefined {
  if (reason === undefined || reason === "") return undefined;
  return requireText(reason, "/reason", REVIEW_REASON_BYTES_MAX);
}

function deskOf(source: DeskSource) {
  const desk = source();
  return {
    nowMs: desk.nowMs(),
    ask: desk.ask.bind(desk) as typeof desk.ask,
    keepsTexts: (tenant: string) => !desk.policies.current(tenant).policy.doNotStore,
  };
}
