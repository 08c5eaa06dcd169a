/** What the systems of `same-work` are given, what they give back, and whether it is right. */
import { readFileSync, writeFileSync } from "node:fs";
import { termName } from "./grouping.ts";
import { WrongAnswer } from "./harness.ts";
import { type Columns, drawColumns } from "./same-work-events.ts";

export type SameWorkSettings = {
  readonly events: number;
  readonly tenants: number;
  readonly seed: number;
  /** Of NexusCore: warm instances, and events that are grouped together. */
  readonly slots: number;
  readonly stepEvents: number;
  /** Tenants whose answers are wanted. */
  readonly asked: readonly number[];
};

export type Answer = {
  readonly tenant: number;
  readonly count: number;
  /** The ten most frequent, as `termName` writes them. */
  readonly terms: readonly string[];
  readonly distinct: number;
  /** Relative standard error, as its makers or the system itself states it; 0: exact. */
  readonly distinctError: number;
  readonly p99: number;
  readonly variance: number;
};

export type Work = { readonly cpuSeconds: number; readonly residentMb: number };

export type SameWorkFigures = Work & {
  readonly answers: readonly Answer[];
  /** Of reading the answers of every tenant; 0 where that is part of the work. */
  readonly answerCpuSeconds: number;
};

/** From here on CPU and memory count; what was made before is in the memory, not in the CPU. */
export function beginWork(): NodeJS.CpuUsage {
  // Makes the greatest resident size start anew; needs no privilege for one's own process.
  writeFileSync("/proc/self/clear_refs", "5");
  return process.cpuUsage();
}

export function endWork(begin: NodeJS.CpuUsage): Work {
  const { user, system } = process.cpuUsage(begin);
  return { cpuSeconds: (user + system) / 1e6, residentMb: peakMb("self") };
}

/** Greatest resident size of a process. */
export function peakMb(processId: number | "self"): number {
  const status = readFileSync(`/proc/${processId}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** What a tenant's events really are. */
export type Truth = {
  readonly tenant: number;
  readonly count: number;
  /** By count, descending. */
  readonly termCounts: ReadonlyMap<string, number>;
  readonly distinct: number;
  /** Ascending. */
  readonly latencies: Float64Array;
  readonly variance: number;
};

export function truthOf(settings: Pick<SameWorkSettings, "events" | "tenants" | "seed" | "asked">) {
  const columns = drawColumns(settings);
  const events = new Map(settings.asked.map((tenant) => [tenant, [] as number[]]));
  for (let event = 0; event < columns.tenants.length; event++) {
    events.get(columns.tenants[event]!)?.push(event);
  }
  return [...events].map(([tenant, own]) => truthOfTenant(columns, tenant, own));
}

function truthOfTenant(columns: Columns, tenant: number, events: readonly number[]): Truth {
  const counts = new Map<string, number>();
  const users = new Set<number>();
  for (const event of events) {
    const term = termName(columns.terms[event]!);
    counts.set(term, (counts.get(term) ?? 0) + 1);
    users.add(columns.users[event]!);
  }
  const latencies = Float64Array.from(events, (event) => columns.latencies[event]!).toSorted();
  const mean = latencies.reduce((sum, value) => sum + value, 0) / events.length;
  const squares = latencies.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    tenant,
    count: events.length,
    termCounts: new Map([...counts].toSorted((a, b) => b[1] - a[1])),
    distinct: users.size,
    latencies,
    variance: squares / events.length,
  };
}

export type Errors = {
  readonly distinct: number;
  readonly p99: number;
  /** Share of the ten listed terms that are among the ten most frequent, ties counting as among. */
  readonly topFound: number;
};

export type Tolerance = {
  /** Relative error of the P99; undefined: none is promised, its rank must be near. */
  readonly p99: number | undefined;
  readonly variance: number;
};

const TOP_TERMS = 10;
/** Of a normal law, what is beyond so many standard errors is no bad luck. */
const STANDARD_ERRORS_MAX = 5;
/** Where no error is promised the answer must lie between the samples of these quantiles. */
const P99_LOW = 0.975;
const TOP_FOUND_MIN = 0.5;

/** Means over the tenants; WrongAnswer where a system says what is not so. */
export function compare(
  system: string,
  truths: readonly Truth[],
  answers: readonly Answer[],
  tolerance: Tolerance,
): Errors {
  const errors = truths.map((truth): Errors => {
    const answer = answers.find(({ tenant }) => tenant === truth.tenant);
    const who = `${system}, tenant ${truth.tenant}`;
    if (answer === undefined) throw new WrongAnswer(`${who}: no answer`);
    if (answer.count !== truth.count) {
      throw new WrongAnswer(`${who}: ${answer.count} events, not ${truth.count}`);
    }
    const variance = Math.abs(answer.variance / truth.variance - 1);
    if (!(variance <= tolerance.variance)) {
      throw new WrongAnswer(`${who}: variance ${answer.variance}, not ${truth.variance}`);
    }
    return {
      distinct: distinctErrorOf(who, truth, answer),
      p99: p99ErrorOf(who, truth, answer, tolerance.p99),
      topFound: topFoundOf(truth, answer),
    };
  });
  const mean = (of: (error: Errors) => number): number => {
    return errors.reduce((sum, error) => sum + of(error), 0) / errors.length;
  };
  const topFound = mean((error) => error.topFound);
  if (topFound < TOP_FOUND_MIN) {
    throw new WrongAnswer(`${system}: only ${topFound} of the top terms`);
  }
  return { distinct: mean((error) => error.distinct), p99: mean((error) => error.p99), topFound };
}

function distinctErrorOf(who: string, truth: Truth, answer: Answer): number {
  const error = Math.abs(answer.distinct / truth.distinct - 1);
  // Of few users one more or less is more than the error.
  const allowed = STANDARD_ERRORS_MAX * answer.distinctError;
  if (error <= allowed + (answer.distinctError === 0 ? 0 : 1 / truth.distinct)) return error;
  throw new WrongAnswer(`${who}: ${answer.distinct} users, not ${truth.distinct}`);
}

/** Systems differ in which sample the P99 is; the nearest of those is taken. */
function p99ErrorOf(who: string, truth: Truth, answer: Answer, tolerance?: number): number {
  const { latencies } = truth;
  const at = (index: number): number => {
    return latencies[Math.min(Math.max(index, 0), latencies.length - 1)]!;
  };
  const low = at(Math.floor(0.99 * (latencies.length - 1)));
  const high = at(Math.floor(0.99 * latencies.length));
  const { p99 } = answer;
  const error = p99 < low ? 1 - p99 / low : p99 <= high ? 0 : p99 / high - 1;
  const isNear =
    tolerance === undefined
      ? p99 >= at(Math.floor(P99_LOW * latencies.length) - 1) && p99 <= at(latencies.length - 1)
      : error <= tolerance;
  if (isNear) return error;
  throw new WrongAnswer(`${who}: P99 ${p99}, not ${low} to ${high}`);
}

function topFoundOf(truth: Truth, answer: Answer): number {
  const counts = [...truth.termCounts.values()];
  const wanted = Math.min(TOP_TERMS, counts.length);
  const least = counts[wanted - 1]!;
  const listed = new Set(answer.terms.slice(0, TOP_TERMS));
  const found = [...listed].filter((term) => (truth.termCounts.get(term) ?? 0) >= least);
  return Math.min(found.length, wanted) / wanted;
}
