/** Quotas and deletions of tenants as JSON Schema; `$id` is the name in the reference. */
import { type TObject, type TSchema, Type } from "typebox";
import { QUOTA_LIMIT_NAMES, QUOTA_NAMES } from "./quota.ts";

const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const amount = (description: string): TSchema => Type.Number({ minimum: 0, description });
const bound = (description: string): TSchema =>
  Type.Unsafe<number | null>({ type: ["number", "null"], minimum: 0, description });
const words = <T extends string>(texts: readonly T[], description: string): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], description });

export const QUOTA_LIMITS = {
  eventsPerSecond: bound("Events, and messages to judge; null: no bound"),
  bytesPerSecond: bound("Bytes of them as they are sent"),
  cpuMsPerSecond: bound("CPU time of its shard; 1000 is a whole thread"),
  imageBytes: bound("Memory of its state"),
} as const;

const TenantQuotaSchema = Type.Object(
  {
    tenant: Type.String(),
    limits: Type.Object(QUOTA_LIMITS, { description: "Those in force" }),
    own: Type.Array(words(QUOTA_LIMIT_NAMES, "A limit"), {
      description: "Which of them are its own; the others are the server's",
    }),
    used: Type.Object(
      {
        events: amount("Of two seconds' worth that may be taken at once"),
        bytes: amount("The same"),
        cpuMs: amount("The same"),
        imageBytes: count("Of its state, as it was last written"),
      },
      { description: "Taken and not given back yet" },
    ),
    cpuMs: amount("CPU time of its turns since its thread began, to the nanosecond"),
    refusedCount: count("Requests and events refused since then"),
    over: Type.Optional(words(QUOTA_NAMES, "What it is over; left out: nothing")),
    waitMs: count("Until it may go on; of memory nobody knows"),
  },
  { $id: "TenantQuota", description: "What a tenant may take, and what it takes" },
);

const DeletionSchema = Type.Object(
  {
    tenant: Type.String(),
    state: words(["deleting", "done"], "done: no file of this server has anything of it"),
    startedAtMs: amount("Epoch milliseconds"),
    doneAtMs: Type.Optional(amount("Epoch milliseconds")),
    remains: Type.Array(Type.String(), { description: "What is still to be done, the next first" }),
    failure: Type.Optional(Type.String({ description: "Why the next could not be done yet" })),
    kept: Type.String({ description: "What is not deleted" }),
  },
  { $id: "Deletion", description: "How far the deletion of a tenant is" },
);

export const QUOTA_SCHEMAS: readonly TObject[] = [TenantQuotaSchema, DeletionSchema];
