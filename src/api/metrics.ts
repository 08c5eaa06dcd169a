/**
 * `/metrics`: process, engine, datagrams, kernel and language models, in the text format of
 * Prometheus.
 */
import type { AccessBooks } from "#keys/access-books.ts";
import type { KeyRing } from "#keys/key-ring.ts";
import type { EngineDoor } from "#engine/door.ts";
import type { StageStats } from "#kernel/stage-stats.ts";
import type { BackupCounts } from "#model/backup.ts";
import type { TelemetrySource } from "#model/kernel-telemetry.ts";
import type { StoreCounts } from "#review/store-thread.ts";
import type { FastifyPluginAsync } from "fastify";
import prometheus, { type Metric } from "prom-client";
import { accessFamilies } from "./access-metrics.ts";
import { connectionStats } from "./connection-limits.ts";
import { connectionFamilies } from "./connection-metrics.ts";
import { llmFamilies } from "./llm-metrics.ts";
import {
  counter,
  type Family,
  kernelFamilies,
  shardFamilies,
  stageFamilies,
  storeFamilies,
} from "./metric-families.ts";
import { guarded } from "./metric-guard.ts";
import { quotaFamilies } from "./quota-metrics.ts";
import { answersOf } from "./request-log.ts";
import { componentFamilies } from "./component-metrics.ts";
import { backupFamilies, storageFamilies } from "./storage-metrics.ts";

export type MetricsOptions = {
  readonly engine: EngineDoor;
  readonly guard: {
    readonly access: { readonly keys: KeyRing };
    readonly books: AccessBooks;
    /** What reading them needs; `watch`, unless the operator opened them. */
    readonly metricsAccess: "watch" | "public";
  };
  readonly stage: (() => StageStats) | undefined;
  readonly telemetry: TelemetrySource;
  /** Of the review store, if there is one. */
  readonly store?: (() => StoreCounts) | undefined;
  readonly backups?: (() => BackupCounts) | undefined;
};

/** One a process: its observers watch the process, not a server. */
let processMetrics: prometheus.Registry | undefined;

export function metricsRoutes(options: MetricsOptions): FastifyPluginAsync {
  const ours = (processMetrics ??= observeProcess());
  const { guard } = options;
  return async (server) => {
    const route = { config: { access: guard.metricsAccess }, schema: { hide: true } };
    server.get("/metrics", route, async (_request, reply) => {
      const { engine, stage, telemetry, store } = options;
      const families = [
        ...shardFamilies(engine.stats()),
        ...stageFamilies(stage?.()),
        ...kernelFamilies(telemetry()),
        ...storeFamilies(store?.()),
        ...storageFamilies(engine.storage()),
        ...backupFamilies(options.backups?.()),
        ...componentFamilies(engine.stats()),
        ...(await llmFamilies(engine.llm)),
        ...(await quotaFamilies(engine)),
        ...accessFamilies(guard.access.keys, guard.books),
        ...connectionFamilies(connectionStats(server.server)),
        answerFamily(answersOf(server)),
      ];
      return reply
        .type(prometheus.Registry.PROMETHEUS_CONTENT_TYPE)
        .header("cache-control", "no-store")
        .send(`${await ours.metrics()}\n${await textOf(guarded(families))}`);
    });
  };
}

function answerFamily(answers: ReadonlyMap<number, number>): Family {
  const samples = [...answers].map(([status, value]) => ({
    labels: { status: `${status}` },
    value,
  }));
  return counter("nexuscore_http_answers_total", "Answers, by status.", samples);
}

/** The library would look a hundred times a second: half of our system calls. */
const LOOP_LOOK_MS = 100;

function observeProcess(): prometheus.Registry {
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: LOOP_LOOK_MS,
  });
  return registry;
}

/** Our counters are kept elsewhere: the library writes them, it does not count. */
export async function textOf(families: readonly Family[]): Promise<string> {
  const registry = new prometheus.Registry();
  for (const family of families) {
    const metric = { name: family.name, get: async () => ({ ...family, aggregator: "sum" }) };
    registry.registerMetric(metric as unknown as Metric);
  }
  return registry.metrics();
}
