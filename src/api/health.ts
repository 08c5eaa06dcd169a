/** `/livez`, `/readyz` and the landing page. */
import type { EngineDoor } from "#engine/door.ts";
import { mayKnow } from "#keys/access-hooks.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import { type Static, Type } from "typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { storageProblem, storageReady, StorageReadySchema } from "./storage.ts";

/** By this a client knows that the server on a port is ours. */
export const PRODUCT = "nexuscore";

/** How event datagrams are taken: by which path, and what the kernel's lacks. */
export const DatagramFactsSchema = Type.Union([
  Type.Object({ status: Type.Literal("off"), reason: Type.String() }),
  Type.Object({
    status: Type.Literal("on"),
    host: Type.String(),
    port: Type.Integer(),
    path: Type.Union([Type.Literal("kernel"), Type.Literal("user")]),
    missing: Type.Array(Type.String()),
    receive: Type.Union([Type.Literal("recvmmsg"), Type.Literal("dgram")]),
    cpuCount: Type.Integer(),
    slotCount: Type.Integer(),
    logRecordCount: Type.Integer(),
  }),
]);

export type DatagramFacts = Static<typeof DatagramFactsSchema>;

export type HealthOptions = {
  readonly engine: EngineDoor;
  readonly version: string;
  readonly startedAtMs: number;
  readonly stopping: () => boolean;
  readonly datagrams: DatagramFacts;
};

const ReadySchema = Type.Object({
  product: Type.Literal(PRODUCT),
  version: Type.String(),
  status: Type.Literal("ready"),
  startedAtMs: Type.Number(),
  storage: StorageReadySchema,
  tenantCount: Type.Optional(Type.Integer()),
  eventCount: Type.Optional(Type.Integer()),
  datagrams: Type.Optional(DatagramFactsSchema),
  shards: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
});

export function healthRoutes(options: HealthOptions): FastifyPluginAsync {
  const { version } = options;
  return async (server) => {
    server.get(
      "/livez",
      {
        config: { access: "public" },
        schema: {
          tags: ["health"],
          operationId: "livez",
          summary: "Whether the process runs",
          response: {
            200: Type.Object({ status: Type.Literal("live") }, { description: "It does" }),
          },
        },
      },
      async (_request, reply) => reply.header("cache-control", "no-store").send({ status: "live" }),
    );
    registerReady(server, options);
    const landing = { config: { access: "public" }, schema: { hide: true } } as const;
    server.get("/", landing, async (request, reply) => {
      const wantsHtml = String(request.headers.accept ?? "").includes("text/html");
      reply.header("vary", "accept");
      if (!wantsHtml) return { product: PRODUCT, version, ...LINKS };
      return reply
        .type("text/html; charset=utf-8")
        .header("content-security-policy", LANDING_POLICY)
        .send(landingPage(version, request.host));
    });
  };
}

function registerReady(
  server: FastifyInstance,
  { engine, version, startedAtMs, stopping, datagrams }: HealthOptions,
): void {
  server.get(
    "/readyz",
    {
      config: { access: "public", tellsMoreTo: "watch" },
      schema: {
        tags: ["health"],
        operationId: "readyz",
        summary: "Whether events are taken, and what runs",
        description: "What runs is told to who has a key for `watch`, or where there are no keys.",
        response: {
          200: { ...ReadySchema, description: "They are" },
          ...problemResponses(
            "shardRestarting",
            "draining",
            "recovering",
            "storageUnavailable",
            "storageFull",
          ),
        },
      },
    },
    async (request, reply) => {
      if (stopping())
        throw new Problem("draining", "The server is stopping: it answers what it has taken.");
      const storage = engine.storage();
      const problem = storageProblem(storage);
      if (problem !== undefined) throw problem;
      if (!engine.ready) throw new Problem("shardRestarting", "Events are not taken right now.");
      // How much goes on here is nobody's business but the operator's.
      const facts = mayKnow(request) ? runFacts(engine, datagrams) : {};
      return reply.header("cache-control", "no-store").send({
        product: PRODUCT,
        version,
        status: "ready",
        startedAtMs,
        storage: storageReady(storage),
        ...facts,
      });
    },
  );
}

function runFacts(engine: EngineDoor, datagrams: DatagramFacts): object {
  const shards = engine.stats();
  const sum = (key: "tenantCount" | "eventCount"): number =>
    shards.reduce((total, shard) => total + shard[key], 0);
  return { tenantCount: sum("tenantCount"), eventCount: sum("eventCount"), datagrams, shards };
}

const LANDING_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'";

const LINKS = { docs: "/docs", openapi: "/openapi.json", ready: "/readyz", tenants: "/v1/tenants" };

function landingPage(version: string, host: string): string {
  const origin = `http://${host.replaceAll(/[^A-Za-z0-9.:[\]-]/g, "")}`;
  const links = Object.entries(LINKS).map(([name, path]) => `<a href="${path}">${name}</a>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>NexusCore</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 44rem; margin: 4rem auto; padding: 0 1rem }
  pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: .5rem }
  a { margin-right: 1rem }
</style>
<h1>NexusCore ${version}</h1>
<p>What is trending now and what has happened so far, for each of many tenants.
It runs and takes events.</p>
<p>${links.join("\n")}</p>
<pre>curl -d '{"user":"ada","text":"the boss fight is on!"}' \\
  -H 'content-type: application/json' ${origin}/v1/tenants/acme/events
curl ${origin}/v1/tenants/acme/trending
curl ${origin}/v1/tenants/acme/summary?window=1h
curl -N ${origin}/v1/tenants/acme/live</pre>
</html>
`;
}
