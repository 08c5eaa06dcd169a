/** The policy of a tenant that set none, and what a partial one is laid over. */
import type { Policy, PolicyRecord } from "./policy.ts";

const HOUR_MS = 3_600_000;

/**
 * It flags what most communities would, and blocks only what nearly all would. Profanity that is
 * aimed at nobody is left alone. An answer is flagged for what it answers only when that is clear.
 */
export const POLICY_DEFAULT: Policy = {
  categories: {
    toxicity: { flagAt: 0.6, blockAt: null },
    severeToxicity: { flagAt: 0.6, blockAt: 0.85 },
    insult: { flagAt: 0.65, blockAt: null },
    profanity: { flagAt: null, blockAt: null },
    threat: { flagAt: 0.6, blockAt: 0.9 },
    identityAttack: { flagAt: 0.6, blockAt: 0.9 },
    sexual: { flagAt: 0.7, blockAt: null },
    selfHarm: { flagAt: 0.7, blockAt: null },
    harmfulReply: { flagAt: 0.75, blockAt: null },
  },
  observeOnly: false,
  moderateEvents: false,
  doNotStore: false,
  allowList: [],
  blockList: [],
  roles: [],
  context: { turnsMax: 6, bytesMax: 2048, ageMsMax: HOUR_MS },
  consult: {
    mode: "unsure",
    below: 0.25,
    above: 0.15,
    weight: 0.5,
    waitMsMax: 5_000,
    guidance: "",
  },
};

/** A policy that was kept before there was something to consult, as the default has it. */
export function storedPolicy(kept: Omit<Policy, "consult"> & Partial<Policy>): Policy {
  return { ...kept, consult: kept.consult ?? POLICY_DEFAULT.consult };
}

/** Version 0 is nobody's. */
export const POLICY_RECORD_DEFAULT: PolicyRecord = {
  version: 0,
  setAtMs: 0,
  note: undefined,
  policy: POLICY_DEFAULT,
};
