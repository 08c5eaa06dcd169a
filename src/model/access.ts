/** Who may do what: what a route asks for, what a key gives, and for which tenants. */

/** What a request does. Every route has one; `public` needs no key. */
export const ACCESSES = [
  "public",
  "send",
  "judge",
  "read",
  "review",
  "manage",
  "watch",
  "operate",
] as const;
export type Access = (typeof ACCESSES)[number];

/**
 * `send`: events in. `judge`: verdicts on messages. `read`: what is trending, summaries, live.
 * `review`: the queue, decisions, appeals, audit. `manage`: a tenant's settings, policy, webhooks,
 * retention, deletion. `watch`: how the server is doing: metrics, kernel, language models.
 * `operate`: the server: keys, backups, components, what a tenant may take of it.
 */
export const ROLES = {
  tenantWrite: ["send", "judge"],
  tenantRead: ["read"],
  moderator: ["review", "judge", "read"],
  monitor: ["watch"],
  admin: ["send", "judge", "read", "review", "manage", "watch", "operate"],
} as const satisfies Record<string, readonly Access[]>;
export type Role = keyof typeof ROLES;
export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

/** Ids of tenants, `prefix*`, or `*`: all of them. */
export type TenantScope = readonly string[];

/** Who asks, once it is known. */
export type Principal = {
  /** For logs and the audit: never a secret. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly tenants: TenantScope;
};

/** On this machine alone, and while there are no keys at all. */
export const EVERYBODY: Principal = { name: "loopback", roles: ["admin"], tenants: ["*"] };

export function covers(scope: TenantScope, tenant: string): boolean {
  return scope.some((entry) =>
    entry.endsWith("*") ? tenant.startsWith(entry.slice(0, -1)) : entry === tenant,
  );
}

/** Whether all tenants that begin with `prefix` are in the scope. */
export function coversPrefix(scope: TenantScope, prefix: string): boolean {
  return scope.some((entry) => entry.endsWith("*") && prefix.startsWith(entry.slice(0, -1)));
}

const OF_THE_SERVER: readonly Access[] = ["watch", "operate"];

/** Whether the roles give it, to any tenant. What is about the server needs all tenants. */
export function allows({ roles, tenants }: Principal, access: Access): boolean {
  if (access === "public") return true;
  if (OF_THE_SERVER.includes(access) && !tenants.includes("*")) return false;
  return roles.some((role) => (ROLES[role] as readonly Access[]).includes(access));
}

/** The one tenant that there is for the principal; undefined: there are more. */
export function onlyTenant({ tenants }: Principal): string | undefined {
  const [only, ...others] = tenants;
  return only === undefined || others.length > 0 || only.endsWith("*") ? undefined : only;
}

/** What a person may write for a scope entry. */
export function isScopeEntry(text: string): boolean {
  return /^(?:[A-Za-z0-9._:-]{1,64}|[A-Za-z0-9._:-]{0,63}\*)$/.test(text);
}
