/** `/v1/keys`: who may open this server, and what for. Secrets are told once, when made. */
import { principalOf } from "#keys/access-hooks.ts";
import type { KeyDesk } from "#keys/key-desk.ts";
import { KeyError, type KeyRequest } from "#keys/key-table.ts";
import { type Role, ROLE_NAMES } from "#model/access.ts";
import {
  KEY_NOTE_BYTES_MAX,
  KEY_OVERLAP_MS_DEFAULT,
  KEY_OVERLAP_MS_MAX,
  KEY_PAGE_DEFAULT,
  KEY_PAGE_MAX,
  KEY_REMEMBERED_MS,
  KEY_TENANTS_MAX,
  SETTINGS_BYTES_MAX,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from "fastify";
import { Type } from "typebox";

const PATH = "/v1/keys";
const KEY = ":key(^[0-9A-Za-z]+)";
const DAY_MS = 86_400_000;
const tags = ["keys"];
const access = "operate";
const bodyLimit = SETTINGS_BYTES_MAX;

type KeyParams = { Params: { key: string } };
type Page = { offset: number; limit: number };
type AuditPage = { limit: number; before?: number };
type KeyBody = { roles: Role[]; tenants: string[]; note?: string; expiresMs?: number };

const FIELDS = {
  id: Type.String(),
  roles: Type.Array(Type.String()),
  tenants: Type.Array(Type.String()),
  note: Type.String(),
  state: Type.Union([Type.Literal("open"), Type.Literal("expired"), Type.Literal("revoked")]),
  createdMs: Type.Number(),
  expiresMs: Type.Optional(Type.Number()),
  revokedMs: Type.Optional(Type.Number()),
  formerEndsMs: Type.Optional(Type.Number()),
  lastUsed: Type.Optional(Type.String()),
};
const KeySchema = Type.Object(FIELDS);
const ToldSchema = Type.Object({ ...FIELDS, key: Type.String() });
const EXAMPLE = {
  id: "3kT9xQ2mZ7aB",
  roles: ["tenantWrite"],
  tenants: ["acme"],
  note: "chat backend",
  state: "open",
  createdMs: 1_795_197_600_000,
  expiresMs: 1_802_973_600_000,
  lastUsed: "2026-11-21",
};
const TOLD_EXAMPLE = { key: `nxc_${EXAMPLE.id}_…`, ...EXAMPLE };

const KEY_PARAMS = {
  type: "object",
  properties: { key: { type: "string", description: "Its id", examples: [EXAMPLE.id] } },
  required: ["key"],
} as const;

const OVERLAP = {
  type: "object",
  additionalProperties: false,
  properties: {
    overlapSeconds: {
      type: "number",
      minimum: 0,
      maximum: KEY_OVERLAP_MS_MAX / 1_000,
      default: KEY_OVERLAP_MS_DEFAULT / 1_000,
      description: "How long the secret before goes on opening",
    },
  },
  examples: [{ overlapSeconds: 3_600 }],
} as const;

const WISH = {
  type: "object",
  additionalProperties: false,
  required: ["roles", "tenants"],
  properties: {
    roles: {
      type: "array",
      minItems: 1,
      uniqueItems: true,
      items: { type: "string", enum: [...ROLE_NAMES] },
      description: "What it is for; docs/keys.md says what each may do",
    },
    tenants: {
      type: "array",
      minItems: 1,
      maxItems: KEY_TENANTS_MAX,
      uniqueItems: true,
      items: { type: "string" },
      description: "Ids, prefixes such as shop-*, or * for all",
    },
    note: { type: "string", description: `At most ${KEY_NOTE_BYTES_MAX} bytes; never a secret` },
    expiresMs: { type: "number", description: "From then on it opens nothing; left out: never" },
  },
  examples: [{ roles: ["tenantWrite"], tenants: ["acme"], note: "chat backend" }],
} as const;

export function keyRoutes(desk: KeyDesk): FastifyPluginAsync {
  return async (server) => {
    registerList(server, desk);
    registerCreate(server, desk);
    registerChanges(server, desk);
    registerAudit(server, desk);
  };
}

function registerList(server: FastifyInstance, desk: KeyDesk): void {
  server.get<{ Querystring: Page }>(
    PATH,
    {
      config: { access },
      schema: {
        tags,
        operationId: "listKeys",
        summary: "Keys, the newest first",
        description: `Without secrets: nobody has them but those they were told. Revoked and expired
ones are listed for ${KEY_REMEMBERED_MS / DAY_MS} days. \`lastUsed\` is a day.`,
        querystring: {
          type: "object",
          additionalProperties: false,
          properties: {
            offset: { type: "integer", minimum: 0, default: 0, description: "Keys to skip" },
            limit: {
              type: "integer",
              minimum: 1,
              maximum: KEY_PAGE_MAX,
              default: KEY_PAGE_DEFAULT,
            },
          },
        },
        response: {
          200: answer(
            "One page",
            Type.Object({ total: Type.Integer(), keys: Type.Array(KeySchema) }),
            {
              total: 1,
              keys: [EXAMPLE],
            },
          ),
          ...problemResponses("badRequest"),
        },
      },
    },
    async ({ query }, reply) => fresh(reply).send(desk.page(query.offset, query.limit)),
  );
}

function registerCreate(server: FastifyInstance, desk: KeyDesk): void {
  server.post<{ Body: KeyBody }>(
    PATH,
    {
      bodyLimit,
      config: { access },
      schema: {
        tags,
        operationId: "createKey",
        summary: "Make a key",
        description: `The answer has its text, once: what is kept is a hash. The first key closes a
server that was open to its machine, so it has to be an admin's of all tenants.`,
        body: WISH,
        response: {
          201: answer("The key, with its text", ToldSchema, TOLD_EXAMPLE),
          ...problemResponses("badRequest", ...WRITES),
        },
      },
    },
    async (request, reply) => {
      const { name } = principalOf(request);
      requireWayBack(desk, request.body);
      const told = explained(() => desk.create(request.body, name));
      return fresh(reply.code(201)).send(told);
    },
  );
}

function registerChanges(server: FastifyInstance, desk: KeyDesk): void {
  const problems = problemResponses("badRequest", "keyUnknown", ...WRITES);
  server.post<KeyParams & { Body: { overlapSeconds: number } }>(
    `${PATH}/${KEY}::rotate`,
    {
      bodyLimit,
      config: { access },
      // A body that is left out wishes for nothing.
      preValidation: async (request) => {
        request.body ??= { overlapSeconds: KEY_OVERLAP_MS_DEFAULT / 1_000 };
      },
      schema: {
        tags,
        operationId: "rotateKey",
        summary: "Give a key a new secret",
        description: `Its id, roles and tenants stay. The secret before opens for
\`overlapSeconds\` more, and answers to it carry a \`warning\`; one from before that is out at
once.`,
        params: KEY_PARAMS,
        body: OVERLAP,
        response: { 200: answer("It, with its new text", ToldSchema, TOLD_EXAMPLE), ...problems },
      },
    },
    async (request, reply) => {
      const { name } = principalOf(request);
      const overlapMs = request.body.overlapSeconds * 1_000;
      return fresh(reply).send(explained(() => desk.rotate(request.params.key, name, overlapMs)));
    },
  );
  server.delete<KeyParams>(
    `${PATH}/${KEY}`,
    {
      config: { access },
      schema: {
        tags,
        operationId: "revokeKey",
        summary: "Revoke a key",
        description: `It opens nothing from now on; streams that it opened end within seconds. The
server does not become open again, also where it was the last one.`,
        params: KEY_PARAMS,
        response: {
          200: answer("It, revoked", KeySchema, { ...EXAMPLE, state: "revoked" }),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { name } = principalOf(request);
      return fresh(reply).send(explained(() => desk.revoke(request.params.key, name)));
    },
  );
}

function registerAudit(server: FastifyInstance, desk: KeyDesk): void {
  const line = Type.Object({
    seq: Type.Integer(),
    atMs: Type.Number(),
    actor: Type.String(),
    action: Type.String(),
    key: Type.String(),
    detail: Type.Object({}, { additionalProperties: true }),
  });
  const example = {
    seq: 1,
    atMs: EXAMPLE.createdMs,
    actor: "nxc_9sLw0Qe4Rt6Y_…",
    action: "create",
    key: EXAMPLE.id,
    detail: { roles: EXAMPLE.roles, tenants: EXAMPLE.tenants, note: EXAMPLE.note },
  };
  server.get<{ Querystring: AuditPage }>(
    `${PATH}::audit`,
    {
      config: { access },
      schema: {
        tags,
        operationId: "keyAudit",
        summary: "Who made, rotated and revoked keys",
        description: "Append only, the newest first. It never has a secret.",
        querystring: {
          type: "object",
          additionalProperties: false,
          properties: {
            limit: {
              type: "integer",
              minimum: 1,
              maximum: KEY_PAGE_MAX,
              default: KEY_PAGE_DEFAULT,
            },
            before: { type: "integer", minimum: 0, description: "The `seq` that was seen last" },
          },
        },
        response: {
          200: answer("One page", Type.Object({ lines: Type.Array(line) }), { lines: [example] }),
          ...problemResponses("badRequest"),
        },
      },
    },
    async ({ query }, reply) => fresh(reply).send({ lines: desk.audit(query.limit, query.before) }),
  );
}

/** Whoever closes the server must be able to open it again. */
function requireWayBack(desk: KeyDesk, { roles, tenants }: KeyRequest): void {
  if (!desk.ring.isEmpty || (roles.includes("admin") && tenants.includes("*"))) return;
  throw new Problem(
    "badRequest",
    'The first key closes the server: make an admin of all tenants first (roles ["admin"], ' +
      'tenants ["*"]), then this one with it.',
  );
}

function explained<Result>(action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new Problem(error.isUnknown ? "keyUnknown" : "badRequest", error.message);
  }
}

function fresh(reply: FastifyReply): FastifyReply {
  return reply.header("cache-control", "no-store");
}

function answer(description: string, schema: object, example: object): object {
  return { description, content: { "application/json": { schema, example } } };
}

const WRITES = [
  "malformedJson",
  "crossSite",
  "bodyTooLarge",
  "mediaTypeUnsupported",
  "stopping",
] as const;
