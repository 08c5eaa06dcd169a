/** `…/webhooks` of a tenant: who is told of verdicts and decisions. */
import { SETTINGS_BYTES_MAX, WEBHOOK_FAILURES_MAX, WEBHOOKS_MAX } from "#model/limits.ts";
import { WEBHOOK_EVENTS, type WebhookEvent } from "#model/review.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { newSecret } from "#review/webhook-signature.ts";
import { requireWebhookUrl } from "#review/webhook-target.ts";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { sayLimit } from "./json-body.ts";
import { checkTenant, type DeskSource, fresh, responses, writeResponses } from "./review-routes.ts";

const PATH = "/v1/tenants/:tenant/webhooks";
const tags = ["webhooks"];
/** In a pattern: what of a path names a webhook. */
const WEBHOOK = ":webhook(^[A-Za-z0-9_-]{1,64})";

type WebhookParams = { Params: { tenant: string; webhook: string } };
type WebhookBody = {
  url: string;
  events: WebhookEvent[];
  enabled: boolean;
  rotateSecret: boolean;
};

const WEBHOOK_PARAMS = {
  type: "object",
  properties: {
    ...TENANT_PARAMS.properties,
    webhook: { type: "string", description: "1 to 64 of A-Z a-z 0-9 _ -", examples: ["ours"] },
  },
  required: ["tenant", "webhook"],
} as const;

export function webhookRoutes(desk: DeskSource): FastifyPluginAsync {
  return async (server) => {
    sayLimit(server, SETTINGS_BYTES_MAX);
    server.addHook("onRequest", checkTenant);
    registerRead(server, desk);
    registerPut(server, desk);
    registerDelete(server, desk);
    registerTest(server, desk);
  };
}

function registerRead(server: FastifyInstance, desk: DeskSource): void {
  server.get<TenantParams>(
    PATH,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "listWebhooks",
        summary: "Webhooks, and what became of their deliveries",
        params: TENANT_PARAMS,
        response: responses("WebhookList", "All of them"),
      },
    },
    async (request, reply) => {
      const webhooks = await desk().ask("webhooks", { tenant: request.params.tenant });
      return fresh(reply).send({ webhooks });
    },
  );
  server.get<WebhookParams>(
    `${PATH}/${WEBHOOK}`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "getWebhook",
        summary: "One webhook",
        params: WEBHOOK_PARAMS,
        response: responses("Webhook", "It, without its secret", "webhookUnknown"),
      },
    },
    async (request, reply) => {
      const { tenant, webhook: id } = request.params;
      return fresh(reply).send(await desk().ask("webhook", { tenant, id }));
    },
  );
}

function registerPut(server: FastifyInstance, desk: DeskSource): void {
  server.put<WebhookParams & { Body: WebhookBody }>(
    `${PATH}/${WEBHOOK}`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "putWebhook",
        summary: "Make or change a webhook",
        description: `Deliveries are signed as Standard Webhooks say; the secret is in the answer
that makes the webhook, or that follows \`rotateSecret\`, and never again. After
${WEBHOOK_FAILURES_MAX} failed attempts in a row a webhook is disabled; this enables it. There are
${WEBHOOKS_MAX} of a tenant at most.`,
        params: WEBHOOK_PARAMS,
        body: {
          type: "object",
          additionalProperties: false,
          required: ["url"],
          properties: {
            url: { type: "string", examples: ["https://example.org/hooks"] },
            events: {
              type: "array",
              uniqueItems: true,
              minItems: 1,
              items: { type: "string", enum: [...WEBHOOK_EVENTS] },
              default: [...WEBHOOK_EVENTS],
            },
            enabled: { type: "boolean", default: true },
            rotateSecret: { type: "boolean", default: false },
          },
        },
        response: writeResponses("Webhook", "It", "webhookRefused", "webhookLimit"),
      },
    },
    async (request, reply) => {
      const { tenant, webhook: id } = request.params;
      const { events, enabled, rotateSecret } = request.body;
      const reviews = desk();
      const { href: url } = requireWebhookUrl(request.body.url, reviews.targets);
      const change = { tenant, id, url, events, enabled, rotateSecret, nowMs: reviews.nowMs() };
      const answer = await reviews.ask("putWebhook", { ...change, secret: newSecret() });
      return fresh(reply).send({ ...answer.webhook, secret: answer.secret });
    },
  );
}

function registerDelete(server: FastifyInstance, desk: DeskSource): void {
  server.delete<WebhookParams>(
    `${PATH}/${WEBHOOK}`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "deleteWebhook",
        summary: "Delete a webhook, and what waits for it",
        params: WEBHOOK_PARAMS,
        response: {
          204: { description: "It is gone", type: "null" },
          ...problemResponses("tenantIllegal", "webhookUnknown", "crossSite", "storeUnavailable"),
        },
      },
    },
    async (request, reply) => {
      const { tenant, webhook: id } = request.params;
      const reviews = desk();
      await reviews.ask("deleteWebhook", { tenant, id, nowMs: reviews.nowMs() });
      return reply.code(204).send();
    },
  );
}

function registerTest(server: FastifyInstance, desk: DeskSource): void {
  server.post<WebhookParams>(
    `${PATH}/${WEBHOOK}::test`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "testWebhook",
        summary: "Send a signed message to a webhook now",
        description: "The event is `webhook.test`. It is not tried again.",
        params: WEBHOOK_PARAMS,
        response: writeResponses("WebhookTest", "What became of it", "webhookUnknown"),
      },
    },
    async (request, reply) => {
      const { tenant, webhook: id } = request.params;
      return fresh(reply).send(await desk().tryWebhook(tenant, id));
    },
  );
}
