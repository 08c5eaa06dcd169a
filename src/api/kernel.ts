/**
 * `/v1/system/kernel`: how event datagrams are taken, the books of every record and refusal, and
 * what the kernel tells of our threads.
 */
import type { StageStats } from "#kernel/stage-stats.ts";
import {
  bucketQuantile,
  type KernelTelemetry,
  type TelemetrySource,
} from "#model/kernel-telemetry.ts";
import { problemResponses } from "#model/schemas.ts";
import type { FastifyPluginAsync } from "fastify";
import { Type } from "typebox";
import { type DatagramFacts, DatagramFactsSchema } from "./health.ts";

const KernelSchema = Type.Object({
  datagrams: DatagramFactsSchema,
  stats: Type.Optional(Type.Object({}, { additionalProperties: true })),
  telemetry: Type.Object(
    {
      programs: Type.Array(
        Type.Object({
          program: Type.String(),
          state: Type.Union([
            Type.Literal("running"),
            Type.Literal("off"),
            Type.Literal("unavailable"),
          ]),
          missing: Type.Optional(Type.String()),
        }),
      ),
    },
    { additionalProperties: true },
  ),
});

export function kernelRoutes(
  datagrams: DatagramFacts,
  stats: (() => StageStats) | undefined,
  telemetry: TelemetrySource,
): FastifyPluginAsync {
  return async (server) => {
    server.get(
      "/v1/system/kernel",
      {
        config: { access: "watch" },
        schema: {
          tags: ["system"],
          operationId: "systemKernel",
          summary: "Event datagrams by path and fate; threads, switches, TLB flushes",
          response: {
            200: { ...KernelSchema, description: "Counted since the start" },
            ...problemResponses("stopping"),
          },
        },
      },
      async (_request, reply) =>
        reply
          .header("cache-control", "no-store")
          .send({ datagrams, stats: stats?.(), telemetry: withQuantiles(telemetry()) }),
    );
  };
}

/** The buckets are for machines; people read quantiles, each the upper bound of its bucket. */
function withQuantiles(telemetry: KernelTelemetry): object {
  const threads = telemetry.threads?.map((thread) => ({
    ...thread,
    runQueueP50Ns: bucketQuantile(thread.runQueueBuckets, 0.5),
    runQueueP99Ns: bucketQuantile(thread.runQueueBuckets, 0.99),
  }));
  return { ...telemetry, threads };
}
