/** What became of a batch's events in their tenant's turn, as their requests are told. */
import type { Batcher } from "#batcher/batcher.ts";
import { eventErrorNumber } from "#model/event-error.ts";
import type { Outcome } from "#model/outcome.ts";
import { WARNING_METRIC_LIMIT } from "#model/warning.ts";
import type { JudgedBatch } from "./judged-batch.ts";
import type { RequestLedger } from "./request-ledger.ts";

const FATE_LATE = 1;
const FATE_DUPLICATE = 2;
/** Beside any of the fates: a metric of the event was refused. */
const FATE_METRIC_REFUSED = 8;

const GUEST_FAILED = eventErrorNumber("guestFailed");
const QUARANTINED = eventErrorNumber("tenantQuarantined");
const MEMORY_FULL = eventErrorNumber("memoryFull");

/** Of events whose turn ended otherwise than `ok`: the number of their error. */
export function errorOf(outcome: Outcome): number {
  if (outcome === "quarantined") return QUARANTINED;
  return outcome === "refused" ? MEMORY_FULL : GUEST_FAILED;
}

/** `judged`: the batch was, and its tenant was handed what was kept of it. */
export function tellFates({
  batcher,
  requests,
  judged,
  fates,
  batch,
}: {
  readonly batcher: Batcher;
  readonly requests: RequestLedger;
  readonly judged: JudgedBatch | undefined;
  readonly fates: Uint8Array;
  readonly batch: number;
}): void {
  const warn = (event: number, warning: number): void => {
    const index = batcher.eventIndex(batch, event);
    requests.warn(batcher.eventOrigin(batch, event), index, warning);
  };
  judged?.settle(fates, warn, (event) => requests.hold(batcher.eventOrigin(batch, event)));
  const kept = judged?.kept;
  const eventCount = kept?.eventCount ?? batcher.batchEventCount(batch);
  for (let handed = 0; handed < eventCount; handed++) {
    const fate = fates[handed]!;
    if (fate === 0) continue;
    const event = kept?.indexOf(handed) ?? handed;
    const origin = batcher.eventOrigin(batch, event);
    const kind = fate & ~FATE_METRIC_REFUSED;
    if (kind === FATE_LATE) requests.late(origin);
    else if (kind === FATE_DUPLICATE) requests.duplicate(origin);
    if (kind !== fate) warn(event, WARNING_METRIC_LIMIT);
  }
}
