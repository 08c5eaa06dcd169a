/** Options of who is let in. Keys themselves are no options: they are made with `nexuscore key`. */
import type { OptionSpec } from "./option-spec.ts";

export const ACCESS_OPTIONS = {
  bootstrapKeyFile: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_BOOTSTRAP_KEY_FILE",
    flag: "--bootstrap-key-file",
    default: "",
    sentence:
      "File with the text of an admin's key, as key generate prints it; taken at the start.",
  },
  corsOrigins: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_CORS_ORIGINS",
    flag: "--cors-origins",
    default: "",
    reload: true,
    sentence: "Origins whose pages may ask, such as https://chat.example, with commas. None: off.",
  },
  oidcIssuer: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_OIDC_ISSUER",
    flag: "--oidc-issuer",
    default: "",
    sentence: "OpenID provider whose tokens are taken beside keys, exactly as it names itself.",
  },
  oidcAudience: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_OIDC_AUDIENCE",
    flag: "--oidc-audience",
    default: "",
    sentence: "Audience that those tokens must be for.",
  },
  oidcClaim: {
    kind: "text",
    environment: "NEXUSCORE_OIDC_CLAIM",
    flag: "--oidc-claim",
    default: "nexuscore",
    sentence: "Claim of theirs with roles and tenants; a.b is b within a.",
  },
  oidcJwksUrl: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_OIDC_JWKS_URL",
    flag: "--oidc-jwks-url",
    default: "",
    sentence: "Where the provider's keys are, if its openid-configuration does not say.",
  },
  metricsAccess: {
    kind: "choice",
    environment: "NEXUSCORE_METRICS_ACCESS",
    flag: "--metrics-access",
    default: "key",
    choices: ["key", "open"],
    sentence: "Whether /metrics asks for a key (role monitor) where there are keys.",
  },
  datagrams: {
    kind: "choice",
    environment: "NEXUSCORE_DATAGRAMS",
    flag: "--datagrams",
    default: "auto",
    choices: ["auto", "on", "off"],
    sentence: "Event datagrams carry no key; auto: off with keys, unless a UDP address is set.",
  },
} as const satisfies Record<string, OptionSpec>;
