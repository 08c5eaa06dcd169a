/** Preloaded by `npm test`: every property of fast-check draws from the seed of the run. */
import { isMainThread } from "node:worker_threads";
import { SEED } from "./seed.ts";

// The threads of the product inherit the preload, and have nothing to draw.
if (isMainThread) {
  const { default: fc } = await import("fast-check");
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: SEED });
}
