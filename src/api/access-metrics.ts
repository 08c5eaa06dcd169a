/** What Prometheus is told of keys: how many there are, and who was not let in. */
import { type AccessBooks, REFUSALS } from "#keys/access-books.ts";
import type { KeyRing } from "#keys/key-ring.ts";
import { counter, type Family, gauge } from "./metric-families.ts";

export function accessFamilies(keys: KeyRing, books: AccessBooks): Family[] {
  const refused = REFUSALS.map((reason) => ({ labels: { reason }, value: books.refused[reason] }));
  return [
    gauge("nexuscore_keys", "API keys, revoked and expired ones that are remembered, too.", [
      { labels: {}, value: keys.count },
    ]),
    counter("nexuscore_auth_refused_total", "Requests that no key opened the way for.", refused),
    counter("nexuscore_auth_former_total", "Requests with a secret that was rotated.", [
      { labels: {}, value: books.former },
    ]),
    counter("nexuscore_auth_provider_failures_total", "Times that OIDC keys were not to be had.", [
      { labels: {}, value: books.providerFailures },
    ]),
  ];
}
