/** What a tenant may take of the server. */

/** `bytes`: of events as they are sent. `cpu`: of one thread. `memory`: of the tenant's images. */
export const QUOTA_NAMES = ["events", "bytes", "cpu", "memory"] as const;
export type QuotaName = (typeof QUOTA_NAMES)[number];

/** Infinity: no bound. */
export type QuotaLimits = {
  readonly eventsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of one thread: 1,000 is all of it. */
  readonly cpuMsPerSecond: number;
  readonly imageBytes: number;
};

/** In the order of QUOTA_NAMES. */
export const QUOTA_LIMIT_NAMES = [
  "eventsPerSecond",
  "bytesPerSecond",
  "cpuMsPerSecond",
  "imageBytes",
] as const satisfies readonly (keyof QuotaLimits)[];

export const UNLIMITED: QuotaLimits = {
  eventsPerSecond: Infinity,
  bytesPerSecond: Infinity,
  cpuMsPerSecond: Infinity,
  imageBytes: Infinity,
};

/** As it crosses in JSON, which has no Infinity: null is no bound. */
export type JsonLimits = { readonly [Name in keyof QuotaLimits]?: number | null };

export function jsonLimits(limits: Partial<QuotaLimits>): JsonLimits {
  const entries = QUOTA_LIMIT_NAMES.flatMap((name) => {
    const value = limits[name];
    return value === undefined ? [] : [[name, Number.isFinite(value) ? value : null] as const];
  });
  return Object.fromEntries(entries);
}

export function limitsOfJson(json: JsonLimits): Partial<QuotaLimits> {
  const entries = QUOTA_LIMIT_NAMES.flatMap((name) => {
    const value = json[name];
    return value === undefined ? [] : [[name, value ?? Infinity] as const];
  });
  return Object.fromEntries(entries);
}

/** The limit that a quota is held to. */
export function limitOf(limits: QuotaLimits, quota: QuotaName): number {
  return limits[QUOTA_LIMIT_NAMES[QUOTA_NAMES.indexOf(quota)]!];
}

/** How a tenant stands. */
export type QuotaStatus = {
  readonly tenant: string;
  readonly limits: JsonLimits;
  /** Names of the limits that are its own; the others are the server's. */
  readonly own: readonly string[];
  /** Taken and not leaked away yet; and of memory, what its images take. */
  readonly used: {
    readonly events: number;
    readonly bytes: number;
    readonly cpuMs: number;
    readonly imageBytes: number;
  };
  /** CPU time of its turns since the thread began, with nanoseconds behind the point. */
  readonly cpuMs: number;
  /** Requests and events that were refused since then. */
  readonly refusedCount: number;
  /** What it is over, and how long until it may go on; memory has no such time. */
  readonly over?: QuotaName | undefined;
  readonly waitMs: number;
};

/** A tenant, and the CPU time of its turns since its thread began. */
export type TenantCpu = { readonly tenant: string; readonly cpuMs: number };
