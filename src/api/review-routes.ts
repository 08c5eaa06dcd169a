/** What the routes of the review queue share: parameters, checks, the desk behind them. */
import { MODERATOR_BYTES_MAX, REVIEW_REASON_BYTES_MAX } from "#model/limits.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { hasControls, isWithinBytes } from "#model/text-bytes.ts";
import type { ReviewDesk } from "#review/desk.ts";
import type { FastifyReply, FastifyRequest } from "fastify";

/** The desk; where there is none, throws the problem that says why. */
export type DeskSource = () => ReviewDesk;

export type ReviewRequest = { Params: { tenant: string; review: string } };

/** In a pattern: what of a path names an item, so that a colon and a verb may follow. */
export const REVIEW = ":review(^[A-Za-z0-9_]+)";

export const REVIEW_PARAMS = {
  type: "object",
  properties: {
    ...TENANT_PARAMS.properties,
    review: { type: "string", description: "Of an item", examples: ["r_01KAM0…"] },
  },
  required: ["tenant", "review"],
} as const;

export const IF_MATCH = {
  type: "object",
  properties: {
    "if-match": { type: "string", description: "The `ETag` that was seen", examples: ['"3"'] },
  },
} as const;

export const MODERATOR = {
  type: "string",
  description: `Who: 1 to ${MODERATOR_BYTES_MAX} bytes, no controls`,
  examples: ["grace"],
} as const;

export const REASON = {
  type: "string",
  description: `Why; at most ${REVIEW_REASON_BYTES_MAX} bytes`,
} as const;

const ALWAYS: readonly ProblemCode[] = ["badRequest", "tenantIllegal", "storeUnavailable", "busy"];
const WRITES: readonly ProblemCode[] = [
  "crossSite",
  "malformedJson",
  "bodyTooLarge",
  "mediaTypeUnsupported",
  "stopping",
  "tenantDeleting",
];

/** A 200 with the schema of that name, and the problems that there may be. */
export function responses(
  schema: string,
  description: string,
  ...codes: readonly ProblemCode[]
): Record<string, object> {
  return {
    200: { description, content: { "application/json": { schema: { $ref: `${schema}#` } } } },
    ...problemResponses(...ALWAYS, ...codes),
  };
}

export function writeResponses(
  schema: string,
  description: string,
  ...codes: readonly ProblemCode[]
): Record<string, object> {
  return responses(schema, description, ...WRITES, ...codes);
}

export async function checkTenant(request: FastifyRequest): Promise<void> {
  requireTenantId((request.params as { tenant: string }).tenant);
}

/** A name that is kept and shown: of a moderator, an author, a reporter. */
export function requireName(
  value: string,
  pointer: string,
  bytesMax = MODERATOR_BYTES_MAX,
): string {
  if (value !== "" && !hasControls(value) && isWithinBytes(value, bytesMax)) return value;
  throw new Problem("badRequest", `${pointer} must be 1 to ${bytesMax} bytes without controls.`);
}

export function optionalName(
  value: string | undefined,
  pointer: string,
  bytesMax = MODERATOR_BYTES_MAX,
): string | undefined {
  return value === undefined ? undefined : requireName(value, pointer, bytesMax);
}

export function requireText(value: string, pointer: string, bytesMax: number): string {
  if (value !== "" && isWithinBytes(value, bytesMax)) return value;
  throw new Problem("badRequest", `${pointer} must be 1 to ${bytesMax} bytes.`);
}

/** The version that the caller has seen: `version` of the body, or If-Match. */
export function versionOf(
  request: FastifyRequest,
  version: number | undefined,
): number | undefined {
  const header = request.headers["if-match"]?.trim();
  if (header === undefined || header === "*") return version;
  const [, seen] = /^(?:W\/)?"(\d{1,15})"$/.exec(header) ?? [];
  if (seen !== undefined) return Number(seen);
  throw new Problem("badRequest", 'If-Match must be the ETag of the item, such as "3".');
}

export function fresh(reply: FastifyReply, version?: number): FastifyReply {
  reply.header("cache-control", "no-store");
  return version === undefined ? reply : reply.header("etag", `"${version}"`);
}
