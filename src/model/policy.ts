/** What a tenant wants of moderation: thresholds, actions, lists, roles, memory. */
import type { Action, Category } from "./moderation.ts";

export type CategoryPolicy = {
  /** From this score on a message is flagged; null: never. */
  readonly flagAt: number | null;
  /** From this score on it is blocked; null: never. At least `flagAt`. */
  readonly blockAt: number | null;
};

export type ListEntry = {
  /** A word or a few; obfuscated spellings of it count. */
  readonly term: string;
  /** Of the block list: what is done. */
  readonly action?: Exclude<Action, "allow">;
};

export type RolePolicy = {
  readonly role: string;
  /** Added to every threshold for people of this role. */
  readonly leniency: number;
  /** Nothing they say is flagged; it is scored and remembered all the same. */
  readonly exempt?: boolean;
};

export type ContextPolicy = {
  /** Messages of the conversation that are read; 0: every message stands alone. */
  readonly turnsMax: number;
  /** Bytes of text that a conversation remembers. */
  readonly bytesMax: number;
  readonly ageMsMax: number;
};

/** When an upstream language model is asked. */
export const CONSULT_MODES = ["never", "unsure", "all"] as const;
export type ConsultMode = (typeof CONSULT_MODES)[number];

/** Of no effect where no upstream is configured. */
export type ConsultPolicy = {
  readonly mode: ConsultMode;
  /**
   * `unsure`: of a message is asked if a score of it is at most so far below its threshold, or
   * above it.
   */
  readonly below: number;
  readonly above: number;
  /** Of the upstream's scores in the mean with the embedded ones. */
  readonly weight: number;
  /** The longest a verdict waits for the upstream. */
  readonly waitMsMax: number;
  /** What the tenant wants judged, in its own words; "": nothing. */
  readonly guidance: string;
};

export type Policy = {
  readonly categories: Readonly<Record<Category, CategoryPolicy>>;
  /** Verdicts say what would be done, and everything is allowed. */
  readonly observeOnly: boolean;
  /** Messages of `…/events` are judged, too. */
  readonly moderateEvents: boolean;
  /** Texts are not kept: not in a conversation, not in the queue; scores are. */
  readonly doNotStore: boolean;
  readonly allowList: readonly ListEntry[];
  readonly blockList: readonly ListEntry[];
  readonly roles: readonly RolePolicy[];
  readonly context: ContextPolicy;
  readonly consult: ConsultPolicy;
};

/** A policy as it was set, with what tells it from the others. */
export type PolicyRecord = {
  /** 0: the default that nobody set. */
  readonly version: number;
  readonly setAtMs: number;
  readonly note: string | undefined;
  readonly policy: Policy;
};
