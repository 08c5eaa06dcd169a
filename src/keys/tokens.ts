/**
 * Tokens of an OpenID provider (JWT, RFC 9068's checks): signed by a key of its JWKS, for our
 * audience, by the issuer that was configured, in time. Who bears one may do what its claim says:
 *
 *   "nexuscore": { "roles": ["tenantRead"], "tenants": ["acme", "shop-*"] }
 *
 * Only signatures of key pairs are taken: neither `none`, nor HS256, which would let whoever knows
 * the public key sign. The keys are asked for again after 10 minutes, behind the back of requests;
 * of a provider that cannot be asked the known ones go on for an hour. Then, and for keys that are
 * not known, the answer is 503, never an open door.
 */
import { hash } from "node:crypto";
import { isProviderUrl } from "#config/access-checks.ts";
import { type Principal, type Role, ROLE_NAMES, isScopeEntry } from "#model/access.ts";
import {
  KEY_TENANTS_MAX,
  TOKEN_BYTES_MAX,
  TOKENS_REMEMBERED_MAX,
  TOKENS_REMEMBERED_MS,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { createRemoteJWKSet, customFetch, type JWTPayload, jwtVerify } from "jose";

export type TokenSettings = {
  readonly issuer: string;
  readonly audience: string;
  /** Name of the claim, or names with dots between them. */
  readonly claim: string;
  /** Of the provider's keys; undefined: as its openid-configuration says. */
  readonly jwksUrl?: string | undefined;
  readonly fetch?: typeof fetch;
  readonly nowMs?: () => number;
  /** Once for each time that the provider could not be asked. */
  readonly onFailure?: (reason: string) => void;
};

/** Whom a token opens the server for, and how long we may believe it. */
export type TokenPrincipal = { readonly principal: Principal; readonly endsMs: number };

const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const LEEWAY_SECONDS = 30;
const ASKED_AGAIN_MS = 600_000;
const KNOWN_MS_MAX = 3_600_000;
/** A key that is not known is asked for, but not by each token that names one. */
const UNKNOWN_COOLDOWN_MS = 30_000;
const FAILED_COOLDOWN_MS = 5_000;
const ANSWER_MS_MAX = 5_000;
const NAME_CHARACTERS_MAX = 64;
/** What a caller did wrong; anything else is the provider's or ours. */
const REFUSED = new Set([
  "ERR_JWT_CLAIM_VALIDATION_FAILED",
  "ERR_JWT_EXPIRED",
  "ERR_JOSE_ALG_NOT_ALLOWED",
  "ERR_JOSE_NOT_SUPPORTED",
  "ERR_JWS_INVALID",
  "ERR_JWT_INVALID",
  "ERR_JWKS_NO_MATCHING_KEY",
  "ERR_JWKS_MULTIPLE_MATCHING_KEYS",
  "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
]);

type KeySource = ReturnType<typeof createRemoteJWKSet>;

export class Tokens {
  readonly #settings: TokenSettings;
  readonly #nowMs: () => number;
  readonly #remembered = new Map<string, TokenPrincipal & { readonly againMs: number }>();
  #keys: Promise<KeySource> | undefined;
  #askedMs = 0;
  #failedMs = -Infinity;

  constructor(settings: TokenSettings) {
    this.#settings = settings;
    this.#nowMs = settings.nowMs ?? Date.now;
  }

  /** Of a token that was verified less than a minute ago, without a wait. */
  known(text: string): TokenPrincipal | undefined {
    const found = this.#remembered.get(digestOf(text));
    if (found === undefined) return undefined;
    const nowMs = this.#nowMs();
    return nowMs < found.endsMs && nowMs < found.againMs ? found : undefined;
  }

  /** Undefined: it opens nothing. Throws the problem of a provider that cannot be asked. */
  async verify(text: string): Promise<TokenPrincipal | undefined> {
    if (text.length > TOKEN_BYTES_MAX || !/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return undefined;
    const known = this.known(text);
    if (known !== undefined) return known;
    const { issuer, audience } = this.#settings;
    const nowMs = this.#nowMs();
    try {
      const keys = await this.#keySource();
      const { payload } = await jwtVerify(text, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: LEEWAY_SECONDS,
        requiredClaims: ["exp", "sub"],
        currentDate: new Date(nowMs),
      });
      const endsMs = (payload.exp! + LEEWAY_SECONDS) * 1_000;
      const found = { principal: this.#principalOf(payload), endsMs };
      this.#remember(text, { ...found, againMs: nowMs + TOKENS_REMEMBERED_MS });
      return found;
    } catch (error) {
      if (REFUSED.has((error as { code?: string }).code ?? "")) return undefined;
      throw new Problem("identityUnavailable", "The identity provider cannot be asked for keys.", {
        retryAfterSeconds: FAILED_COOLDOWN_MS / 1_000,
      });
    }
  }

  async #keySource(): Promise<KeySource> {
    const keys = await (this.#keys ??= this.#openKeys());
    const nowMs = this.#nowMs();
    if (keys.fresh && nowMs - this.#askedMs > ASKED_AGAIN_MS && !keys.reloading) {
      this.#askedMs = nowMs;
      // What went wrong was told by #fetch; the keys that are known go on.
      void keys.reload().catch(() => undefined);
    }
    return keys;
  }

  async #openKeys(): Promise<KeySource> {
    try {
      const url = this.#settings.jwksUrl ?? (await this.#discover());
      this.#askedMs = this.#nowMs();
      return createRemoteJWKSet(new URL(url), {
        cacheMaxAge: KNOWN_MS_MAX,
        cooldownDuration: UNKNOWN_COOLDOWN_MS,
        timeoutDuration: ANSWER_MS_MAX,
        [customFetch]: async (address, init) => this.#fetch(address, init as RequestInit),
      });
    } catch (error) {
      this.#keys = undefined;
      throw error;
    }
  }

  async #discover(): Promise<string> {
    const { issuer } = this.#settings;
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const response = await this.#fetch(url, { signal, redirect: "manual" });
    const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
    if (found.issuer !== issuer) throw this.#failed(`${url} names another issuer`);
    const jwksUrl = String(found.jwks_uri);
    if (!isProviderUrl(jwksUrl)) throw this.#failed(`${url} names no https address of its keys`);
    return jwksUrl;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    if (this.#nowMs() - this.#failedMs < FAILED_COOLDOWN_MS) throw new Error("it failed just now");
    const ask = this.#settings.fetch ?? fetch;
    let response: Response;
    try {
      response = await ask(url, init);
    } catch (error) {
      const { cause, message } = error as { cause?: { code?: string }; message: string };
      throw this.#failed(`${url}: ${cause?.code ?? message}`);
    }
    if (response.status !== 200) throw this.#failed(`${url} answered ${response.status}`);
    return response;
  }

  #failed(reason: string): Error {
    this.#failedMs = this.#nowMs();
    this.#settings.onFailure?.(reason);
    return new Error(reason);
  }

  #principalOf(payload: JWTPayload): Principal {
    const claim = claimOf(payload, this.#settings.claim);
    const roles = textsOf(claim, "roles").filter((role) => ROLE_NAMES.includes(role as Role));
    const tenants = textsOf(claim, "tenants").filter(isScopeEntry).slice(0, KEY_TENANTS_MAX);
    // What a provider lets its users choose must not break a line of a log.
    const subject = String(payload.sub).replaceAll(/[^\x21-\x7e]/g, "?");
    const name = `oidc:${subject.slice(0, NAME_CHARACTERS_MAX)}`;
    return { name, roles: roles as Role[], tenants };
  }

  #remember(text: string, found: TokenPrincipal & { readonly againMs: number }): void {
    const first = this.#remembered.keys().next();
    if (this.#remembered.size >= TOKENS_REMEMBERED_MAX && first.done !== true) {
      this.#remembered.delete(first.value);
    }
    this.#remembered.set(digestOf(text), found);
  }
}

/** The token itself is not kept. */
function digestOf(text: string): string {
  return hash("sha256", text, "base64");
}

/** A claim whose name has dots is found as it is, too: some providers want an address for one. */
function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let found: unknown = payload;
  for (const part of name.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return {};
    found = (found as Record<string, unknown>)[part];
  }
  return found;
}

function textsOf(claim: unknown, name: string): string[] {
  const value = (claim as Record<string, unknown> | null | undefined)?.[name];
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}
