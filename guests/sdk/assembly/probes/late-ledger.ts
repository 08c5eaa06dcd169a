// A ledger with nothing around it, for the test against a list of all late events.
import { STATE_ADDRESS } from "../arena";
import {
  LATE_EXAMPLE_BYTES, LateLedger, LEDGER_HEAD_BYTES,
} from "../sketches/late-ledger";

/** Where the test puts an id. */
export const ID_ADDRESS: usize = 0x8000;

export function open(examples: u32): void {
  memory.fill(STATE_ADDRESS, 0, 1024);
  store<u64>(STATE_ADDRESS + LEDGER_HEAD_BYTES + LATE_EXAMPLE_BYTES * examples, 0xc0ffee);
}

export function isTidy(examples: u32): bool {
  return load<u64>(STATE_ADDRESS + LEDGER_HEAD_BYTES + LATE_EXAMPLE_BYTES * examples) == 0xc0ffee;
}

export function add(
  tsMs: f64, asOfMs: f64, events: u32, pane: u32, current: u32, idBytes: u32, examples: u32,
): void {
  ledger().add(tsMs, asOfMs, events, pane, current, ID_ADDRESS, idBytes, examples);
}

export function count(): f64 {
  return ledger().count;
}

export function lateByMsMax(): f64 {
  return ledger().lateByMsMax;
}

export function countedInLonger(): f64 {
  return ledger().countedInLonger;
}

export function byLateness(index: u32): f64 {
  return ledger().byLateness(index);
}

export function exampleCount(examples: u32): u32 {
  return ledger().exampleCount(examples);
}

export function exampleTsMs(index: u32): f64 {
  return ledger().example(index).tsMs;
}

export function exampleLateByMs(index: u32): f64 {
  return ledger().example(index).lateByMs;
}

export function exampleId(index: u32): usize {
  return ledger().example(index).id;
}

export function exampleIdBytes(index: u32): u32 {
  return ledger().example(index).idBytes;
}

export function exampleIsCut(index: u32): bool {
  return ledger().example(index).isCut;
}

function ledger(): LateLedger {
  return changetype<LateLedger>(STATE_ADDRESS);
}
