/**
 * `…/policy` of a tenant: the policy in force, its versions, another one, and what another one
 * would have made of past verdicts.
 */
import type { EngineDoor } from "#engine/door.ts";
import {
  PAST_VERDICTS_MAX,
  POLICY_BODY_BYTES_MAX,
  POLICY_BYTES_MAX,
  POLICY_NOTE_BYTES_MAX,
  POLICY_VERSIONS_MAX,
} from "#model/limits.ts";
import { isObject } from "#model/moderation-input.ts";
import { checkPolicy, type CheckedPolicy } from "#model/policy-checks.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { dryRun } from "#model/policy-dry-run.ts";
import type { PolicyStore, VerdictHistory } from "#model/policy-store.ts";
import type { PolicyWarning } from "#model/policy-warnings.ts";
import type { PolicyRecord } from "#model/policy.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { problemResponses, TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import { requireTenantId } from "#model/tenant.ts";
import { isWithinBytes } from "#model/text-bytes.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from "fastify";
import { bodyOf, parseJson, sayLimit, takeBytes } from "./json-body.ts";
import { DRY_RUN_EXAMPLE, POLICY_BODY_EXAMPLE, POLICY_EXAMPLE } from "./moderation-examples.ts";

export type PolicyParts = {
  readonly engine: EngineDoor;
  readonly policies: PolicyStore;
  readonly history: VerdictHistory;
};

export function policyRoutes(parts: PolicyParts): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    sayLimit(server, POLICY_BODY_BYTES_MAX);
    const desk = new PolicyDesk(parts);
    registerGet(server, desk);
    registerVersions(server, desk);
    registerPut(server, desk);
    registerDelete(server, desk);
    registerDryRun(server, desk, parts.history);
  };
}

type PolicyAnswer = Omit<PolicyRecord, "setAtMs" | "note"> & {
  readonly tenant: string;
  readonly source: "default" | "tenant";
  readonly setAtMs?: number;
  readonly note?: string | undefined;
  readonly warnings?: readonly PolicyWarning[];
};

/** Changes of a tenant's policy one after the other, each on what the one before left. */
class PolicyDesk {
  readonly policies: PolicyStore;
  readonly #engine: EngineDoor;
  readonly #waiting = new Map<string, Promise<void>>();

  constructor({ engine, policies }: PolicyParts) {
    this.#engine = engine;
    this.policies = policies;
  }

  /** The engine has it before it counts as set, so that nothing is kept that does not work. */
  async put(
    tenant: string,
    change: Pick<PolicyRecord, "policy" | "note">,
    ifMatch: string | undefined,
  ): Promise<PolicyRecord> {
    return this.#inTurn(tenant, async () => {
      this.#checkMatch(tenant, ifMatch);
      const version = this.policies.nextVersion(tenant);
      const record = { version, setAtMs: Date.now(), ...change };
      await this.#engine.putPolicy(tenant, record);
      await this.#kept(tenant, this.policies.put(tenant, record));
      return record;
    });
  }

  async reset(tenant: string, ifMatch: string | undefined): Promise<PolicyRecord> {
    return this.#inTurn(tenant, async () => {
      this.#checkMatch(tenant, ifMatch);
      if (this.policies.current(tenant).version !== 0) {
        await this.#engine.putPolicy(tenant, POLICY_RECORD_DEFAULT);
        await this.#kept(tenant, this.policies.reset(tenant));
      }
      return this.policies.current(tenant);
    });
  }

  /** What could not be kept is not in force either. */
  async #kept(tenant: string, change: Promise<void>): Promise<void> {
    try {
      await change;
    } catch (error) {
      await this.#engine.putPolicy(tenant, this.policies.current(tenant));
      throw error;
    }
  }

  #checkMatch(tenant: string, ifMatch: string | undefined): void {
    if (ifMatch === undefined || ifMatch.trim() === "*") return;
    const { version } = this.policies.current(tenant);
    const tags = ifMatch.split(",").map((tag) => tag.trim());
    // A version without its quotes is no entity tag, and yet clear.
    if (tags.includes(tagOf(version)) || tags.includes(String(version))) return;
    const detail = `The policy of ${tenant} is version ${version}; read it again and decide anew.`;
    throw new Problem("policyChanged", detail, { members: { version } });
  }

  async #inTurn<Result>(tenant: string, change: () => Promise<Result>): Promise<Result> {
    const before = this.#waiting.get(tenant) ?? Promise.resolve();
    const mine = before.then(change);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#waiting.set(tenant, settled);
    try {
      return await mine;
    } finally {
      if (this.#waiting.get(tenant) === settled) this.#waiting.delete(tenant);
    }
  }
}

