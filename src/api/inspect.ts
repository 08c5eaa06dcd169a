/** `GET /v1/tenants/{tenant}/state`: what is known of a tenant beside what was said in it. */
import type { EngineDoor } from "#engine/door.ts";
import { readStored } from "#engine/inspection.ts";
import type { InspectedWindow, TenantInspection } from "#model/inspection.ts";
import type { PolicyStore } from "#model/policy-store.ts";
import { Problem } from "#model/problem.ts";
import { REVIEW_STATES, type ReviewStats } from "#model/review.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { spanOf, type Window } from "#model/window.ts";
import type { ReviewDesk } from "#review/desk.ts";
import type { FastifyPluginAsync } from "fastify";
import { TENANT_EXAMPLE } from "./tenants.ts";

export type InspectParts = {
  readonly engine: EngineDoor;
  readonly policies: PolicyStore;
  /** The queue; or, in words, why there is none. */
  readonly reviews: ReviewDesk | string;
};

const QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    windows: {
      type: "boolean",
      default: true,
      description: "What is in its windows, too: for that it is told the time, as by any question",
    },
  },
} as const;

export function inspectRoutes(parts: InspectParts): FastifyPluginAsync {
  return async (server) => {
    server.get<TenantParams & { Querystring: { windows: boolean } }>(
      "/v1/tenants/:tenant/state",
      {
        config: { access: "operate" },
        schema: {
          tags: ["tenants"],
          operationId: "inspectTenant",
          summary: "A tenant's components, state hashes, snapshots and turns after them",
          description: `For whoever runs the server: nothing that anybody has said is in it. The
snapshots are read and their checksums tested.`,
          params: TENANT_PARAMS,
          querystring: QUERY,
          response: {
            200: {
              description: "The tenant as it stands in memory and on disk",
              content: {
                "application/json": {
                  schema: { $ref: "TenantInspection#" },
                  example: INSPECTION_EXAMPLE,
                },
              },
            },
            ...problemResponses(
              "badRequest",
              "tenantIllegal",
              "tenantUnknown",
              "shardRestarting",
              "storageUnavailable",
              "stopping",
            ),
          },
        },
      },
      async (request, reply) => {
        const tenant = requireTenantId(request.params.tenant);
        const found = await inspection(parts, tenant, request.query.windows);
        return reply.header("cache-control", "no-store").send(found);
      },
    );
  };
}

async function inspection(
  { engine, policies, reviews }: InspectParts,
  tenant: string,
  withWindows: boolean,
): Promise<TenantInspection> {
  // Before the windows are looked at, as whoever looks is told the time, and so is the tenant.
  const { status, components } = await engine.inspect(tenant);
  const { path } = engine.storage();
  const [stored, queue, quota, windows] = await Promise.all([
    path === undefined ? undefined : readStored(path, tenant),
    typeof reviews === "string"
      ? undefined
      : reviews.ask("stats", { tenant, nowMs: reviews.nowMs() }),
    engine.quota(tenant),
    withWindows ? windowsOf(engine, tenant, status.windows) : undefined,
  ]);
  return {
    tenant,
    status,
    components,
    ...(stored === undefined ? {} : { stored }),
    policyVersion: policies.current(tenant).version,
    quota,
    ...(queue === undefined ? {} : { reviews: reviewCounts(queue) }),
    ...(windows === undefined ? {} : { windows }),
  };
}

async function windowsOf(
  engine: EngineDoor,
  tenant: string,
  windows: readonly Window[],
): Promise<InspectedWindow[]> {
  try {
    return await Promise.all(
      windows.map(async (window) => {
        const { eventCount, userCount } = await engine.summary(tenant, {
          span: spanOf(window),
          limit: 1,
        });
        return { window, eventCount, userCount };
      }),
    );
  } catch (error) {
    // In quarantine nobody answers; what else is known is told all the same.
    if (error instanceof Problem) return [];
    throw error;
  }
}

function reviewCounts({ states }: ReviewStats): NonNullable<TenantInspection["reviews"]> {
  const itemCount = REVIEW_STATES.reduce((sum, state) => sum + states[state], 0);
  return { waitingCount: states.pending + states.appealed, itemCount };
}

const HASH = "5f1d0c8b7a0e3f6e9c1b2d4a6f8e0d2c4b6a8f0e1d3c5b7a9f8e7d6c5b4a3f2e";
const INSPECTION_EXAMPLE: TenantInspection = {
  tenant: "acme",
  status: { ...TENANT_EXAMPLE, lastFailure: undefined } as TenantInspection["status"] & object,
  components: [
    {
      world: "summarizer",
      digest: HASH,
      imageBytes: 24_576,
      stateHash: HASH,
      strikeCount: 0,
      quarantined: false,
    },
  ],
  stored: {
    isKept: true,
    snapshots: [
      {
        world: "summarizer",
        generation: "newer",
        stream: 3,
        number: 1_204,
        bytes: 8_704,
        digest: HASH,
        stateHash: HASH,
        strikeCount: 0,
        flags: 0,
      },
    ],
    turnsAfter: {
      count: 3,
      bytes: 1_204,
      kinds: { events: 2, time: 1 },
      since: { stream: 3, number: 1_240 },
      fromMs: 1_795_197_650_000,
      toMs: 1_795_197_659_120,
      isCut: false,
    },
  },
  policyVersion: 2,
  reviews: { waitingCount: 1, itemCount: 4 },
  windows: [{ window: "60s", eventCount: 12, userCount: 5 }],
};
