/** `GET /v1/tenants/{tenant}/conversations` and `…/conversations/{conversation}/summary`. */
import type { EngineDoor } from "#engine/door.ts";
import type { Retellings } from "#engine/retellings.ts";
import { requireConversation } from "#model/conversation-id.ts";
import {
  CONVERSATION_BYTES_MAX,
  CONVERSATIONS_LIMIT_DEFAULT,
  CONVERSATIONS_LIMIT_MAX,
} from "#model/limits.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { conversationAnswer, conversationsAnswer } from "#model/summary-answer.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { CSV_TYPE, wantsCsv } from "./csv.ts";
import { FORMAT_PROPERTY, TURN_PROBLEMS } from "./summaries.ts";
import { conversationsCsv } from "./summary-csv.ts";
import {
  CONVERSATION_EXAMPLE,
  CONVERSATION_LIST_EXAMPLE,
  REFINED_EXAMPLE,
} from "./summary-examples.ts";

const LIST_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    limit: {
      type: "integer",
      minimum: 1,
      maximum: CONVERSATIONS_LIMIT_MAX,
      default: CONVERSATIONS_LIMIT_DEFAULT,
      description: "Conversations at most",
    },
    format: FORMAT_PROPERTY,
  },
} as const;

export const CONVERSATION_PARAMS = {
  type: "object",
  properties: {
    ...TENANT_PARAMS.properties,
    conversation: {
      type: "string",
      description: `As events name it, percent-encoded: 1 to ${CONVERSATION_BYTES_MAX} bytes`,
      examples: ["general"],
    },
  },
  required: ["tenant", "conversation"],
} as const;

type ListQuery = { limit: number; format?: "json" | "csv" };
export type ConversationParams = { Params: { tenant: string; conversation: string } };

/** `retellings`: undefined: no upstream refines summaries, and nothing is done for it. */
export function conversationRoutes(
  engine: EngineDoor,
  retellings?: Retellings,
): FastifyPluginAsync {
  return async (server) => {
    registerList(server, engine, retellings);
    registerOne(server, engine, retellings);
  };
}

function registerList(
  server: FastifyInstance,
  engine: EngineDoor,
  retellings: Retellings | undefined,
): void {
  server.get<TenantParams & { Querystring: ListQuery }>(
    "/v1/tenants/:tenant/conversations",
    {
      config: { access: "read" },
      schema: {
        tags: ["summaries"],
        operationId: "conversations",
        summary: "The conversations of a tenant, the one with the newest event first",
        description: "A tenant remembers a bounded number; the one that was silent longest goes.",
        params: TENANT_PARAMS,
        querystring: LIST_QUERY,
        response: {
          200: {
            description: "The newest ones",
            content: {
              "application/json": {
                schema: { $ref: "ConversationList#" },
                example: CONVERSATION_LIST_EXAMPLE,
              },
              "text/csv": {
                schema: { type: "string" },
                example: conversationsCsv(CONVERSATION_LIST_EXAMPLE),
              },
            },
          },
          ...problemResponses(...TURN_PROBLEMS),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const { limit, format } = request.query;
      const items = await engine.conversations(tenant, { limit });
      retellings?.listed(tenant, items);
      const answer = conversationsAnswer(tenant, items);
      reply.header("cache-control", "no-store").header("vary", "accept");
      if (!wantsCsv(format, request.headers.accept)) return reply.send(answer);
      return reply.serializer(String).type(CSV_TYPE).send(conversationsCsv(answer));
    },
  );
}

function registerOne(
  server: FastifyInstance,
  engine: EngineDoor,
  retellings: Retellings | undefined,
): void {
  server.get<ConversationParams>(
    "/v1/tenants/:tenant/conversations/:conversation/summary",
    {
      config: { access: "read" },
      schema: {
        tags: ["summaries"],
        operationId: "conversationSummary",
        summary: "One conversation: its text, who took part, counts",
        params: CONVERSATION_PARAMS,
        response: {
          200: {
            description: "The conversation as it stands",
            content: {
              "application/json": {
                schema: { $ref: "Conversation#" },
                examples: {
                  extractive: { value: CONVERSATION_EXAMPLE },
                  refined: { value: REFINED_EXAMPLE },
                },
              },
            },
          },
          ...problemResponses(...TURN_PROBLEMS, "conversationIllegal", "conversationUnknown"),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const id = requireConversation(request.params.conversation);
      const report = await engine.conversation(tenant, id);
      const refined = retellings?.refined(tenant, report);
      const answer = conversationAnswer(tenant, report, refined);
      return reply.header("cache-control", "no-store").send(answer);
    },
  );
}
