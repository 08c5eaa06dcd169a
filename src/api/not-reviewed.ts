/** `…/reviews:notReviewed` of a tenant: messages that an upstream was to judge, and did not. */
import { CONSULTATION_FAILURES, type ConsultationFailure } from "#model/consultation.ts";
import { REVIEWS_LIMIT_DEFAULT, REVIEWS_LIMIT_MAX } from "#model/limits.ts";
import { TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import type { FastifyPluginAsync } from "fastify";
import { DEGRADED_VERDICT_EXAMPLE, MESSAGE_EXAMPLE } from "./moderation-examples.ts";
import { checkTenant, type DeskSource, fresh, responses } from "./review-routes.ts";

type Query = {
  outcome?: ConsultationFailure;
  user?: string;
  conversation?: string;
  limit: number;
  before?: number;
};

export function notReviewedRoutes(desk: DeskSource): FastifyPluginAsync {
  return async (server) => {
    server.addHook("onRequest", checkTenant);
    server.get<TenantParams & { Querystring: Query }>(
      "/v1/tenants/:tenant/reviews::notReviewed",
      {
        config: { access: "review" },
        schema: {
          tags: ["reviews"],
          operationId: "listNotReviewed",
          summary: "Messages that an upstream was to judge, and did not",
          description: `The newest first, flagged or not; the embedded verdict on them stands.
\`outcome\` says why. Those that are \`interrupted\` were being judged when the process ended:
perhaps nobody was answered.`,
          params: TENANT_PARAMS,
          querystring: {
            type: "object",
            properties: {
              outcome: { type: "string", enum: [...CONSULTATION_FAILURES], description: "Why" },
              user: { type: "string", description: "Who said it" },
              conversation: { type: "string" },
              limit: {
                type: "integer",
                minimum: 1,
                maximum: REVIEWS_LIMIT_MAX,
                default: REVIEWS_LIMIT_DEFAULT,
              },
              before: {
                type: "integer",
                minimum: 1,
                description: "`nextBefore` of the page before",
              },
            },
          },
          response: {
            ...responses("NotReviewedPage", "One page"),
            200: {
              description: "One page",
              content: {
                "application/json": {
                  schema: { $ref: "NotReviewedPage#" },
                  example: NOT_REVIEWED_EXAMPLE,
                },
              },
            },
          },
        },
      },
      async (request, reply) => {
        const { tenant } = request.params;
        return fresh(reply).send(await desk().ask("notReviewed", { tenant, ...request.query }));
      },
    );
  };
}

/** Held against `NotReviewedPageSchema` by the tests. */
export const NOT_REVIEWED_EXAMPLE = {
  total: 1,
  messages: [
    {
      id: DEGRADED_VERDICT_EXAMPLE.id,
      outcome: DEGRADED_VERDICT_EXAMPLE.upstream.outcome,
      asOfMs: DEGRADED_VERDICT_EXAMPLE.asOfMs,
      reviewId: "r_01KA9Z5N3V8Q2J7R4T6W0X1Y2Z",
      text: MESSAGE_EXAMPLE.text,
      verdict: DEGRADED_VERDICT_EXAMPLE,
    },
  ],
};
