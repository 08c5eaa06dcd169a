/** Who wrote a text, for people: a line below it, or none where it is as it always is. */
import type { ConsultationFailure } from "#model/consultation.ts";
import { EXTRACTIVE } from "#model/trending-answer.ts";
import { harmless, style, wrap } from "./terminal.ts";

export type Told = {
  readonly generatedBy?: string;
  readonly degraded: boolean;
  readonly reason?: ConsultationFailure;
};

const REASONS: Readonly<Record<ConsultationFailure, string>> = {
  off: "no language model is asked",
  overBudget: "the tenant's budget is spent",
  queueFull: "too many calls wait for the language model",
  timedOut: "the language model did not answer in time",
  unavailable: "the language model cannot be had",
  rateLimited: "the language model wants fewer questions",
  refused: "the language model refused the question",
  malformed: "the language model said something that is not so",
  cancelled: "the question was withdrawn",
  interrupted: "the server began anew",
};

/** Undefined: quoted from what was said, and nothing else was wanted. */
export function tellerLine(told: Told, indent: string): string | undefined {
  const { generatedBy = EXTRACTIVE, degraded, reason } = told;
  const model = generatedBy === EXTRACTIVE ? undefined : `told by ${harmless(generatedBy)}`;
  const failure = degraded ? (REASONS[reason ?? "unavailable"] ?? reason) : undefined;
  if (model === undefined && failure === undefined) return undefined;
  const words = [model ?? "quoted", failure].filter((each) => each !== undefined).join("; ");
  const lines = wrap(`(${words})`, indent).split("\n");
  return lines.map((line) => style("dim", line)).join("\n");
}
