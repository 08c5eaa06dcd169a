/**
 * The events of `same-work`: tenants by chance, terms nearly by Zipf's law, millions of users,
 * latencies that are log-normal. Columns, because that is what the databases are best at.
 */
import { Random } from "#std/random.ts";

export type Columns = {
  readonly tenants: Int32Array;
  readonly terms: Int32Array;
  readonly users: Int32Array;
  readonly latencies: Float64Array;
};

export type ColumnSettings = {
  readonly events: number;
  readonly tenants: number;
  readonly seed: number;
};

export const TERMS = 100_000;
export const USERS = 5_000_000;

/** Median and spread of the latencies, in ms. */
const LATENCY_MEDIAN_MS = 20;
const LATENCY_SIGMA = 1;

/** The same for the same settings, in every process; fewer events are the first of more. */
export function drawColumns({ events, tenants, seed }: ColumnSettings): Columns {
  const random = new Random(seed);
  const columns: Columns = {
    tenants: new Int32Array(events),
    terms: new Int32Array(events),
    users: new Int32Array(events),
    latencies: new Float64Array(events),
  };
  const logTerms = Math.log(TERMS + 1);
  for (let event = 0; event < events; event++) {
    columns.tenants[event] = random.below(tenants);
    columns.terms[event] = Math.floor(Math.exp(random.unit() * logTerms)) - 1;
    columns.users[event] = random.below(USERS);
    columns.latencies[event] = LATENCY_MEDIAN_MS * Math.exp(LATENCY_SIGMA * normal(random));
  }
  return columns;
}

/** By Box and Muller. */
function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.unit()));
  return radius * Math.cos(2 * Math.PI * random.unit());
}
