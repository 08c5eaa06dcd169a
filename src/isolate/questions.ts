/**
 * The functions of the world that answer something about a tenant. All are called, checked and
 * journaled in one way: up to two numbers or one text go in, a value comes out through memory.
 */
import assert from "node:assert/strict";
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import type { TrendOrder, TrendingReport } from "#model/trending.ts";
import { coreSignatureOf, type AbiFunction, type AbiType } from "./abi-types.ts";
import { AbiError, compileLiftResult, type GuestMemory } from "./canonical-abi.ts";
import * as world from "./world.gen.ts";

export type Question<Report> = {
  /** Its place in QUESTIONS. */
  readonly number: number;
  readonly abi: AbiFunction;
  /** A text goes in, rather than numbers. */
  readonly takesText: boolean;
  /** `first`: the first number that went in. Throws AbiError. */
  readonly lift: (memory: GuestMemory, value: number, first: number) => Report;
};

export const QUESTIONS: Question<unknown>[] = [];

// The descriptors of world.gen.ts and its types are generated from one contract, so what is lifted
// by the one has the other; that the types of the model are the same, the compiler sees here.
export const TRENDING: Question<TrendingReport> = question<world.TrendingReport>(world.TRENDING);
export const SUMMARY: Question<SummaryReport> = question(world.SUMMARY, checkSummary);
export const CONVERSATIONS: Question<readonly ConversationItem[]> = question<
  readonly world.ConversationItem[]
>(world.CONVERSATIONS);
export const CONVERSATION: Question<ConversationReport | undefined> = question<
  world.ConversationReport | undefined
>(world.CONVERSATION);
export const SKETCH: Question<Uint8Array> = question<Uint8Array>(world.SKETCH);

/** The number of an enum's case in the WIT. */
export function spanNumber(span: Span): number {
  return caseNumber(SPAN_CASES, span);
}

export function orderNumber(order: TrendOrder): number {
  return caseNumber(ORDER_CASES, order);
}

const SPAN_CASES = casesOf(world.SUMMARY.parameters[0]!.type);
const ORDER_CASES = casesOf(world.TRENDING.parameters[1]!.type);

function question<Report>(
  abi: AbiFunction,
  check?: (report: Report, first: number) => void,
): Question<Report> {
  const { parameters, results } = coreSignatureOf(abi);
  assert(parameters.length <= 2 && parameters.every((type) => type === "i32"));
  assert(results.length === 1 && abi.result !== undefined);
  const liftResult = compileLiftResult(abi.result);
  const lift = (memory: GuestMemory, value: number, first: number): Report => {
    const report = liftResult(memory, value) as Report;
    check?.(report, first);
    return report;
  };
  const takesText = abi.parameters[0]?.type.kind === "string";
  const made = { number: QUESTIONS.length, abi, takesText, lift };
  QUESTIONS.push(made);
  return made;
}

/** The world promises the window that was asked for. */
function checkSummary({ span }: world.SummaryReport, first: number): void {
  if (span === SPAN_CASES[first]) return;
  throw new AbiError(`The summary is of the span ${span} instead of ${SPAN_CASES[first]}.`);
}

export function casesOf(type: AbiType | undefined): readonly string[] {
  assert(type?.kind === "enum");
  return type.cases;
}

export function caseNumber(cases: readonly string[], name: string): number {
  const number = cases.indexOf(name);
  assert(number >= 0);
  return number;
}
