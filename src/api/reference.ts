/** `/openapi.json` and `/docs`: made from the schemas of the routes, served from this machine. */
import { setAccess } from "#keys/access-hooks.ts";
import type { Access } from "#model/access.ts";
import { problemResponses, SCHEMAS } from "#model/schemas.ts";
import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance, FastifyReply, FastifySchema } from "fastify";

const DESCRIPTION = `Live trends, summaries and moderation of many tenants from one process.

Send events to \`/v1/tenants/{tenant}/events\`, read \`/v1/tenants/{tenant}/trending\` and
\`/v1/tenants/{tenant}/summary\`, or follow \`/v1/tenants/{tenant}/live\`. A tenant
exists from its first event on. Ask \`/v1/tenants/{tenant}/moderate\` for a verdict on a message;
the same verdicts come in OpenAI's form and in Perspective's.

Times are epoch milliseconds. Every error is an \`application/problem+json\` with a stable \`code\`;
429 and 503 carry \`Retry-After\`. The routes in others' forms answer errors in those forms, too.`;

/** Nothing from elsewhere, and no `upgrade-insecure-requests`: the server speaks plain HTTP. */
const CONTENT_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
  "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export async function registerReference(server: FastifyInstance, version: string): Promise<void> {
  for (const schema of SCHEMAS) server.addSchema(schema);
  await server.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "NexusCore",
        version,
        description: DESCRIPTION,
        license: { name: "Apache-2.0" },
      },
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer", description: BEARER },
          basic: { type: "http", scheme: "basic", description: "The key as the password" },
        },
      },
      tags: [
        { name: "events", description: "What goes in" },
        { name: "trending", description: "What comes out" },
        { name: "summaries", description: "What has happened so far" },
        { name: "moderation", description: "What is said, judged in its conversation" },
        { name: "reviews", description: "What people decide about messages" },
        { name: "webhooks", description: "Who is told" },
        { name: "llm", description: "Upstream language models, where some are configured" },
        { name: "tenants", description: "Who is there" },
        { name: "keys", description: "Who is let in" },
        { name: "health", description: "Whether it runs" },
        { name: "system", description: "What the machine does underneath" },
      ],
    },
    transform: ({ schema, url, route }) => ({
      schema: withAccess(withBodyExamples(schema), route.config?.access ?? "public"),
      url,
    }),
    refResolver: {
      buildLocalReference: ({ $id }, _uri, _fragment, index) =>
        typeof $id === "string" ? $id : `def-${index}`,
    },
  });
  const documents = new Documents(server);
  await server.register(async (scope) => registerPages(scope, documents));
  const open = { config: { access: "public" }, schema: { hide: true } } as const;
  server.get("/openapi.json", open, async (_request, reply) => documents.send(reply, "json"));
}

/**
 * Half a megabyte each, which anybody may ask for without a key: written once, or a few requests a
 * second for YAML would leave no time for anybody else's.
 */
class Documents {
  readonly #server: FastifyInstance;
  readonly #written: { json?: Buffer; yaml?: Buffer } = {};

  constructor(server: FastifyInstance) {
    this.#server = server;
  }

  async send(reply: FastifyReply, form: "json" | "yaml"): Promise<FastifyReply> {
    const bytes = (this.#written[form] ??= this.#write(form));
    const type = form === "json" ? "application/json; charset=utf-8" : "application/x-yaml";
    return reply.header("cache-control", "no-cache").type(type).send(bytes);
  }

  #write(form: "json" | "yaml"): Buffer {
    const server = this.#server;
    if (form === "yaml") return Buffer.from(server.swagger({ yaml: true }));
    return Buffer.from(JSON.stringify(server.swagger()));
  }
}

async function registerPages(scope: FastifyInstance, documents: Documents): Promise<void> {
  setAccess(scope, "public");
  // In the place of the plugin's own, which write them anew each time.
  scope.addHook("preHandler", async (request, reply) => {
    const { url } = request.routeOptions;
    if (url === "/docs/json") return documents.send(reply, "json");
    if (url === "/docs/yaml") return documents.send(reply, "yaml");
    return undefined;
  });
  await scope.register(fastifySwaggerUi, {
    routePrefix: "/docs",
    staticCSP: CONTENT_POLICY,
    theme: {
      title: "NexusCore API",
      // The bar on top holds another project's logo and a box for other people's documents.
      css: [{ filename: "nexuscore.css", content: ".swagger-ui .topbar { display: none; }" }],
    },
    uiConfig: { docExpansion: "list", tryItOutEnabled: true, validatorUrl: null },
  });
}

const BEARER = "A key, nxc_…, or a token of the OpenID provider. Not asked for without keys.";

/** What a route asks for, and how it refuses. */
function withAccess(schema: FastifySchema, access: Access): FastifySchema {
  if (access === "public" || schema === undefined) return schema;
  const response = { ...(schema.response as Record<string, { description: string }>) };
  for (const [status, refusal] of Object.entries(REFUSALS)) {
    const own = response[status];
    response[status] = own === undefined ? refusal : withBoth(own, refusal);
  }
  const description = [schema.description, `Asks for \`${access}\`.`].filter(Boolean).join("\n\n");
  return { ...schema, description, security: [{ bearer: [] }, { basic: [] }], response };
}

type ProblemResponse = {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly examples?: object }>>;
};

const REFUSALS = problemResponses("unauthorized", "forbidden", "tooManyTries") as Record<
  string,
  ProblemResponse
>;

/** Ours are added where the route has problems of the same status, in our own form. */
function withBoth(own: ProblemResponse, refusal: ProblemResponse): ProblemResponse {
  const type = "application/problem+json";
  const [one, other] = [own.content?.[type], refusal.content?.[type]];
  if (one === undefined) return own;
  const examples = { ...one.examples, ...other?.examples };
  return {
    description: `${own.description}. ${refusal.description}`,
    content: { ...own.content, [type]: { ...one, examples } },
  };
}

type BodySchema = {
  readonly content?: Readonly<
    Record<
      string,
      { readonly schema: object; readonly example?: unknown; readonly examples?: object }
    >
  >;
};

/** Of a body the plugin knows only those examples that stand in its schema. */
function withBodyExamples(schema: FastifySchema): FastifySchema {
  const { content } = (schema?.body ?? {}) as BodySchema;
  if (content === undefined) return schema;
  const media = Object.entries(content).map(([type, { schema: form, example, examples }]) => {
    const one = example === undefined ? {} : { examples: [example] };
    const many = examples === undefined ? {} : { "x-examples": examples };
    // What stands beside a reference is dropped.
    const own = "$ref" in form ? { allOf: [form] } : form;
    return [type, { schema: { ...own, ...one, ...many } }];
  });
  return { ...schema, body: { content: Object.fromEntries(media) as object } };
}
