/**
 * A policy from JSON: whole or partial, laid over the default. All mistakes are found at once, each
 * with its JSON pointer; what is allowed but hardly meant becomes a warning.
 */
import {
  CONSULT_WAIT_MS_MAX,
  CONSULT_WAIT_MS_MIN,
  CONTEXT_AGE_MS_MAX,
  CONTEXT_BYTES_MAX,
  CONTEXT_TURNS_MAX,
  GUIDANCE_BYTES_MAX,
  POLICY_BYTES_MAX,
  POLICY_TERM_BYTES_MAX,
  ROLE_BYTES_MAX,
} from "./limits.ts";
import { Mistakes, pointerTo } from "./mistakes.ts";
import { isObject } from "./moderation-input.ts";
import { CATEGORIES, type Category, eachCategory } from "./moderation.ts";
import { policyBytes } from "./policy-bytes.ts";
import { POLICY_DEFAULT } from "./policy-default.ts";
import { policyWarnings, type PolicyWarning } from "./policy-warnings.ts";
import {
  type CategoryPolicy,
  CONSULT_MODES,
  type ConsultMode,
  type ConsultPolicy,
  type ContextPolicy,
  type ListEntry,
  type Policy,
  type RolePolicy,
} from "./policy.ts";
import { Problem } from "./problem.ts";
import { hasControls, isWithinBytes } from "./text-bytes.ts";

export type CheckedPolicy = {
  readonly policy: Policy;
  readonly warnings: readonly PolicyWarning[];
};

type Fields = Readonly<Record<string, unknown>>;
type Bounds = { readonly min: number; readonly max: number; readonly integer?: boolean };

/** `at`: where the policy stands in the body, for the pointers. */
export function checkPolicy(value: unknown, at = ""): CheckedPolicy {
  const reader = new PolicyReader();
  const policy = reader.read(value, at);
  const { mistakes } = reader;
  if (mistakes.count === 0 && policyBytes({ ...NO_RECORD, policy }) === undefined) {
    mistakes.add(at, `takes over ${POLICY_BYTES_MAX} bytes; shorten its lists or its guidance`);
  }
  if (mistakes.count === 0) {
    return { policy, warnings: [...reader.warnings, ...policyWarnings(policy, at)] };
  }
  const { members } = mistakes;
  throw new Problem("policyContradictory", mistakes.sentence("policy"), { members });
}

const NO_RECORD = { version: 0, setAtMs: 0, note: undefined };
const FLAGS = ["observeOnly", "moderateEvents", "doNotStore"] as const;
const LISTS = ["allowList", "blockList"] as const;
const FIELDS = ["categories", ...FLAGS, ...LISTS, "roles", "context", "consult"];
const SHARE: Bounds = { min: 0, max: 1 };
const CONSULT_BOUNDS: Readonly<Record<"below" | "above" | "weight" | "waitMsMax", Bounds>> = {
  below: SHARE,
  above: SHARE,
  weight: SHARE,
  waitMsMax: { min: CONSULT_WAIT_MS_MIN, max: CONSULT_WAIT_MS_MAX, integer: true },
};
const CONSULT_FIELDS = ["mode", ...Object.keys(CONSULT_BOUNDS), "guidance"];
const CONTEXT_BOUNDS: Readonly<Record<keyof ContextPolicy, Bounds>> = {
  turnsMax: { min: 0, max: CONTEXT_TURNS_MAX, integer: true },
  bytesMax: { min: 0, max: CONTEXT_BYTES_MAX, integer: true },
  ageMsMax: { min: 1_000, max: CONTEXT_AGE_MS_MAX },
};

class PolicyReader {
  readonly mistakes = new Mistakes();
  readonly warnings: PolicyWarning[] = [];

  read(value: unknown, at: string): Policy {
    const fields = this.#object(value, at, FIELDS);
    const flag = (name: (typeof FLAGS)[number]): boolean => {
      const given = fields[name] ?? POLICY_DEFAULT[name];
      if (typeof given !== "boolean") this.#add(`${at}/${name}`, "must be true or false");
      return given === true;
    };
    return {
      categories: this.#categories(fields["categories"], `${at}/categories`),
      observeOnly: flag("observeOnly"),
      moderateEvents: flag("moderateEvents"),
      doNotStore: flag("doNotStore"),
      allowList: this.#list(fields["allowList"], `${at}/allowList`, false),
      blockList: this.#list(fields["blockList"], `${at}/blockList`, true),
      roles: this.#roles(fields["roles"], `${at}/roles`),
      context: this.#context(fields["context"], `${at}/context`),
      consult: this.#consult(fields["consult"], `${at}/consult`),
    };
  }

