/**
 * A moderator for tests of what stands before the engine: it scores by a handful of mild words,
 * remembers turns in plain lists, and applies thresholds, lists and roles as the policy says.
 */
import { CATEGORIES, type Category, type ModeratorUsage } from "#model/moderation.ts";
import type {
  Action,
  ContextTurn,
  ModerationRequest,
  TextSpan,
  Turn,
  Verdict,
} from "#model/moderation.ts";
import type { Policy, PolicyRecord } from "#model/policy.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { verdictOf } from "#model/verdict.ts";

export const FAKE_MODEL = "nexuscore-fake-1+000000000000";
/** Scores of a message that has none of the words. */
const QUIET_SCORE = 0.02;

/** What a word does to the scores of its message. */
export const FAKE_WORDS: Readonly<Record<string, Partial<Record<Category, number>>>> = {
  idiot: { toxicity: 0.9, insult: 0.92 },
  damn: { toxicity: 0.3, profanity: 0.95 },
  hurt: { toxicity: 0.8, severeToxicity: 0.7, threat: 0.95 },
  vermin: { toxicity: 0.9, severeToxicity: 0.9, identityAttack: 0.95 },
  naked: { sexual: 0.9 },
};

type Said = Turn & { readonly id: string | undefined };

export class FakeModerator {
  record: PolicyRecord = POLICY_RECORD_DEFAULT;
  readonly conversations = new Map<string, Said[]>();
  #judgedCount = 0;

  judge(tenant: string, request: ModerationRequest, nowMs: number): Verdict {
    const { policy, version } = this.record;
    const { text, user, role, id, tsMs = nowMs } = request;
    this.#judgedCount += 1;
    const scores = scoresOf(text);
    const leniency = policy.roles.find((each) => each.role === role)?.leniency ?? 0;
    const thresholds = CATEGORIES.map((category) => {
      const { flagAt } = policy.categories[category];
      return flagAt === null ? 2 : Math.min(1, flagAt + leniency);
    });
    const met = policy.blockList.find(({ term }) => text.toLowerCase().includes(term));
    const proposedAction =
      met === undefined ? actionOf(policy, scores, leniency) : (met.action ?? "flag");
    const before = this.conversations.get(request.conversation ?? "") ?? [];
    const report = {
      action: policy.observeOnly ? ("allow" as const) : proposedAction,
      proposedAction,
      flagged: CATEGORIES.reduce((mask, _, n) => {
        return scores[n]! >= thresholds[n]! ? mask | (1 << n) : mask;
      }, 0),
      scores,
      toxicityAlone: scores[0]!,
      thresholds,
      severity: Math.round(Math.max(...scores) * 100),
      spans: spansOf(text),
      contextUsed: contextUsedOf(request, before, tsMs).slice(0, policy.context.turnsMax),
      reason: proposedAction === "allow" ? "Nothing stands out." : "A listed word stands in it.",
      language: request.language ?? "en",
      languageSource: request.language === undefined ? ("detected" as const) : ("given" as const),
      languageSupport: "full" as const,
      listEntry: met?.term,
      policyVersion: version,
      consult: false,
    };
    if (request.conversation !== undefined && request.doNotStore !== true) {
      const said = { id, user, role, tsMs, text, toxicity: scores[0]!, action: report.action };
      this.conversations.set(request.conversation, [...before, said]);
    }
    const verdictId = `v_${String(this.#judgedCount).padStart(26, "0")}`;
    const judgement = { report, id: verdictId, tenant, model: FAKE_MODEL, asOfMs: nowMs };
    return verdictOf(judgement, request);
  }

  get usage(): ModeratorUsage {
    const turns = [...this.conversations.values()].reduce((sum, each) => sum + each.length, 0);
    return {
      conversationCount: this.conversations.size,
      turnCount: turns,
      stateBytes: 256 * turns,
      evictedCount: 0,
      judgedCount: this.#judgedCount,
    };
  }
}

function scoresOf(text: string): number[] {
  const scores = CATEGORIES.map(() => QUIET_SCORE);
  for (const { word } of wordsOf(text)) {
    for (const [number, category] of CATEGORIES.entries()) {
      scores[number] = Math.max(scores[number]!, FAKE_WORDS[word]?.[category] ?? 0);
    }
  }
  return scores;
}

function actionOf(policy: Policy, scores: readonly number[], leniency: number): Action {
  let action: Action = "allow";
  for (const [number, category] of CATEGORIES.entries()) {
    const { flagAt, blockAt } = policy.categories[category];
    const score = scores[number]! - leniency;
    if (blockAt !== null && score >= blockAt) return "block";
    if (flagAt !== null && score >= flagAt) action = "flag";
  }
  return action;
}

function spansOf(text: string): TextSpan[] {
  return wordsOf(text).flatMap(({ word, start }) => {
    const [category, score] = Object.entries(FAKE_WORDS[word] ?? {})[0] ?? [];
    if (category === undefined || score === undefined) return [];
    const startCodePoint = codePointCount(text, start);
    return {
      category: category as Category,
      start,
      end: start + word.length,
      startCodePoint,
      endCodePoint: startCodePoint + word.length,
      score,
    };
  });
}

function wordsOf(text: string): { word: string; start: number }[] {
  return [...text.toLowerCase().matchAll(/[a-z]+/g)].map(([word], n, all) => {
    return { word, start: all[n]!.index };
  });
}

/** Of the text before `end`. */
function codePointCount(text: string, end: number): number {
  return text.slice(0, end).replaceAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, " ").length;
}

/** The newest first; given turns in place of remembered ones. */
function contextUsedOf(
  { context = [] }: ModerationRequest,
  before: readonly Turn[],
  tsMs: number,
): ContextTurn[] {
  if (context.length > 0) {
    return context.toReversed().map(({ id }) => ({ id, ageMs: 0, relation: "given", toxicity: 0 }));
  }
  return before.toReversed().map((turn) => {
    const { id, toxicity } = turn;
    return { id, ageMs: tsMs - turn.tsMs, relation: "previous", toxicity };
  });
}
