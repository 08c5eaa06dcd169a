/** `POST /v1/summaries:merge`: one window of many tenants, and of sketches from elsewhere. */
import { requirePrefix, requireTenant } from "#keys/access-hooks.ts";
import type { EngineDoor } from "#engine/door.ts";
import {
  BODY_BYTES_MAX,
  MERGE_SKETCHES_MAX,
  MERGE_TENANTS_MAX,
  SKETCH_BYTES_MAX,
  SUMMARY_LIMIT_DEFAULT,
  SUMMARY_LIMIT_MAX,
  TENANT_ID_BYTES_MAX,
} from "#model/limits.ts";
import { mergeAnswer } from "#model/merge-answer.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { requireWindow, spanOf } from "#model/window.ts";
import type { FastifyPluginAsync } from "fastify";
import { WINDOW_PROPERTY } from "./summaries.ts";
import { MERGE_EXAMPLE } from "./summary-examples.ts";

const BODY = {
  type: "object",
  additionalProperties: false,
  properties: {
    window: WINDOW_PROPERTY,
    tenants: {
      type: "array",
      items: { type: "string" },
      maxItems: MERGE_TENANTS_MAX,
      description: "These tenants; the unknown ones among them are listed in the answer",
    },
    prefix: {
      type: "string",
      maxLength: TENANT_ID_BYTES_MAX,
      description: `Tenants whose id begins so, at most ${MERGE_TENANTS_MAX}; "" begins all.
Not together with tenants.`,
    },
    sketches: {
      type: "array",
      items: { type: "string" },
      maxItems: MERGE_SKETCHES_MAX,
      description: "Windows in the portable form, base64: of tenants of other servers, say",
    },
    limit: {
      type: "integer",
      minimum: 1,
      maximum: SUMMARY_LIMIT_MAX,
      default: SUMMARY_LIMIT_DEFAULT,
      description: "Terms at most",
    },
  },
  examples: [{ window: "1h", prefix: "acme." }],
} as const;

type MergeBody = {
  window: string;
  tenants?: string[];
  prefix?: string;
  sketches?: string[];
  limit: number;
};

export function mergeRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    server.post<{ Body: MergeBody }>(
      // `::` is a colon; one alone would begin a parameter.
      "/v1/summaries::merge",
      {
        bodyLimit: BODY_BYTES_MAX,
        preValidation: async (request) => {
          refuseNulls(request.body);
          refuseManyMistakes(request.body);
        },
        config: { access: "read" },
        schema: {
          tags: ["summaries"],
          operationId: "mergeSummaries",
          summary: "One summary of many tenants, made by merging their sketches",
          description: `Counts add up; a user of two tenants counts once; quantiles are those of all
samples together, with the relative error they had; intervals of terms add. No percentile is ever
averaged. Tenants that cannot answer are left out and listed; a bad sketch is refused whole.`,
          body: BODY,
          response: {
            200: {
              description: "All of them as one",
              content: {
                "application/json": { schema: { $ref: "MergedSummary#" }, example: MERGE_EXAMPLE },
              },
            },
            ...problemResponses(
              "badRequest",
              "tenantIllegal",
              "windowUnknown",
              "mergeEmpty",
              "mergeLimit",
              "sketchCorrupt",
              "sketchVersion",
              "sketchWindow",
              "malformedJson",
              "crossSite",
              "bodyTooLarge",
              "mediaTypeUnsupported",
              "busy",
              "shardRestarting",
              "stopping",
            ),
          },
        },
      },
      async (request, reply) => {
        const { window, tenants = [], prefix, sketches = [], limit } = request.body;
        const span = spanOf(requireWindow(window));
        checkSources({ tenants, prefix, sketches });
        for (const tenant of tenants) requireTenant(request, tenant);
        if (prefix !== undefined) requirePrefix(request, prefix);
        const merge = await engine.mergeSummaries({
          span,
          tenants: tenants.map(requireTenantId),
          prefix,
          sketches: sketches.map(decodeSketch),
          limit,
        });
        return reply.header("cache-control", "no-store").send(mergeAnswer(merge));
      },
    );
  };
}

/** A null would be taken for "", and that is the prefix of all tenants. */
function refuseNulls(body: unknown): void {
  for (const [name, value] of Object.entries(body ?? {})) {
    if (value === null) throw new Problem("badRequest", `In the body: /${name} must not be null.`);
  }
}

/**
 * The schema finds every mistake, and a body of this size has room for millions of them: seconds in
 * which nobody else is answered. So what can be wrong many times is looked at here first.
 */
function refuseManyMistakes(body: unknown): void {
  if (typeof body !== "object" || body === null) return;
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(BODY.properties, name)) {
      throw new Problem("badRequest", `In the body: /${name} is not known here.`);
    }
    if (!Array.isArray(value)) continue;
    const wrong = value.findIndex((item) => typeof item === "object");
    if (wrong === -1) continue;
    throw new Problem("badRequest", `In the body: /${name}/${wrong} must be string.`);
  }
}

function checkSources(body: {
  readonly tenants: readonly string[];
  readonly prefix: string | undefined;
  readonly sketches: readonly string[];
}): void {
  const { tenants, prefix, sketches } = body;
  if (prefix !== undefined && tenants.length > 0) {
    throw new Problem("badRequest", "In the body: give tenants or prefix, not both.");
  }
  if (prefix === undefined && tenants.length + sketches.length === 0) {
    throw new Problem("mergeEmpty", "Give tenants, a prefix or sketches to merge.");
  }
}

/** Strict: what is not base64 would otherwise become other bytes without a word. */
function decodeSketch(text: string, index: number): Uint8Array {
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  if (!isBase64) throw corrupt(index, "it is not base64 (RFC 4648, section 4, padded)");
  const bytes = Buffer.from(text, "base64");
  if (bytes.length > SKETCH_BYTES_MAX)
    throw corrupt(index, `it has over ${SKETCH_BYTES_MAX} bytes`);
  return bytes;
}

function corrupt(index: number, what: string): Problem {
  const detail = `Sketch ${index}: ${what}; nothing was merged.`;
  return new Problem("sketchCorrupt", detail, { members: { index } });
}
