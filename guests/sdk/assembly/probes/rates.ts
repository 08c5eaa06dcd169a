// Rates with nothing around them, for the test against a sum over all events.
import { STATE_ADDRESS } from "../arena";
import { exponential as exponentialOf } from "../sketches/exponential";
import { Rates, RATES_BYTES } from "../sketches/rates";

export function open(): void {
  memory.fill(STATE_ADDRESS, 0, RATES_BYTES);
  store<u64>(STATE_ADDRESS + RATES_BYTES, 0xc0ffee);
}

export function add(tsMs: f64, weight: f64): void {
  changetype<Rates>(STATE_ADDRESS).add(tsMs, weight);
}

/** A stream of `count` events at equal distances. */
export function addMany(fromMs: f64, everyMs: f64, count: u32): void {
  for (let index: u32 = 0; index < count; index++) add(fromMs + everyMs * <f64>index, 1);
}

export function perSecond(index: u32, asOfMs: f64): f64 {
  return changetype<Rates>(STATE_ADDRESS).perSecond(index, asOfMs);
}

export function overMs(index: u32, asOfMs: f64): f64 {
  return changetype<Rates>(STATE_ADDRESS).overMs(index, asOfMs);
}

export function exponential(x: f64): f64 {
  return exponentialOf(x);
}

export function isTidy(): bool {
  return load<u64>(STATE_ADDRESS + RATES_BYTES) == 0xc0ffee;
}
