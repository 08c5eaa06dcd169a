/** What an engine is started with, and what of it is built in. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type ClassifierHandle, loadClassifier } from "#classifier/classifier.ts";
import { componentDigest } from "#isolate/tenant-host.ts";
import type { StageHandle } from "#kernel/stage.ts";
import type { LlmSettings } from "#llm/settings.ts";
import type { QuotaLimits } from "#model/quota.ts";
import type { Durability } from "#shard/protocol.ts";
import type { KeepPending, VerdictsWritten } from "./door.ts";
import type { KeptComponents } from "./writer-thread.ts";

/** Of the SHA-256 of the moderator, in the name of what judged. */
const COMPONENT_DIGITS = 8;
const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);
const MODERATOR = new URL("../../guests/dist/moderate.component.wasm", import.meta.url);

export type EngineSettings = {
  readonly shardCount: number;
  /** Instances of each shard: tenants that stay warm. */
  readonly slotCount: number;
  /** Bytes that the images of all tenants may take. */
  readonly imageBytesMax: number;
  readonly tenantCountMax: number;
  /** Runs this component instead of the built-in one. */
  readonly component?: Uint8Array;
  /** Judges messages with this component instead of the built-in one. */
  readonly moderator?: Uint8Array;
  /** What the moderator imports, instead of the built-in weights. */
  readonly classifier?: ClassifierHandle;
  /** Where datagrams become sums; its shards are these. */
  readonly stage?: StageHandle | undefined;
  /** What a tenant may take; left out: all it can. */
  readonly quota?: QuotaLimits | undefined;
  /** Upstream language models; left out: nothing is ever asked of one. */
  readonly llm?: LlmSettings | undefined;
  /** What outlives the process, and how; left out: nothing does. */
  readonly durability?: Durability | undefined;
  /**
   * Keeps the embedded verdicts on messages about which an upstream is asked, before anybody is
   * answered. Its failures are counted and told, and hold nothing up.
   */
  readonly keepPending?: KeepPending | undefined;
  /** Events that are flagged or blocked wait for it before anybody is told that they were taken. */
  readonly verdictsWritten?: VerdictsWritten | undefined;
};

export type EngineComponents = {
  readonly component: Uint8Array;
  readonly moderator: Uint8Array;
  readonly classifier: ClassifierHandle;
  /** Which of them are the built-in ones. */
  readonly trusted: boolean;
  readonly moderatorTrusted: boolean;
};

/** Those of the settings, and the built-in ones for the rest. */
export async function loadComponents(settings: EngineSettings): Promise<EngineComponents> {
  const [component, moderator, classifier] = await Promise.all([
    settings.component ?? readFile(COMPONENT),
    settings.moderator ?? readFile(MODERATOR),
    settings.classifier ?? loadClassifier(),
  ]);
  const trusted = settings.component === undefined;
  const moderatorTrusted = settings.moderator === undefined;
  return { component, moderator, classifier, trusted, moderatorTrusted };
}

/** As the store names them. */
export function keptOf({ component, moderator, classifier }: EngineComponents): KeptComponents {
  return {
    summarizer: { digest: componentDigest(component), bytes: component },
    moderator: { digest: componentDigest(moderator, classifier.model), bytes: moderator },
  };
}

/** What judges is the weights and the component that reads them: other digits, other verdicts. */
export function modelOf({ classifier, moderator }: EngineComponents): string {
  const digest = createHash("sha256").update(moderator).digest("hex");
  return `${classifier.model}.${digest.slice(0, COMPONENT_DIGITS)}`;
}
