/** The work of scenarios/same-work.ts in ClickHouse, in this process (chdb). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

type Chdb = {
  readonly Session: new () => {
    query(sql: string, format?: string): string;
    close(): void;
  };
};

const ROW_BYTES = 20;
const SCHEMA = "tenant UInt32, term UInt32, user UInt32, lat Float64";
/** As the documentation has it for 2^12 cells; below some hundreds the set is exact. */
const DISTINCT_ERROR = 1.04 / 64;

const WORK = `create table answers engine = Memory as
  select tenant, count() as events, topK(10)(term) as terms, uniqCombined(12)(user) as users,
    quantileDD(0.01, 0.99)(lat) as p99, varPop(lat) as variance
  from events group by tenant settings max_threads = 1`;

serveMeasurement((settings: SameWorkSettings): SameWorkFigures => {
  const { Session } = requirePeer<Chdb>("chdb");
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-same-work-"));
  const session = new Session();
  try {
    writeRows(join(folder, "rows"), settings);
    session.query(`create table events (${SCHEMA}) engine = Memory`);
    session.query(
      `insert into events select * from file('${join(folder, "rows")}', RowBinary, '${SCHEMA}')`,
    );
    const work = beginWork();
    session.query(WORK);
    const done = endWork(work);
    const asked = settings.asked.join(", ");
    const lines = session.query(
      `select * from answers where tenant in (${asked})`,
      "JSONCompactEachRow",
    );
    return { ...done, answers: lines.trim().split("\n").map(readAnswer), answerCpuSeconds: 0 };
  } finally {
    session.close();
    rmSync(folder, { recursive: true });
  }
});

function writeRows(path: string, settings: SameWorkSettings): void {
  const { tenants, terms, users, latencies } = drawColumns(settings);
  const view = new DataView(new ArrayBuffer(tenants.length * ROW_BYTES));
  for (let event = 0, at = 0; event < tenants.length; event++, at += ROW_BYTES) {
    view.setUint32(at, tenants[event]!, true);
    view.setUint32(at + 4, terms[event]!, true);
    view.setUint32(at + 8, users[event]!, true);
    view.setFloat64(at + 12, latencies[event]!, true);
  }
  writeFileSync(path, view);
}

function readAnswer(line: string): Answer {
  type Row = [number, number | string, number[], number | string, number, number];
  const [tenant, count, terms, distinct, p99, variance] = JSON.parse(line) as Row;
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
