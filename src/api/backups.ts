/** `/v1/backups`: copies of all that is kept, made while the server runs. */
import type { Backup, BackupKeeper } from "#model/backup.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from "fastify";

/** Where they are; or, in words, why there are none. */
export type BackupSource = BackupKeeper | string;

const tags = ["system"];
const config = { access: "operate" } as const;
const NAME_PARAMS = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 64, examples: ["20261121T031500Z"] },
  },
  required: ["name"],
} as const;

export function backupRoutes(source: BackupSource): FastifyPluginAsync {
  const keeper = (): BackupKeeper => {
    if (typeof source !== "string") return source;
    throw new Problem("backupOff", `There is nothing to back up: ${source}.`);
  };
  return async (server) => {
    registerCreate(server, keeper);
    registerRead(server, keeper);
  };
}

function registerCreate(server: FastifyInstance, keeper: () => BackupKeeper): void {
  server.post(
    "/v1/backups",
    {
      config,
      schema: {
        tags,
        operationId: "createBackup",
        summary: "Begin a backup",
        description: `Everything that was acknowledged before the request is in it. Events go on
meanwhile. Ask for it by its name until it is done; older ones go as the option backupKeep says.`,
        response: {
          202: answer("Backup", "It has begun", RUNNING_EXAMPLE),
          ...problemResponses(
            "crossSite",
            "backupOff",
            "backupRunning",
            "storageFull",
            "storageUnavailable",
            "stopping",
          ),
        },
      },
    },
    async (_request, reply) =>
      fresh(reply)
        .code(202)
        .send(await keeper().begin()),
  );
}

function registerRead(server: FastifyInstance, keeper: () => BackupKeeper): void {
  server.get(
    "/v1/backups",
    {
      config,
      schema: {
        tags,
        operationId: "listBackups",
        summary: "Backups, the newest first",
        response: {
          200: answer("BackupList", "All of them", LIST_EXAMPLE),
          ...problemResponses("backupOff"),
        },
      },
    },
    async (_request, reply) => fresh(reply).send(await keeper().list()),
  );
  server.get<{ Params: { name: string } }>(
    "/v1/backups/:name",
    {
      config,
      schema: {
        tags,
        operationId: "getBackup",
        summary: "One backup, also one that is being made",
        params: NAME_PARAMS,
        response: {
          200: answer("Backup", "It as it stands", DONE_EXAMPLE),
          ...problemResponses("backupUnknown", "backupOff"),
        },
      },
    },
    async (request, reply) => fresh(reply).send(await keeper().get(request.params.name)),
  );
}

function answer(schema: string, description: string, example: object): object {
  const content = { "application/json": { schema: { $ref: `${schema}#` }, example } };
  return { description, content };
}

function fresh(reply: FastifyReply): FastifyReply {
  return reply.header("cache-control", "no-store");
}

const RUNNING_EXAMPLE: Backup = {
  name: "20261121T031500Z",
  path: "/var/lib/nexuscore/backups/20261121T031500Z",
  state: "running",
  asOfMs: 1_795_230_900_412,
  bytes: 0,
  bytesTotal: 231_735_296,
  pauseMs: 1.2,
};

const DONE_EXAMPLE: Backup = {
  ...RUNNING_EXAMPLE,
  state: "done",
  finishedMs: 1_795_230_902_035,
  bytes: 231_735_296,
  tenantCount: 1_204,
  damagedCount: 0,
};

const LIST_EXAMPLE = {
  folder: "/var/lib/nexuscore/backups",
  keepCount: 7,
  backups: [DONE_EXAMPLE],
};
