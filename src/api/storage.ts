/**
 * `/v1/system/storage`: how the disk stands that keeps tenants, and what the last start made of
 * what was kept. `/readyz` says the part of it that decides whether events are taken.
 */
import type { EngineDoor } from "#engine/door.ts";
import { Problem } from "#model/problem.ts";
import { problemResponses } from "#model/schemas.ts";
import {
  ACK_MODES,
  type RecoveryProgress,
  type RecoverySummary,
  type StorageStats,
} from "#model/storage.ts";
import type { FastifyPluginAsync } from "fastify";
import { Type } from "typebox";

const STATES = ["off", "recovering", "ok", "slow", "full", "readOnly", "failed"] as const;
/** What a disk that is full or broken tells: it gets better when somebody does something. */
const RETRY_SECONDS = 5;
const RETRY_RECOVERING_SECONDS = 1;

const ProgressSchema = Type.Object({
  snapshotsDone: Type.Integer(),
  snapshotsTotal: Type.Integer(),
  replayedTurns: Type.Integer(),
  elapsedMs: Type.Number(),
});

const SUMMARY = {
  readySeconds: Type.Number({ description: "From the start until events were taken" }),
  tenants: Type.Integer(),
  snapshots: Type.Integer(),
  replayedTurns: Type.Integer({ description: "Of the log, made again" }),
  skippedTurns: Type.Integer({ description: "Of the log; snapshots held them already" }),
  repaired: Type.Integer({ description: "Damaged snapshots whose older ones gave the same" }),
  lostCount: Type.Integer({ description: "Tenants of whom something is missing" }),
  tornBlocks: Type.Integer({ description: "At the end of the log; never acknowledged" }),
  gaps: Type.Integer({ description: "Tenants whose turns do not go on from what is there" }),
};

const either = (words: readonly string[]) => Type.Union(words.map((word) => Type.Literal(word)));

/** What everybody may know: no path, no tenant. */
export const StorageReadySchema = Type.Object({
  state: either(STATES),
  ack: either(ACK_MODES),
  sinceMs: Type.Number(),
  recovery: Type.Optional(Type.Union([ProgressSchema, Type.Object(SUMMARY)])),
});

const StorageSchema = Type.Object({
  state: either(STATES),
  detail: Type.Optional(Type.String({ description: "In words, if it does not take events" })),
  sinceMs: Type.Number({ description: "In this state since, epoch ms" }),
  ack: Type.Union(
    ACK_MODES.map((mode) => Type.Literal(mode)),
    { description: "What a 202 promises unless its request says otherwise" },
  ),
  path: Type.Optional(Type.String()),
  logBytes: Type.Number({ description: "Of turns that are kept" }),
  logBytesMax: Type.Number(),
  storeBytes: Type.Number({ description: "Of the file that are in use" }),
  backlogMs: Type.Number({ description: "What making the turns of the log again would take" }),
  dirtyTenants: Type.Integer({ description: "With turns that no snapshot holds" }),
  heldAnswers: Type.Integer({ description: "That wait for the disk" }),
  commitCount: Type.Integer(),
  commitFailures: Type.Integer(),
  commitMs: Type.Object({ p50: Type.Number(), p99: Type.Number(), max: Type.Number() }),
  snapshotCount: Type.Integer(),
  snapshotBytes: Type.Number(),
  recovery: Type.Optional(
    Type.Union([
      Type.Object({ progress: ProgressSchema }),
      Type.Object({
        summary: Type.Object({ ...SUMMARY, lost: Type.Array(Type.String()) }),
      }),
    ]),
  ),
});

export function storageRoutes(engine: EngineDoor): FastifyPluginAsync {
  return async (server) => {
    server.get(
      "/v1/system/storage",
      {
        config: { access: "watch" },
        schema: {
          tags: ["system"],
          operationId: "systemStorage",
          summary: "How the disk stands that keeps tenants; what the last start made of it",
          response: {
            200: { ...StorageSchema, description: "As of now; counted since the start" },
            ...problemResponses("stopping"),
          },
        },
      },
      async (_request, reply) => reply.header("cache-control", "no-store").send(engine.storage()),
    );
  };
}

/** The part for everybody. */
export function storageReady({ state, ack, sinceMs, recovery }: StorageStats): object {
  if (recovery === undefined) return { state, ack, sinceMs };
  return { state, ack, sinceMs, recovery: recoveryFacts(recovery) };
}

/** Why no events are taken; undefined: the disk is no reason. */
export function storageProblem(stats: StorageStats): Problem | undefined {
  const members = { storage: storageReady(stats) };
  const { state, detail } = stats;
  if (state === "off" || state === "ok") return undefined;
  if (state === "recovering") {
    const told = "Tenants are being read from the disk; nothing is answered yet.";
    return new Problem("recovering", told, {
      retryAfterSeconds: RETRY_RECOVERING_SECONDS,
      members,
    });
  }
  const options = { retryAfterSeconds: RETRY_SECONDS, members };
  const questions = "Questions are answered; new events are refused until it is well again.";
  const why = detail === undefined ? "" : ` (${detail})`;
  if (state === "full") return new Problem("storageFull", `No room${why}. ${questions}`, options);
  const what = {
    slow: "The disk takes seconds for a write",
    readOnly: "The disk can only be read",
    failed: "The disk does not take what is written",
  }[state];
  return new Problem("storageUnavailable", `${what}${why}. ${questions}`, options);
}

function recoveryFacts(
  recovery: { readonly progress: RecoveryProgress } | { readonly summary: RecoverySummary },
): object {
  if ("progress" in recovery) return recovery.progress;
  const { lost: _names, ...facts } = recovery.summary;
  return facts;
}
