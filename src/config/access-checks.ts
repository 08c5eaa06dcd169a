/** What options of who is let in must have together, and what they may hold. */
import { ConfigError } from "./config-error.ts";
import type { Config, OptionName } from "./options.ts";

type Options = {
  readonly config: Config;
  readonly origins: Readonly<Record<OptionName, string>>;
};

export function checkAccessOptions({ config, origins }: Options): void {
  for (const origin of corsOriginsOf(config)) {
    if (isOrigin(origin)) continue;
    const right = "scheme://host or scheme://host:port, no path, no *";
    const place = `${origins.corsOrigins}: corsOrigins has ${JSON.stringify(origin)}`;
    throw new ConfigError("configRange", `${place}; use ${right}.`);
  }
  const { oidcIssuer, oidcAudience, oidcJwksUrl } = config;
  if (oidcIssuer !== "" && oidcAudience === "") {
    throw contradiction(
      `${origins.oidcIssuer}: a provider, but no audience: set NEXUSCORE_OIDC_AUDIENCE. Without ` +
        "it tokens for other services would open this one.",
    );
  }
  if (oidcIssuer === "" && oidcAudience + oidcJwksUrl !== "") {
    const place = oidcAudience === "" ? origins.oidcJwksUrl : origins.oidcAudience;
    throw contradiction(`${place}: no provider: set NEXUSCORE_OIDC_ISSUER, or leave this out.`);
  }
  for (const name of ["oidcIssuer", "oidcJwksUrl"] as const) {
    const value = config[name];
    if (value === "" || isProviderUrl(value)) continue;
    const why = "whoever is between could give us keys of their own";
    throw new ConfigError("configRange", `${origins[name]}: ${name} must be https://: ${why}.`);
  }
}

export function corsOriginsOf({ corsOrigins }: Pick<Config, "corsOrigins">): readonly string[] {
  return corsOrigins
    .split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
}

/** Scheme, host, and the port unless it is the scheme's own; nothing else. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text && !/[*]/.test(text);
}

/** Of a provider: over TLS, or on this machine. */
export function isProviderUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopbackHost(url.hostname);
}

/** An address or name that only this machine is reached by. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

function contradiction(message: string): ConfigError {
  return new ConfigError("configContradictory", message);
}
