/** A verdict as the native API tells it. */
import { GIVEN_TURNS_MAX } from "./limits.ts";
import { eachCategory, type ModerationRequest, type Verdict } from "./moderation.ts";
import { PROBLEMS, type Problem } from "./problem.ts";

export type VerdictWarning = {
  readonly code: "languageUnsupported" | "contextShortened";
  readonly message: string;
};

export type VerdictAnswer = Verdict & { readonly warnings?: readonly VerdictWarning[] };

/** Of a message of a batch that could not be judged. */
export type MessageProblem = {
  /** Which message of the request, from 0. */
  readonly index: number;
  readonly problem: Readonly<Record<string, unknown>>;
};

export type VerdictsAnswer = {
  /** One a message, in order. */
  readonly verdicts: readonly (VerdictAnswer | MessageProblem)[];
  readonly problemCount: number;
};

export function verdictAnswer(verdict: Verdict, request: ModerationRequest): VerdictAnswer {
  const warnings = warningsOf(verdict, request);
  const answer = {
    ...verdict,
    scores: eachCategory((category) => shownScore(verdict.scores[category])),
    thresholds: eachCategory((category) => shownThreshold(verdict.thresholds[category])),
    toxicityAlone: shownScore(verdict.toxicityAlone),
    spans: verdict.spans.map((span) => ({ ...span, score: shownScore(span.score) })),
    contextUsed: verdict.contextUsed.map((turn) => {
      return { ...turn, toxicity: shownScore(turn.toxicity) };
    }),
  };
  return warnings.length === 0 ? answer : { ...answer, warnings };
}

export function messageProblem(index: number, problem: Problem): MessageProblem {
  const { code, status, message: detail, members } = problem;
  return { index, problem: { title: PROBLEMS[code].title, status, detail, code, ...members } };
}

/** Rounded down, so that no score is shown at a threshold that it does not reach. */
export function shownScore(score: number): number {
  return Math.floor(score * 1e6 + 1e-6) / 1e6;
}

/** A moderator holds thresholds as 32 bit numbers: here they are again as they were set. */
function shownThreshold(threshold: number | null): number | null {
  return threshold === null ? null : Math.round(threshold * 1e6) / 1e6;
}

function warningsOf(
  { language, contextUsed }: Verdict,
  { context = [] }: ModerationRequest,
): VerdictWarning[] {
  const warnings: VerdictWarning[] = [];
  if (language.support === "none" && language.source === "given") {
    const message =
      `Nothing is known here of the language ${JSON.stringify(language.tag)}: ` +
      "low scores mean little.";
    warnings.push({ code: "languageUnsupported", message });
  }
  const given = context.length;
  const read = contextUsed.length;
  if (read < given) {
    const which = read === 0 ? "none was read" : `the newest ${read} were read`;
    const message =
      `Of ${given} messages of context ${which}: as many as fit, at most ` +
      `${GIVEN_TURNS_MAX} and the policy's context.turnsMax.`;
    warnings.push({ code: "contextShortened", message });
  }
  return warnings;
}