function registerGet(server: FastifyInstance, { policies }: PolicyDesk): void {
  server.get<TenantParams>(
    "/v1/tenants/:tenant/policy",
    {
      config: { access: "review" },
      schema: {
        tags: ["moderation"],
        operationId: "getPolicy",
        summary: "What a tenant wants of moderation",
        description: "A tenant that set none has the default, version 0. `ETag` is the version.",
        params: TENANT_PARAMS,
        response: { 200: FOUND, ...problemResponses("tenantIllegal") },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      return send(reply, tenant, policies.current(tenant));
    },
  );
}

function registerVersions(server: FastifyInstance, { policies }: PolicyDesk): void {
  server.get<TenantParams>(
    "/v1/tenants/:tenant/policy/versions",
    {
      config: { access: "review" },
      schema: {
        tags: ["moderation"],
        operationId: "policyVersions",
        summary: "The policies a tenant has had",
        description: `The newest first, at most ${POLICY_VERSIONS_MAX}. A version is never given
twice, also after the policy was deleted.`,
        params: TENANT_PARAMS,
        response: {
          200: {
            description: "Them",
            content: {
              "application/json": {
                schema: { $ref: "PolicyVersions#" },
                example: { tenant: "acme", current: 3, versions: [POLICY_EXAMPLE] },
              },
            },
          },
          ...problemResponses("tenantIllegal"),
        },
      },
    },
    async (request, reply) => {
      const tenant = requireTenantId(request.params.tenant);
      const current = policies.current(tenant).version;
      const versions = (await policies.versions(tenant)).map((record) => answerOf(tenant, record));
      return reply.header("cache-control", "no-store").send({ tenant, current, versions });
    },
  );
}

function registerPut(server: FastifyInstance, desk: PolicyDesk): void {
  server.put<TenantParams>(
    "/v1/tenants/:tenant/policy",
    {
      bodyLimit: POLICY_BODY_BYTES_MAX,
      onRequest: async (request) => void requireTenantId(request.params.tenant),
      config: { access: "manage" },
      schema: {
        tags: ["moderation"],
        operationId: "putPolicy",
        summary: "Set a tenant's policy",
        description: `The body is a whole or partial policy, laid over the default, with an optional
\`note\`; or what GET answers, edited. The next verdict uses it. With \`If-Match\` it is only set if
the policy is still the one of that \`ETag\`. Lists and roles have room for ${POLICY_BYTES_MAX}
bytes. All mistakes are listed in \`errors\`; what is allowed but hardly meant, in \`warnings\`.`,
        params: TENANT_PARAMS,
        headers: IF_MATCH,
        body: BODY,
        response: { 200: FOUND, ...problemResponses(...CHANGE_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { checked, note } = readChange(parseJson(bodyOf(request)), tenant);
      const { policy, warnings } = checked;
      const record = await desk.put(tenant, { policy, note }, request.headers["if-match"]);
      return send(reply, tenant, record, warnings);
    },
  );
}

function registerDelete(server: FastifyInstance, desk: PolicyDesk): void {
  server.delete<TenantParams>(
    "/v1/tenants/:tenant/policy",
    {
      onRequest: async (request) => void requireTenantId(request.params.tenant),
      config: { access: "manage" },
      schema: {
        tags: ["moderation"],
        operationId: "deletePolicy",
        summary: "Go back to the default policy",
        description: "Its versions stay readable. Answers with the default, which is in force now.",
        params: TENANT_PARAMS,
        headers: IF_MATCH,
        response: { 200: FOUND, ...problemResponses(...DELETE_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      return send(reply, tenant, await desk.reset(tenant, request.headers["if-match"]));
    },
  );
}

function registerDryRun(
  server: FastifyInstance,
  { policies }: PolicyDesk,
  history: VerdictHistory,
): void {
  server.post<TenantParams>(
    // `::` is a colon; one alone would begin a parameter.
    "/v1/tenants/:tenant/policy::dryRun",
    {
      bodyLimit: POLICY_BODY_BYTES_MAX,
      onRequest: async (request) => void requireTenantId(request.params.tenant),
      config: { access: "review" },
      schema: {
        tags: ["moderation"],
        operationId: "dryRunPolicy",
        summary: "Try a policy on past verdicts",
        description: `Takes what PUT takes and changes nothing: says how many of the tenant's last
verdicts, at most ${PAST_VERDICTS_MAX}, would be others. It stands on their scores; what would need
the texts again is named in \`notReplayed\`. Verdicts of texts that must not be stored are
not there.`,
        params: TENANT_PARAMS,
        body: BODY,
        response: {
          200: {
            description: "What would change",
            content: {
              "application/json": { schema: { $ref: "PolicyDryRun#" }, example: DRY_RUN_EXAMPLE },
            },
          },
          ...problemResponses(...BODY_PROBLEMS),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { policy, warnings } = readChange(parseJson(bodyOf(request)), tenant).checked;
      const records = [...(await policies.versions(tenant)), POLICY_RECORD_DEFAULT];
      const byVersion = new Map(records.map((record) => [record.version, record.policy]));
      const answer = dryRun(await history.recent(tenant, PAST_VERDICTS_MAX), {
        policy,
        current: policies.current(tenant).policy,
        policyOf: (version) => byVersion.get(version),
      });
      return reply.header("cache-control", "no-store").send({ tenant, ...answer, warnings });
    },
  );
}

type Change = { readonly checked: CheckedPolicy; readonly note: string | undefined };

/** What GET answers beside the policy: it may come back with it and says nothing then. */
const ENVELOPE = ["tenant", "version", "source", "setAtMs", "warnings", "note", "policy"];

function readChange(body: unknown, tenant: string): Change {
  if (!isObject(body)) {
    throw new Problem("badRequest", "The body must be an object: a policy, whole or partial.");
  }
  const { note: given, ...rest } = body;
  const note = readNote(given);
  if (!Object.hasOwn(body, "policy")) return { checked: checkPolicy(rest), note };
  const strangers = Object.keys(body).filter((name) => !ENVELOPE.includes(name));
  if (strangers.length > 0) {
    const list = strangers.map((name) => JSON.stringify(name)).join(", ");
    throw new Problem("badRequest", `Beside policy there is no field ${list}.`);
  }
  const { tenant: meant = tenant } = body;
  if (meant !== tenant) {
    const detail = `The body is of the tenant ${JSON.stringify(meant)}, the path of ${tenant}.`;
    throw new Problem("badRequest", detail);
  }
  return { checked: checkPolicy(body["policy"], "/policy"), note };
}

function readNote(note: unknown): string | undefined {
  if (note === undefined || note === null) return undefined;
  const fits = typeof note === "string" && isWithinBytes(note, POLICY_NOTE_BYTES_MAX);
  if (fits && note.isWellFormed()) return note;
  const what = fits ? "valid Unicode" : `a text of at most ${POLICY_NOTE_BYTES_MAX} bytes`;
  throw new Problem("badRequest", `In the body: /note must be ${what}.`);
}

function answerOf(tenant: string, record: PolicyRecord): PolicyAnswer {
  const { version, setAtMs, note, policy } = record;
  if (version === 0) return { tenant, version, source: "default", policy };
  return { tenant, version, source: "tenant", setAtMs, note, policy };
}

function send(
  reply: FastifyReply,
  tenant: string,
  record: PolicyRecord,
  warnings: readonly PolicyWarning[] = [],
): FastifyReply {
  const answer = answerOf(tenant, record);
  return reply
    .header("cache-control", "no-store")
    .header("etag", tagOf(record.version))
    .send(warnings.length === 0 ? answer : { ...answer, warnings });
}

function tagOf(version: number): string {
  return `"${version}"`;
}

const IF_MATCH = {
  type: "object",
  properties: {
    "if-match": { type: "string", description: "An `ETag` that was read", examples: ['"3"'] },
  },
} as const;

const BODY = {
  content: {
    "application/json": { schema: { $ref: "Policy#" }, example: POLICY_BODY_EXAMPLE },
  },
} as const;

const FOUND = {
  description: "The policy in force",
  headers: { etag: { type: "string", description: "The version, for If-Match" } },
  content: {
    "application/json": { schema: { $ref: "PolicyRecord#" }, example: POLICY_EXAMPLE },
  },
};

const BODY_PROBLEMS: readonly ProblemCode[] = [
  "badRequest",
  "policyContradictory",
  "tenantIllegal",
  "malformedJson",
  "invalidUtf8",
  "crossSite",
  "bodyTooLarge",
  "encodingUnsupported",
  "stopping",
];

const DELETE_PROBLEMS: readonly ProblemCode[] = [
  "tenantIllegal",
  "crossSite",
  "policyChanged",
  "tenantQuarantined",
  "guestFailed",
  "memoryFull",
  "tenantDeleting",
  "tenantLimit",
  "shardRestarting",
  "storeUnavailable",
  "stopping",
];

const CHANGE_PROBLEMS: readonly ProblemCode[] = [
  ...new Set<ProblemCode>([...BODY_PROBLEMS, ...DELETE_PROBLEMS]),
];
