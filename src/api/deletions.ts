/** `DELETE /v1/tenants/{tenant}`, and how far that is. */
import type { DeletionReport, Deletions } from "#engine/deletions.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import type { FastifyPluginAsync } from "fastify";

const tags = ["tenants"];
const KEPT =
  "The audit log keeps who did what and when, without texts, for the tenant's retention. " +
  "Backups are the operator's: those that hold the tenant hold it until they are deleted.";

export function deletionRoutes(deletions: Deletions): FastifyPluginAsync {
  return async (server) => {
    server.delete<TenantParams>(
      "/v1/tenants/:tenant",
      {
        config: { access: "manage" },
        schema: {
          tags,
          operationId: "deleteTenant",
          summary: "Delete a tenant and all that is kept of it",
          description: `Begins at once: the tenant is unknown from now on, and what comes of it is
refused with \`tenantDeleting\` until the deletion is done, some seconds later. Then no file of this
server has anything of it but the audit, and a tenant of its name begins anew. A restart goes on
with it. Keys that open this tenant alone are revoked.`,
          params: TENANT_PARAMS,
          response: {
            202: { ...BODY, description: "It goes on; see `…/deletion`" },
            ...problemResponses(
              "tenantIllegal",
              "crossSite",
              "tenantUnknown",
              "storeUnavailable",
              "shardRestarting",
              "stopping",
            ),
          },
        },
      },
      async (request, reply) => {
        const report = await deletions.begin(requireTenantId(request.params.tenant));
        return reply.code(202).header("cache-control", "no-store").send(answerOf(report));
      },
    );
    server.get<TenantParams>(
      "/v1/tenants/:tenant/deletion",
      {
        config: { access: "manage" },
        schema: {
          tags,
          operationId: "tenantDeletion",
          summary: "How far the deletion of a tenant is",
          params: TENANT_PARAMS,
          response: {
            200: { ...BODY, description: "Of its last one" },
            ...problemResponses("tenantIllegal", "deletionUnknown", "storeUnavailable", "stopping"),
          },
        },
      },
      async (request, reply) => {
        const report = await deletions.report(requireTenantId(request.params.tenant));
        return reply.header("cache-control", "no-store").send(answerOf(report));
      },
    );
  };
}

function answerOf(report: DeletionReport): object {
  return { ...report, kept: KEPT };
}

/** Held against the schema by the tests. */
export const DELETION_EXAMPLE = {
  tenant: "acme",
  state: "deleting",
  startedAtMs: 1_795_197_659_120,
  remains: ["log and snapshots", "number", "record"],
  kept: KEPT,
};

const BODY = {
  content: { "application/json": { schema: { $ref: "Deletion#" }, example: DELETION_EXAMPLE } },
};
