/** The work of scenarios/same-work.ts in DuckDB, in this process. */
import { termName } from "../grouping.ts";
import { requirePeer } from "../peers.ts";
import { drawColumns } from "../same-work-events.ts";
import {
  type Answer,
  beginWork,
  endWork,
  type SameWorkFigures,
  type SameWorkSettings,
} from "../same-work.ts";
import { serveMeasurement } from "./isolates.ts";

type Type = { readonly typeId: number };
type Connection = {
  run(sql: string): Promise<unknown>;
  runAndReadAll(sql: string): Promise<{ getRowsJson(): unknown[][] }>;
  createAppender(table: string): Promise<{
    appendDataChunk(chunk: object): void;
    closeSync(): void;
  }>;
};
type DuckDb = {
  readonly DuckDBInstance: {
    create(path: string): Promise<{ connect(): Promise<Connection> }>;
  };
  readonly DuckDBDataChunk: {
    create(types: readonly Type[]): { setColumns(columns: readonly number[][]): void };
  };
  readonly INTEGER: Type;
  readonly DOUBLE: Type;
};

const CHUNK_ROWS = 2048;
/** HyperLogLog with 64 cells. */
const DISTINCT_ERROR = 1.04 / 8;

const WORK = `create table answers as
  select tenant, count(*) as events, approx_top_k(term, 10) as terms,
    approx_count_distinct("user") as users, approx_quantile(lat, 0.99) as p99,
    var_pop(lat) as variance
  from events group by tenant`;

serveMeasurement(async (settings: SameWorkSettings): Promise<SameWorkFigures> => {
  const duckDb = requirePeer<DuckDb>("@duckdb/node-api");
  const instance = await duckDb.DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run("set threads = 1");
  await fill(duckDb, connection, settings);
  const work = beginWork();
  await connection.run(WORK);
  const done = endWork(work);
  const asked = settings.asked.join(", ");
  const rows = await connection.runAndReadAll(`select * from answers where tenant in (${asked})`);
  return { ...done, answers: rows.getRowsJson().map(readAnswer), answerCpuSeconds: 0 };
});

async function fill(
  { DuckDBDataChunk, INTEGER, DOUBLE }: DuckDb,
  connection: Connection,
  settings: SameWorkSettings,
): Promise<void> {
  await connection.run(
    `create table events (tenant integer, term integer, "user" integer, lat double)`,
  );
  const appender = await connection.createAppender("events");
  const { tenants, terms, users, latencies } = drawColumns(settings);
  for (let first = 0; first < tenants.length; first += CHUNK_ROWS) {
    const end = first + CHUNK_ROWS;
    const columns = [tenants, terms, users, latencies].map((column) => {
      return [...column.subarray(first, end)];
    });
    const chunk = DuckDBDataChunk.create([INTEGER, INTEGER, INTEGER, DOUBLE]);
    chunk.setColumns(columns);
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}

function readAnswer(row: unknown[]): Answer {
  const [tenant, count, terms, distinct, p99, variance] = row as [
    number,
    number | string,
    number[],
    number | string,
    number,
    number,
  ];
  return {
    tenant,
    count: Number(count),
    terms: terms.map(termName),
    distinct: Number(distinct),
    distinctError: DISTINCT_ERROR,
    p99,
    variance,
  };
}
