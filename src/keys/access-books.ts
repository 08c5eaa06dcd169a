/** Counts of who was not let in, by why. Reasons are ours, so the number of them is bounded. */
import type { Refusal } from "./access-hooks.ts";

export const REFUSALS = [
  "missing",
  "malformed",
  "unknown",
  "expired",
  "revoked",
  "tooMany",
  "host",
  "access",
  "tenant",
] as const satisfies readonly Refusal[];

export class AccessBooks {
  readonly refused: Record<Refusal, number> = {
    missing: 0,
    malformed: 0,
    unknown: 0,
    expired: 0,
    revoked: 0,
    tooMany: 0,
    host: 0,
    access: 0,
    tenant: 0,
  };
  /** Requests with a secret that was rotated. */
  former = 0;
  /** Times that the identity provider could not be asked. */
  providerFailures = 0;
}
