/** The running product: engine and HTTP together. Used by serve, demo and replay. */
import { healthRoutes } from "#api/health.ts";
import { buildServer } from "#api/server.ts";
import { tenantRoutes } from "#api/tenants.ts";
import { trendingRoutes } from "#api/trending.ts";
import type { Config } from "#config/options.ts";
import { liveRoutes } from "#egress/live.ts";
import type { EngineDoor } from "#engine/door.ts";
import { eventRoutes } from "#ingest/http.ts";
import type { Log } from "#observe/log.ts";
import type { FastifyInstance } from "fastify";
import { urlHost } from "./url.ts";
import { VERSION } from "./version.ts";

export type Application = {
  readonly url: string;
  readonly engine: EngineDoor;
  /** Refuses new events, answers what is in flight, closes the streams, ends the engine. */
  stop(): Promise<void>;
};

export type AssembledServer = {
  readonly server: FastifyInstance;
  readonly beginStop: () => void;
};

/** The server before it listens: all routes on one engine. Tests inject into it. */
export async function assembleServer(engine: EngineDoor, log: Log): Promise<AssembledServer> {
  let stopping = false;
  const health = { engine, version: VERSION, startedAtMs: Date.now(), stopping: () => stopping };
  const server = await buildServer({
    log,
    version: VERSION,
    stopping: () => stopping,
    routes: [
      eventRoutes(engine),
      trendingRoutes(engine),
      liveRoutes(engine),
      tenantRoutes(engine),
      healthRoutes(health),
    ],
  });
  return { server, beginStop: () => void (stopping = true) };
}

export async function startApplication(config: Config, log: Log): Promise<Application> {
  // Loaded here, so that commands that need no engine do not wait for one.
  const { startEngine } = await import("#engine/engine.ts");
  const { shardCount, slotCount, imageBytesMax, tenantCountMax } = config;
  const engine = await startEngine({ shardCount, slotCount, imageBytesMax, tenantCountMax });
  try {
    return await openApplication(engine, config, log);
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

async function openApplication(engine: EngineDoor, config: Config, log: Log): Promise<Application> {
  const { server, beginStop } = await assembleServer(engine, log);
  await server.listen({ host: config.httpHost, port: config.httpPort });
  const address = server.server.address();
  const port = typeof address === "object" ? address?.port : config.httpPort;
  return {
    url: `http://${urlHost(config.httpHost)}:${port}`,
    engine,
    stop: async () => {
      beginStop();
      await server.close();
      await engine.stop();
    },
  };
}
