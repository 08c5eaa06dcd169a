/**
 * `POST /v1/tenants/{tenant}/events` and `POST /v1/events`. The body stays bytes: here it is only
 * received, decompressed and labelled; JSON is parsed where the tenants live.
 */
import type { BodyFormat, EngineDoor, OfferAnswer } from "#engine/door.ts";
import { payerOf, tenantFor } from "#keys/access-hooks.ts";
import { BodyBudget } from "#model/body-budget.ts";
import { BODY_BYTES_MAX, ERRORS_LISTED_MAX, LINE_BYTES_MAX } from "#model/limits.ts";
import { Problem, PROBLEMS, type ProblemCode } from "#model/problem.ts";
import type { AckWish } from "#model/storage.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";
import { type BodyHeaders, readBody } from "./body.ts";
import { isBinaryCloudEvent, structuredEnvelope } from "./cloud-events.ts";

const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const NEWLINE = 0x0a;
/** Of one event whose tenant may send none now: only the shard knows how long. */
const RETRY_AFTER_SECONDS = 1;

/** What a content type means; `sniff`: see `sniffFormat`. */
const FORMATS: Readonly<Record<string, BodyFormat | "sniff">> = {
  "application/json": "json",
  "application/cloudevents+json": "json",
  "application/cloudevents-batch+json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "application/x-jsonlines": "ndjson",
  "application/jsonlines": "ndjson",
  "text/plain": "sniff",
  "": "sniff",
};

export function eventRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    const held = new HeldBodies();
    // Also of a request that got no further, or whose client is gone.
    server.addHook("onResponse", async (request) => held.give(request));
    // The schema of the body is for the reference; the body itself is not looked into here.
    server.setValidatorCompiler(() => () => true);
    server.removeAllContentTypeParsers();
    server.addContentTypeParser(
      "*",
      async (request: FastifyRequest, payload: typeof request.raw) => {
        checkMediaType(request);
        const { "content-encoding": encoding, "content-length": contentLength } = request.headers;
        return held.read(request, payload, { encoding, contentLength });
      },
    );
    const take = async (
      request: FastifyRequest,
      reply: FastifyReply,
      tenant: string | undefined,
    ): Promise<FastifyReply> => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      try {
        const answer = await offerBody(engine, request, body, tenant);
        return await reply.code(202).send(answer);
      } finally {
        held.give(request);
      }
    };
    server.post<TenantParams>(
      "/v1/tenants/:tenant/events",
      {
        config: { access: "send", countsBody: true },
        schema: { ...SCHEMA, operationId: "postTenantEvents", params: TENANT_PARAMS },
        // The address is checked before the body is read: a wrong one costs nothing.
        onRequest: (request, _reply, done) => {
          const tenant = requireTenantId(request.params.tenant);
          ackOf(request);
          engine.checkQuota(tenant);
          done();
        },
      },
      async (request, reply) => take(request, reply, request.params.tenant),
    );
    server.post(
      "/v1/events",
      {
        config: { access: "send", countsBody: true },
        schema: {
          ...SCHEMA,
          operationId: "postEvents",
          summary: "Send events of any tenants; each names its own in `tenant`",
        },
        onRequest: (request, _reply, done) => {
          ackOf(request);
          // Who has to name the tenant is told before the body is read.
          const tenant = tenantFor(request, undefined);
          if (tenant !== undefined) engine.checkQuota(tenant);
          done();
        },
      },
      // Of a key that is for one tenant it is that one's, whatever the events say.
      async (request, reply) => take(request, reply, tenantFor(request, undefined)),
    );
  };
}

/** Bodies in memory, and whose they are. */
class HeldBodies {
  readonly #budget = new BodyBudget();
  readonly #bytes = new WeakMap<FastifyRequest, number>();

