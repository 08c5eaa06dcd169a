// A timeline with nothing around it, for the property test against a list of all events.
import { STATE_ADDRESS } from "../arena";
import { Timeline, TIMELINE_BYTES, WEIGHTS_BYTES } from "../sketches/timeline";

const WEIGHTS: usize = STATE_ADDRESS + 4096;

export function open(): void {
  memory.fill(STATE_ADDRESS, 0, TIMELINE_BYTES);
  memory.fill(WEIGHTS, 0, WEIGHTS_BYTES);
  // Canaries behind both.
  store<u64>(STATE_ADDRESS + TIMELINE_BYTES, 0xc0ffee);
  store<u64>(WEIGHTS + WEIGHTS_BYTES, 0xc0ffee);
}

export function add(events: u32, weight: u32, pane: u32, current: u32): void {
  timeline().add(events, weight, pane, current, WEIGHTS);
}

export function roll(current: u32): void {
  timeline().roll(current, WEIGHTS);
}

export function count(span: u32): f64 {
  return timeline().count(span);
}

export function weight(span: u32): f64 {
  return timeline().weight(span, WEIGHTS);
}

export function startMs(span: u32): f64 {
  return timeline().startMs(span);
}

/** Whether nothing was written beyond the timeline and its weights, nor there without need. */
export function isTidy(): bool {
  if (load<u64>(STATE_ADDRESS + TIMELINE_BYTES) != 0xc0ffee) return false;
  if (load<u64>(WEIGHTS + WEIGHTS_BYTES) != 0xc0ffee) return false;
  if (timeline().uneven != 0) return true;
  for (let at: u32 = 0; at < WEIGHTS_BYTES; at += 4) if (load<u32>(WEIGHTS + at) != 0) return false;
  return true;
}

function timeline(): Timeline {
  return changetype<Timeline>(STATE_ADDRESS);
}
