/**
 * `/v1/system/kernel`: how event datagrams are taken, and the books of every record and refusal.
 */
import type { StageStats } from "#kernel/stage-stats.ts";
import { problemResponses } from "#model/schemas.ts";
import type { FastifyPluginAsync } from "fastify";
import { Type } from "typebox";
import { type DatagramFacts, DatagramFactsSchema } from "./health.ts";

const KernelSchema = Type.Object({
  datagrams: DatagramFactsSchema,
  stats: Type.Optional(Type.Object({}, { additionalProperties: true })),
});

export function kernelRoutes(
  datagrams: DatagramFacts,
  stats: (() => StageStats) | undefined,
): FastifyPluginAsync {
  return async (server) => {
    server.get(
      "/v1/system/kernel",
      {
        schema: {
          tags: ["system"],
          operationId: "systemKernel",
          summary: "Event datagrams: path, records, loss and refusals by reason",
          response: {
            200: { ...KernelSchema, description: "Counted since the start" },
            ...problemResponses("stopping"),
          },
        },
      },
      async (_request, reply) =>
        reply
          .header("cache-control", "no-store")
          .send(stats === undefined ? { datagrams } : { datagrams, stats: stats() }),
    );
  };
}