  async read(request: FastifyRequest, payload: Readable, headers: BodyHeaders): Promise<Buffer> {
    const body = await readBody(payload, headers, this.#budget.of(payerOf(request)));
    this.#bytes.set(request, body.length);
    return body;
  }

  give(request: FastifyRequest): void {
    this.#budget.of(payerOf(request)).give(this.#bytes.get(request) ?? 0);
    this.#bytes.delete(request);
  }
}

async function offerBody(
  engine: EngineDoor,
  request: FastifyRequest,
  received: Buffer,
  tenant: string | undefined,
): Promise<OfferAnswer> {
  if (received.length === 0) throw new Problem("badRequest", "The body is empty; send events.");
  const mediaType = mediaTypeOf(request);
  const binary = isBinaryCloudEvent(request.headers);
  const body = binary ? structuredEnvelope(request.headers, mediaType, received) : received;
  const label = binary ? "json" : (FORMATS[mediaType] ?? "sniff");
  const first = firstByteOf(body);
  const format = label === "sniff" ? sniffFormat(body, first) : label;
  const answer = await engine.offer({ tenant, body, format, ack: ackOf(request) });
  if (format === "json" && first === OPEN_BRACE) refuseSingle(answer);
  return answer;
}

/** What is to be waited for; undefined: what the server is told to. */
function ackOf({ query }: FastifyRequest): AckWish | undefined {
  const { ack } = query as { readonly ack?: unknown };
  if (ack === undefined || ack === "disk" || ack === "memory") return ack;
  throw new Problem("badRequest", "In the query: ack is disk or memory, said once.");
}

/** Somebody who sends one event and is told 202 will not look for what was wrong with it. */
function refuseSingle(answer: OfferAnswer): void {
  const error = answer.errors[0];
  if (answer.accepted > 0 || answer.rejected === 0) return;
  const known = error !== undefined && Object.hasOwn(PROBLEMS, error.code);
  const code = known ? (error.code as ProblemCode) : "badRequest";
  const detail = error?.message ?? "The event was refused.";
  const isOver = code === "overQuota" || code === "tenantMemoryFull" || code === "tenantDeleting";
  const after = isOver ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {};
  throw new Problem(code, detail, { members: { ...answer }, ...after });
}

function mediaTypeOf({ headers }: FastifyRequest): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function checkMediaType(request: FastifyRequest): void {
  if (isBinaryCloudEvent(request.headers)) return;
  const mediaType = mediaTypeOf(request);
  if (Object.hasOwn(FORMATS, mediaType)) return;
  const hint =
    mediaType === "application/x-www-form-urlencoded"
      ? " (curl -d says so by itself: add -H 'content-type: application/json')"
      : "";
  const known = "application/json, application/x-ndjson or application/cloudevents+json";
  throw new Problem("mediaTypeUnsupported", `${mediaType} is not taken${hint}; use ${known}.`);
}

function firstByteOf(body: Buffer): number {
  for (const byte of body) if (byte > 0x20) return byte;
  return 0;
}

/**
 * For bodies that do not say what they are, without parsing them: an array is JSON; an object whose
 * first line ends in `}` is NDJSON (one line of it is also JSON); else JSON over several lines.
 */
function sniffFormat(body: Buffer, first: number): BodyFormat {
  if (first === OPEN_BRACKET) return "json";
  if (first !== OPEN_BRACE) return "ndjson";
  const newline = body.indexOf(NEWLINE, body.indexOf(OPEN_BRACE));
  if (newline === -1) return "json";
  let last = newline - 1;
  while (last > 0 && (body[last] ?? 0) <= 0x20) last -= 1;
  return body[last] === CLOSE_BRACE ? "ndjson" : "json";
}

const EVENT_EXAMPLE = { id: "m1", user: "ada", text: "the boss fight is on!" };
const CLOUD_EVENT_EXAMPLE = {
  specversion: "1.0",
  id: "m1",
  source: "/chat/general",
  type: "message.created",
  data: { user: "ada", text: "the boss fight is on!" },
};

const SCHEMA = {
  tags: ["events"],
  summary: "Send events",
  description: `One JSON object, an array, NDJSON, or CloudEvents 1.0 (structured, batch, and binary
with \`ce-*\` headers). \`Content-Encoding\`: gzip, zstd, br or deflate. At most
${BODY_BYTES_MAX} bytes of body, as sent and decompressed, ${LINE_BYTES_MAX} an event.

One bad event never loses the good ones: of an array or NDJSON the bad ones are listed in \`errors\`
(the first ${ERRORS_LISTED_MAX}); a single bad event is a problem. Without a content type, or as
text/plain, an array or an object over several lines is JSON, else NDJSON.

\`ack\` in the answer says where the events are: on \`disk\`, in \`memory\` and on disk some
milliseconds later, or in memory alone (\`none\`: the server has no data directory). An answer that
is lost, or 503 \`storageUnavailable\` after the events were read, leaves open whether they were
taken: send them again with their \`id\`s, which count once.`,
  querystring: {
    type: "object",
    properties: {
      ack: {
        type: "string",
        enum: ["disk", "memory"],
        description:
          "What the answer waits for, instead of what the server is configured to wait for",
      },
    },
  },
  body: {
    content: {
      "application/json": {
        schema: { oneOf: [{ $ref: "Event#" }, { type: "array", items: { $ref: "Event#" } }] },
        examples: {
          one: { value: EVENT_EXAMPLE },
          many: {
            value: [EVENT_EXAMPLE, { user: "bo", text: "on my way", tsMs: 1_795_197_600_000 }],
          },
        },
      },
      "application/x-ndjson": {
        schema: { type: "string" },
        example:
          '{"user":"ada","text":"the boss fight is on!"}\n{"user":"bo","text":"on my way"}\n',
      },
      "application/cloudevents+json": {
        schema: { type: "object", additionalProperties: true },
        example: CLOUD_EVENT_EXAMPLE,
      },
      "application/cloudevents-batch+json": {
        schema: { type: "array", items: { type: "object", additionalProperties: true } },
        example: [CLOUD_EVENT_EXAMPLE],
      },
    },
  },
  response: {
    202: {
      description: "The events are in the tenants' windows; the rejected ones are not",
      content: {
        "application/json": {
          schema: { $ref: "EventsAnswer#" },
          example: { ack: "disk", accepted: 2, rejected: 0, late: 0, duplicates: 0, errors: [] },
        },
      },
    },
    ...problemResponses(
      "badRequest",
      "textTooLong",
      "tenantIllegal",
      "malformedJson",
      "invalidUtf8",
      "malformedEncoding",
      "crossSite",
      "tenantQuarantined",
      "bodyTooLarge",
      "mediaTypeUnsupported",
      "encodingUnsupported",
      "busy",
      "overQuota",
      "tenantMemoryFull",
      "tenantDeleting",
      "tenantLimit",
      "guestFailed",
      "memoryFull",
      "shardRestarting",
      "stopping",
      "recovering",
      "storageUnavailable",
      "storageFull",
    ),
  },
};
