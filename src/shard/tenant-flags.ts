/** Bits of a tenant's flags in the batcher. */
import type { Clock } from "#model/tenant.ts";
import { ALL_SPANS, withAlways } from "#model/window.ts";

const TENANT_EVENT_CLOCK = 1;
export const TENANT_QUARANTINED = 2;
/** Nothing of it is left in this thread but its number. */
export const TENANT_DELETING = 32;
/** From here on a bit for each span after the first that the tenant does not keep. */
const SPANS_OFF_BIT = 2;
const SPANS_OFF_MAX = 7;

/** The set of spans that a tenant keeps: all of them, unless its flags say otherwise. */
export function spansOfFlags(flags: number): number {
  return withAlways(ALL_SPANS & ~(((flags >> SPANS_OFF_BIT) & SPANS_OFF_MAX) << 1));
}

function flagsOfSpans(spans: number): number {
  return ((~withAlways(spans) >> 1) & SPANS_OFF_MAX) << SPANS_OFF_BIT;
}

/** What the tenant's component is told. */
export function settingsOfFlags(flags: number): { clock: Clock; spans: number } {
  const clock = (flags & TENANT_EVENT_CLOCK) !== 0 ? "event" : "wall";
  return { clock, spans: spansOfFlags(flags) };
}

export function flagsOfSettings({ clock, spans }: { clock: Clock; spans: number }): number {
  return (clock === "event" ? TENANT_EVENT_CLOCK : 0) | flagsOfSpans(spans);
}
