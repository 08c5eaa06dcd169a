/** What can be fuzzed, by name. */
import { sketches, upstreamAnswers } from "./answers.fuzz.ts";
import { components } from "./components.fuzz.ts";
import { datagrams } from "./datagrams.fuzz.ts";
import { logBlocks, snapshots, stateRows } from "./durable.fuzz.ts";
import { compressedBodies, eventBodies } from "./events.fuzz.ts";
import {
  eventRequests,
  mergeRequests,
  moderateRequests,
  openAiRequests,
  perspectiveRequests,
  policyRequests,
  rawRequests,
} from "./http.fuzz.ts";
import { portableStates } from "./portable.fuzz.ts";
import { configFiles, credentials } from "./settings.fuzz.ts";
import { tokens } from "./tokens.fuzz.ts";
import type { FuzzTarget } from "./target.ts";

export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  events: eventBodies,
  compressed: compressedBodies,
  datagrams,
  components,
  "log-blocks": logBlocks,
  snapshots,
  "state-rows": stateRows,
  "portable-states": portableStates,
  config: configFiles,
  credentials,
  tokens,
  sketches,
  "event-requests": eventRequests,
  moderate: moderateRequests,
  openai: openAiRequests,
  perspective: perspectiveRequests,
  policies: policyRequests,
  merges: mergeRequests,
  "raw-requests": rawRequests,
  "upstream-answers": upstreamAnswers,
};
