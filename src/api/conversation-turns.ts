/** `GET` and `DELETE …/conversations/{conversation}/turns`: what a moderator remembers of one. */
import type { EngineDoor } from "#engine/door.ts";
import { requireConversation } from "#model/conversation-id.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { shownScore } from "#model/verdict-answer.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { CONVERSATION_PARAMS, type ConversationParams } from "./conversations.ts";
import { takeBytes } from "./json-body.ts";
import { TURNS_EXAMPLE } from "./moderation-examples.ts";

const PATH = "/v1/tenants/:tenant/conversations/:conversation/turns";

const PROBLEMS: readonly ProblemCode[] = [
  "tenantIllegal",
  "conversationIllegal",
  "conversationUnknown",
  "tenantUnknown",
  "tenantQuarantined",
  "busy",
  "guestFailed",
  "memoryFull",
  "overQuota",
  "shardRestarting",
  "stopping",
];

export function conversationTurnRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    // A client that says JSON and sends nothing, as many do with DELETE, is understood.
    takeBytes(server);
    registerGet(server, engine);
    registerDelete(server, engine);
  };
}

function registerGet(server: FastifyInstance, engine: EngineDoor): void {
  server.get<ConversationParams>(
    PATH,
    {
      config: { access: "review" },
      schema: {
        tags: ["moderation"],
        operationId: "conversationTurns",
        summary: "What is remembered of a conversation to judge its next message",
        description: `Bounded by the policy's \`context\`; the oldest first. A conversation of which
nothing is remembered is unknown.`,
        params: CONVERSATION_PARAMS,
        response: {
          200: {
            description: "The messages",
            content: {
              "application/json": {
                schema: { $ref: "ConversationTurns#" },
                example: TURNS_EXAMPLE,
              },
            },
          },
          ...problemResponses(...PROBLEMS),
        },
      },
    },
    async (request, reply) => {
      const { tenant, conversation } = checked(request.params);
      const turns = await engine.turns(tenant, conversation);
      if (turns.length === 0) throw unknown(tenant, conversation);
      const shown = turns.map((turn) => ({ ...turn, toxicity: shownScore(turn.toxicity) }));
      reply.header("cache-control", "no-store");
      return reply.send({ tenant, conversation, turns: shown });
    },
  );
}

function registerDelete(server: FastifyInstance, engine: EngineDoor): void {
  server.delete<ConversationParams>(
    PATH,
    {
      config: { access: "manage" },
      schema: {
        tags: ["moderation"],
        operationId: "forgetConversation",
        summary: "Forget a conversation",
        description: "Its next message is judged as if it were the first.",
        params: CONVERSATION_PARAMS,
        response: {
          204: { description: "Forgotten", type: "null" },
          ...problemResponses(...PROBLEMS, "crossSite"),
        },
      },
    },
    async (request, reply) => {
      const { tenant, conversation } = checked(request.params);
      if (await engine.forgetConversation(tenant, conversation)) return reply.code(204).send();
      throw unknown(tenant, conversation);
    },
  );
}

function checked(params: ConversationParams["Params"]): ConversationParams["Params"] {
  return {
    tenant: requireTenantId(params.tenant),
    conversation: requireConversation(params.conversation),
  };
}

function unknown(tenant: string, conversation: string): Problem {
  const shown = JSON.stringify(conversation);
  const detail = `The moderator of ${tenant} remembers nothing of the conversation ${shown}.`;
  return new Problem("conversationUnknown", detail);
}
