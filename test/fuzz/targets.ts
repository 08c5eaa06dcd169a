/** What can be fuzzed, by name. */
import { sketches, upstreamAnswers } from "./answers.fuzz.ts";
import { components } from "./components.fuzz.ts";
import { datagrams } from "./datagrams.fuzz.ts";
import { logBlocks, snapshots, stateRows } from "./durable.fuzz.ts";
import { compressedBodies, eventBodies } from "./events.fuzz.ts";
import { configFiles, credentials } from "./settings.fuzz.ts";
import type { FuzzTarget } from "./target.ts";

export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  events: eventBodies,
  compressed: compressedBodies,
  datagrams,
  components,
  "log-blocks": logBlocks,
  snapshots,
  "state-rows": stateRows,
  config: configFiles,
  credentials,
  sketches,
  "upstream-answers": upstreamAnswers,
};
