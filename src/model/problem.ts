/** Errors that a caller of the API meets: one stable code each, RFC 9457 on the wire. */
export const PROBLEMS = {
  badRequest: { status: 400, title: "The request is not valid" },
  tenantIllegal: { status: 400, title: "Not a tenant id" },
  windowUnknown: { status: 400, title: "Unknown window" },
  conversationIllegal: { status: 400, title: "Not a conversation id" },
  mergeEmpty: { status: 400, title: "Nothing to merge" },
  mergeLimit: { status: 400, title: "Too much for one merge" },
  sketchCorrupt: { status: 400, title: "A sketch is damaged" },
  sketchVersion: { status: 400, title: "A sketch of another version" },
  sketchWindow: { status: 400, title: "A sketch of another window" },
  textEmpty: { status: 400, title: "The text is empty" },
  textTooLong: { status: 400, title: "The text is too long" },
  textNotUnicode: { status: 400, title: "The text is not valid Unicode" },
  messageLimit: { status: 400, title: "Too many messages for one request" },
  webhookRefused: { status: 400, title: "No address for a webhook" },
  policyContradictory: { status: 400, title: "The policy cannot be applied" },
  malformedJson: { status: 400, title: "The body is not valid JSON" },
  invalidUtf8: { status: 400, title: "The body is not valid UTF-8" },
  malformedEncoding: { status: 400, title: "The body does not decompress" },
  unauthorized: { status: 401, title: "No key that opens this server" },
  forbidden: { status: 403, title: "The key is not for that" },
  crossSite: { status: 403, title: "Not from another site's page" },
  tenantUnknown: { status: 404, title: "No such tenant" },
  deletionUnknown: { status: 404, title: "The tenant was not deleted" },
  conversationUnknown: { status: 404, title: "No such conversation" },
  reviewUnknown: { status: 404, title: "No such item of the review queue" },
  backupUnknown: { status: 404, title: "No such backup" },
  keyUnknown: { status: 404, title: "No such key" },
  webhookUnknown: { status: 404, title: "No such webhook" },
  notFound: { status: 404, title: "No such resource" },
  methodNotAllowed: { status: 405, title: "Method not allowed" },
  tenantDeleting: { status: 409, title: "The tenant is being deleted" },
  windowOff: { status: 409, title: "The tenant does not keep this window" },
  tenantQuarantined: { status: 409, title: "The tenant is in quarantine" },
  backupOff: { status: 409, title: "There is nothing to back up" },
  backupRunning: { status: 409, title: "A backup is being made" },
  llmOff: { status: 409, title: "No upstream is configured" },
  reviewState: { status: 409, title: "The item is not in a state for this" },
  reviewTaken: { status: 409, title: "Somebody else has the item" },
  webhookLimit: { status: 409, title: "All webhooks of the tenant are taken" },
  requestTooSlow: { status: 408, title: "The request came too slowly" },
  reviewChanged: { status: 412, title: "The item is another by now" },
  policyChanged: { status: 412, title: "The policy is another by now" },
  bodyTooLarge: { status: 413, title: "The body is too large" },
  mediaTypeUnsupported: { status: 415, title: "Unsupported content type" },
  encodingUnsupported: { status: 415, title: "Unsupported content encoding" },
  connectionLimit: { status: 429, title: "Too many connections" },
  tenantLimit: { status: 429, title: "All tenants are taken" },
  overQuota: { status: 429, title: "The tenant is over its quota" },
  tooManyTries: { status: 429, title: "Too many keys that open nothing" },
  tenantMemoryFull: { status: 429, title: "The tenant has all the memory it may take" },
  busy: { status: 429, title: "The engine is behind; try again" },
  internal: { status: 500, title: "Internal error" },
  guestFailed: { status: 500, title: "The tenant's component failed" },
  stopping: { status: 503, title: "The server is stopping" },
  draining: { status: 503, title: "The server answers what it has, and takes nothing new" },
  recovering: { status: 503, title: "The server is reading what it kept" },
  storageUnavailable: { status: 503, title: "The disk does not take events" },
  shardRestarting: { status: 503, title: "A shard is restarting" },
  identityUnavailable: { status: 503, title: "The identity provider cannot be asked" },
  memoryFull: { status: 503, title: "The memory for tenants is full" },
  storeUnavailable: { status: 503, title: "The review store cannot be had" },
  llmDown: { status: 503, title: "The gateway to the upstream is starting anew" },
  liveLimit: { status: 503, title: "All live connections are taken" },
  storageFull: { status: 507, title: "The disk is full" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export type ProblemOptions = {
  readonly retryAfterSeconds?: number;
  readonly members?: Readonly<Record<string, unknown>>;
};

/** Characters of a detail: what a caller sent may be in it, and need not come back whole. */
const DETAIL_MAX = 4_000;

/** An error with a stable code. `detail` says what, which, and what would be right. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds: number | undefined;
  /** Extension members of the problem document (RFC 9457, 3.2), such as `errors`. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail.length > DETAIL_MAX ? `${detail.slice(0, DETAIL_MAX)}…` : detail);
    this.name = "Problem";
    this.code = code;
    this.status = PROBLEMS[code].status;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.members = options.members ?? {};
  }
}
