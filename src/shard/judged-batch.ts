/**
 * A batch of a tenant whose events are judged, before its turn: what the policy blocks, the
 * tenant's component is not handed. Verdicts and warnings are told once the turn went well, and not
 * of events that it found to have come before.
 */
import type { Batcher } from "#batcher/batcher.ts";
import { WARNING_MESSAGE_BLOCKED, WARNING_MESSAGE_FLAGGED } from "#model/warning.ts";
import { KeptEvents } from "./kept-events.ts";
import type { Moderation } from "./moderation.ts";

const FATE_DUPLICATE = 2;
const FATE_METRIC_REFUSED = 8;

export class JudgedBatch {
  /** Number of the batch that was judged last. */
  batch = -1;
  /** What its tenant is handed. */
  readonly kept = new KeptEvents();
  readonly #moderation: Moderation;
  readonly #batcher: Batcher;

  constructor(moderation: Moderation, batcher: Batcher) {
    this.#moderation = moderation;
    this.#batcher = batcher;
  }

  /** Judges the batch, if its tenant's policy asks for it and it was not judged yet. */
  judge(batch: number, nowMs: number): void {
    const moderation = this.#moderation;
    const batcher = this.#batcher;
    if (!moderation.judgesAnyEvents || this.batch === batch) return;
    const tenant = batcher.batchTenant(batch);
    if (!moderation.judgesEventsOf(tenant)) return;
    const { memory } = batcher;
    const byteOffset = batcher.batchByteOffset(batch);
    moderation.judgeEvents(tenant, batcher.tenantName(tenant), memory, byteOffset, nowMs);
    this.kept.keep(memory, byteOffset, (event) => moderation.actionOf(event) === "block");
    this.batch = batch;
  }

  /** `fates`: of the events that were kept. What is called gets the event's place in the batch. */
  settle(
    fates: Uint8Array,
    warn: (event: number, warning: number) => void,
    hold: (event: number) => void,
  ): void {
    const moderation = this.#moderation;
    const duplicates = new Set<number>();
    for (let handed = 0; handed < this.kept.eventCount; handed++) {
      const kind = fates[handed]! & ~FATE_METRIC_REFUSED;
      if (kind === FATE_DUPLICATE) duplicates.add(this.kept.indexOf(handed));
    }
    const eventCount = this.#batcher.batchEventCount(this.batch);
    for (let event = 0; event < eventCount; event++) {
      if (duplicates.has(event)) continue;
      if (moderation.tellEvent(event)) hold(event);
      const action = moderation.actionOf(event);
      if (action === "flag") warn(event, WARNING_MESSAGE_FLAGGED);
      else if (action === "block") warn(event, WARNING_MESSAGE_BLOCKED);
    }
  }
}
