/** The work of scenarios/same-work.ts in NexusCore, from columns to windows and answers. */
import { Grouping, METRIC } from "../grouping.ts";
import { type Columns, drawColumns } from "../same-work-events.ts";
import {
  type Answer,
  beginWork,
  endWork,
  type SameWorkFigures,
  type SameWorkSettings,
} from "../same-work.ts";
import { Isolates, mustBeOk, serveMeasurement, START_MS } from "./isolates.ts";

const TERMS_ASKED = 10;

serveMeasurement((settings: SameWorkSettings): SameWorkFigures => {
  const { tenants, slots, stepEvents } = settings;
  const columns = drawColumns(settings);
  const isolates = new Isolates({ slotCount: slots, tenantCountMax: tenants });
  const work = beginWork();
  isolates.slices(tenants, (tenant) => isolates.open(tenant));
  for (let first = 0; first < columns.tenants.length; first += stepEvents) {
    ingest(isolates, tenants, part(columns, first, first + stepEvents));
  }
  const done = endWork(work);
  const answers = settings.asked.map((tenant) => answerOf(isolates, tenant));
  const asking = beginWork();
  isolates.slices(tenants, (tenant) => void answerOf(isolates, tenant));
  return { ...done, answers, answerCpuSeconds: endWork(asking).cpuSeconds };
});

function ingest(isolates: Isolates, tenants: number, columns: Columns): void {
  const grouping = new Grouping(columns, { tenants, startMs: START_MS });
  isolates.host.pass(tenants);
  for (let bucket = 0; bucket < grouping.bucketCount; bucket++) {
    grouping.group(bucket);
    isolates.slices(grouping.batchCount, (batch) => {
      isolates.ingestBytes(
        grouping.batchTenants[batch]!,
        grouping.memory,
        grouping.batchOffsets[batch]!,
        grouping.batchBytes(batch),
      );
    });
  }
  isolates.host.pass(0);
}

function part(columns: Columns, first: number, end: number): Columns {
  return {
    tenants: columns.tenants.subarray(first, end),
    terms: columns.terms.subarray(first, end),
    users: columns.users.subarray(first, end),
    latencies: columns.latencies.subarray(first, end),
  };
}

function answerOf(isolates: Isolates, tenant: number): Answer {
  const { outcome, report } = isolates.host.summary(tenant, "minute", TERMS_ASKED);
  mustBeOk(outcome);
  const { eventCount, userCount, userCountError, terms, metrics } = report!;
  const metric = metrics.find(({ name }) => name === METRIC);
  return {
    tenant,
    count: eventCount,
    terms: terms.map(({ term }) => term),
    distinct: userCount,
    distinctError: userCountError,
    p99: metric?.quantiles.find(({ q }) => q === 0.99)?.value ?? 0,
    variance: (metric?.stddev ?? 0) ** 2,
  };
}
