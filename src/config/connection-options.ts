/** Options of how many may be connected at once. */
import { CONNECTIONS_MAX_DEFAULT, CONNECTIONS_PER_ADDRESS_MAX_DEFAULT } from "#model/limits.ts";
import type { OptionSpec } from "./option-spec.ts";

const CONNECTIONS_MAX = 1_000_000;

export const CONNECTION_OPTIONS = {
  connectionsMax: {
    kind: "integer",
    environment: "NEXUSCORE_CONNECTIONS_MAX",
    flag: "--connections-max",
    unit: "connections",
    default: CONNECTIONS_MAX_DEFAULT,
    min: 16,
    max: CONNECTIONS_MAX,
    sentence: "HTTP connections at once, of all clients; more are closed at once.",
  },
  connectionsPerAddressMax: {
    kind: "integer",
    environment: "NEXUSCORE_CONNECTIONS_PER_ADDRESS_MAX",
    flag: "--connections-per-address-max",
    unit: "connections",
    default: CONNECTIONS_PER_ADDRESS_MAX_DEFAULT,
    min: 0,
    max: CONNECTIONS_MAX,
    sentence: "The same of one address, or one /64 of IPv6; 0: no bound. This machine has none.",
  },
} as const satisfies Record<string, OptionSpec>;
