/**
 * A verdict in the thirteen categories of OpenAI's moderations. What ours say that theirs have no
 * name for is in `nexuscore`; what theirs ask that ours do not judge is false, 0 and of no input.
 */
import { CATEGORIES, type Category, type Verdict } from "./moderation.ts";
import { shownScore } from "./verdict-answer.ts";

/** Of which of our scores a category of theirs is the greatest (`any`) or the least (`all`). */
type Mapping = { readonly any: readonly Category[] } | { readonly all: readonly Category[] };

export const OPENAI_CATEGORIES = {
  harassment: { any: ["toxicity", "severeToxicity", "insult"] },
  "harassment/threatening": { any: ["threat"] },
  hate: { any: ["identityAttack"] },
  "hate/threatening": { all: ["identityAttack", "threat"] },
  illicit: { any: [] },
  "illicit/violent": { any: [] },
  "self-harm": { any: ["selfHarm"] },
  "self-harm/instructions": { any: [] },
  "self-harm/intent": { any: [] },
  sexual: { any: ["sexual"] },
  "sexual/minors": { any: [] },
  violence: { any: ["threat"] },
  "violence/graphic": { any: [] },
} as const satisfies Readonly<Record<string, Mapping>>;

export type OpenAiCategory = keyof typeof OPENAI_CATEGORIES;

type ByCategory<Value> = Readonly<Record<OpenAiCategory, Value>>;

export type OpenAiResult = {
  readonly flagged: boolean;
  readonly categories: ByCategory<boolean>;
  readonly category_scores: ByCategory<number>;
  readonly category_applied_input_types: ByCategory<readonly "text"[]>;
  /** What their form has no place for; their clients pass it on. */
  readonly nexuscore: Pick<
    Verdict,
    | "id"
    | "action"
    | "proposedAction"
    | "reason"
    | "severity"
    | "contextUsed"
    | "language"
    | "degraded"
    | "upstream"
  > & {
    readonly categories: readonly Category[];
    readonly policyVersion: number;
    readonly listEntry?: string;
  };
};

/** Where nothing is to be done, as under a policy that only observes, nothing is flagged. */
export function openAiResult(verdict: Verdict): OpenAiResult {
  const { action, categories, scores } = verdict;
  const flagged = action !== "allow";
  return {
    flagged,
    categories: each((mapping) => flagged && met(mapping, (category) => categories[category])),
    category_scores: each((mapping) => scoreOf(mapping, scores)),
    category_applied_input_types: APPLIED,
    nexuscore: {
      id: verdict.id,
      action,
      proposedAction: verdict.proposedAction,
      reason: verdict.reason,
      severity: verdict.severity,
      categories: CATEGORIES.filter((category) => categories[category]),
      contextUsed: verdict.contextUsed,
      language: verdict.language,
      policyVersion: verdict.policy.version,
      degraded: verdict.degraded,
      ...(verdict.upstream === undefined ? {} : { upstream: verdict.upstream }),
      ...(verdict.listEntry === undefined ? {} : { listEntry: verdict.listEntry }),
    },
  };
}

const NAMES = Object.keys(OPENAI_CATEGORIES) as OpenAiCategory[];
const APPLIED: OpenAiResult["category_applied_input_types"] = each((mapping) => {
  return sourcesOf(mapping).length > 0 ? ["text"] : [];
});

function each<Value>(of: (mapping: Mapping) => Value): ByCategory<Value> {
  const values: Partial<Record<OpenAiCategory, Value>> = {};
  for (const name of NAMES) values[name] = of(OPENAI_CATEGORIES[name]);
  return values as Record<OpenAiCategory, Value>;
}

function sourcesOf(mapping: Mapping): readonly Category[] {
  return "any" in mapping ? mapping.any : mapping.all;
}

function met(mapping: Mapping, is: (category: Category) => boolean): boolean {
  return "any" in mapping ? mapping.any.some(is) : mapping.all.every(is);
}

function scoreOf(mapping: Mapping, scores: Verdict["scores"]): number {
  const isAny = "any" in mapping;
  const sources = sourcesOf(mapping);
  if (sources.length === 0) return 0;
  let score = isAny ? 0 : 1;
  for (const category of sources) {
    score = isAny ? Math.max(score, scores[category]) : Math.min(score, scores[category]);
  }
  return shownScore(score);
}