  #add(pointer: string, message: string): void {
    this.mistakes.add(pointer, message);
  }

  /** Nothing of it where it is none; strangers in it are mistakes. */
  #object(value: unknown, at: string, known: readonly string[]): Fields {
    if (!isObject(value)) {
      this.#add(at, "must be an object");
      return {};
    }
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue;
      this.#add(pointerTo(at, name), `is no field; there are ${known.join(", ")}`);
    }
    return value;
  }

  #categories(value: unknown, at: string): Policy["categories"] {
    const given = value === undefined ? {} : this.#object(value, at, CATEGORIES);
    return eachCategory((category) => {
      return this.#category(given[category], category, `${at}/${category}`);
    });
  }

  #category(value: unknown, category: Category, at: string): CategoryPolicy {
    const usual = POLICY_DEFAULT.categories[category];
    if (value === undefined) return usual;
    const given = this.#object(value, at, ["flagAt", "blockAt"]);
    const flagAt = this.#threshold(given["flagAt"], usual.flagAt, `${at}/flagAt`);
    const blockAt = this.#threshold(given["blockAt"], usual.blockAt, `${at}/blockAt`);
    if (blockAt === null) return { flagAt, blockAt };
    if (flagAt === null) {
      const message = `${category} is blocked from ${blockAt} on, so it is flagged from there on.`;
      this.warnings.push({ code: "flagFollowsBlock", pointer: `${at}/blockAt`, message });
      return { flagAt: blockAt, blockAt };
    }
    if (flagAt > blockAt) {
      const origin = (name: string): string => (given[name] === undefined ? " (the default)" : "");
      const low = `${blockAt}${origin("blockAt")}`;
      const high = `${flagAt}${origin("flagAt")}`;
      this.#add(`${at}/blockAt`, `is ${low}, below flagAt, ${high}; set both`);
    }
    return { flagAt, blockAt };
  }

  /** `null` turns one off; left out, it is as usual. */
  #threshold(value: unknown, usual: number | null, at: string): number | null {
    if (value === undefined) return usual;
    if (value === null) return null;
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    this.#add(at, "must be a number from 0 to 1, or null for never");
    return null;
  }

  #list(value: unknown, at: string, blocks: boolean): readonly ListEntry[] {
    return this.#array(value, at).map((entry, index) =>
      this.#entry(entry, `${at}/${index}`, blocks),
    );
  }

  #entry(value: unknown, at: string, blocks: boolean): ListEntry {
    if (typeof value === "string") return this.#listEntry(value, undefined, at);
    const { term, action } = this.#object(value, at, blocks ? ["term", "action"] : ["term"]);
    if (action !== undefined && action !== "flag" && action !== "block") {
      this.#add(`${at}/action`, "must be flag or block");
    }
    return this.#listEntry(term, action === "block" ? "block" : action && "flag", `${at}/term`);
  }

  #listEntry(term: unknown, action: unknown, at: string): ListEntry {
    const text = this.#word(term, at, POLICY_TERM_BYTES_MAX);
    return action === "flag" || action === "block" ? { term: text, action } : { term: text };
  }

  #roles(value: unknown, at: string): readonly RolePolicy[] {
    const seen = new Set<string>();
    return this.#array(value, at).map((entry, index) => {
      const here = `${at}/${index}`;
      const given = this.#object(entry, here, ["role", "leniency", "exempt"]);
      const role = this.#word(given["role"], `${here}/role`, ROLE_BYTES_MAX);
      if (role !== "" && seen.has(role)) this.#add(`${here}/role`, "stands there twice");
      seen.add(role);
      const bounds = { min: -1, max: 1 };
      const leniency = this.#number(given["leniency"] ?? 0, `${here}/leniency`, bounds);
      const { exempt } = given;
      if (exempt === undefined) return { role, leniency };
      if (typeof exempt !== "boolean") this.#add(`${here}/exempt`, "must be true or false");
      return { role, leniency, exempt: exempt === true };
    });
  }

  #context(value: unknown, at: string): ContextPolicy {
    const usual = POLICY_DEFAULT.context;
    if (value === undefined) return usual;
    const given = this.#object(value, at, Object.keys(CONTEXT_BOUNDS));
    const number = (name: keyof ContextPolicy): number => {
      return this.#number(given[name] ?? usual[name], `${at}/${name}`, CONTEXT_BOUNDS[name]);
    };
    return {
      turnsMax: number("turnsMax"),
      bytesMax: number("bytesMax"),
      ageMsMax: number("ageMsMax"),
    };
  }

  #consult(value: unknown, at: string): ConsultPolicy {
    const usual = POLICY_DEFAULT.consult;
    if (value === undefined) return usual;
    const given = this.#object(value, at, CONSULT_FIELDS);
    const number = (name: keyof typeof CONSULT_BOUNDS): number => {
      return this.#number(given[name] ?? usual[name], `${at}/${name}`, CONSULT_BOUNDS[name]);
    };
    return {
      mode: this.#mode(given["mode"] ?? usual.mode, `${at}/mode`),
      below: number("below"),
      above: number("above"),
      weight: number("weight"),
      waitMsMax: number("waitMsMax"),
      guidance: this.#guidance(given["guidance"] ?? usual.guidance, `${at}/guidance`),
    };
  }

  #mode(value: unknown, at: string): ConsultMode {
    const mode = CONSULT_MODES.find((each) => each === value);
    if (mode === undefined) this.#add(at, `must be one of ${CONSULT_MODES.join(", ")}`);
    return mode ?? "never";
  }

  /** Sentences, perhaps of several lines. */
  #guidance(value: unknown, at: string): string {
    const text = typeof value === "string" ? value.replaceAll("\r\n", "\n").trim() : undefined;
    const fit = text?.isWellFormed() === true && !hasControls(text.replaceAll(/[\n\t]/g, " "));
    if (fit && isWithinBytes(text, GUIDANCE_BYTES_MAX)) return text;
    this.#add(
      at,
      `must be a text of at most ${GUIDANCE_BYTES_MAX} bytes, no controls but new lines`,
    );
    return "";
  }

  #array(value: unknown, at: string): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.#add(at, "must be an array");
    return [];
  }

  #word(value: unknown, at: string, bytesMax: number): string {
    const text = typeof value === "string" ? value.trim() : "";
    const fit = text !== "" && text.isWellFormed() && !hasControls(text);
    if (fit && isWithinBytes(text, bytesMax)) return text;
    this.#add(at, `must be a text of 1 to ${bytesMax} bytes, no controls`);
    return "";
  }

  #number(value: unknown, at: string, { min, max, integer = false }: Bounds): number {
    const fit = typeof value === "number" && value >= min && value <= max;
    if (fit && (!integer || Number.isInteger(value))) return value;
    this.#add(at, `must be ${integer ? "an integer" : "a number"} from ${min} to ${max}`);
    return min;
  }
}
