import { TENANT_ID_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Window } from "#model/window.ts";

/** Which clock moves a tenant's window: the host's, or the newest event (for replays). */
export type Clock = "wall" | "event";

export type TenantStatus = {
  readonly tenant: string;
  readonly shard: number;
  readonly clock: Clock;
  /** The windows of its summaries. */
  readonly windows: readonly Window[];
  readonly state: "live" | "quarantined";
  /** Events counted since the tenant began: repeats too, late and duplicate ones not. */
  readonly eventCount: number;
  readonly lateCount: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly rejectedCount: number;
  /** Host time of the last accepted event, epoch ms; 0 before the first. */
  readonly lastEventMs: number;
  /** Bytes of memory its image takes. */
  readonly imageBytes: number;
  /** SHA-256 of the component that it runs, its first digits. */
  readonly component: string;
  /** Failed turns so far, and how the last of them ended. */
  readonly strikeCount: number;
  readonly lastFailure: string | undefined;
};

const TENANT_ID = new RegExp(`^[A-Za-z0-9._:-]{1,${TENANT_ID_BYTES_MAX}}$`);

export function isTenantId(text: string): boolean {
  return TENANT_ID.test(text);
}

/** `text` itself; anything but a tenant id is the problem `tenantIllegal`. */
export function requireTenantId(text: string): string {
  if (isTenantId(text)) return text;
  const shown = JSON.stringify(text.slice(0, TENANT_ID_BYTES_MAX + 1));
  const allowed = `1 to ${TENANT_ID_BYTES_MAX} of A-Z a-z 0-9 . _ : -`;
  throw new Problem("tenantIllegal", `${shown} is no tenant id; use ${allowed}.`);
}
