// How fast events come in now: exponentially weighted rates over 10 s, 60 s and 300 s.
//
// Each rate keeps one sum, mass = sum of weight * e^(-age / tau) over all events, brought forward
// whenever time moves; arrivals need not be regular. A steady stream of r a second tends to a mass
// of r * tau; one that began `age` ago has r * tau * (1 - e^(-age / tau)), and the rate is the mass
// divided by just that, so a stream that began 5 s ago shows its whole rate and not a sixth of it.
// That is a rate over 5 s then, whatever its time constant: `overMs` says so.
// The age is taken for at least a second: a single event is not more than one a second.
//
// Time is that of the events, in whole ms, and goes forward only. An event older than the newest
// adds what would be left of it had it come in time, so disorder moves no rate by more than order
// would have. One from up to a minute before the start moves the start back; one from before that
// is not in any rate, because there is no saying for how long there was silence before it.
//
// Exactness: the masses are those of the formula up to rounding, about 1e-13 of their value after
// hours of events; the age of a stream is off by at most 16 ms. e^x comes from a polynomial, not
// from the host, so all hosts agree on every bit. One power serves all three rates, since
// 300 = 5 * 60 = 30 * 10.
//
// Layout: RATES_BYTES = 32, zeros are a stream that has not begun. An update costs one polynomial,
// and nothing but three additions while the time stays the same ms.
// Checked against the sum over all events by guests/sdk/rates.test.ts.
import { exponential } from "./exponential";

export const RATES_BYTES: u32 = 32;
export const RATE_COUNT: u32 = 3;

const TAU_LONG_MS: f64 = 300_000;
const AGE_LEAST_MS: f64 = 1000;
const START_BACK_MAX_MS: f64 = 60_000;
/** From this age on (27 time constants of the longest rate) the start no longer matters. */
const AGE_OLD_MS: f64 = 8_000_000;
const TIME_MAX_MS: f64 = 1e13;

const NEWEST_BITS: u64 = 44;
const NEWEST_MASK: u64 = (1 << 44) - 1;
/**
 * The start is kept in units of 16 ms, modulo 2^19 of them: longer than AGE_OLD_MS and as far as a
 * start is moved back together.
 */
const START_SHIFT: u64 = 4;
const START_MASK: u64 = (1 << 19) - 1;
const OLD: u64 = 1 << 63;

@unmanaged
export class Rates {
  /** The time of the newest event, 44 bits; the start, 19 bits; whether it is long ago, 1 bit. */
  private time: u64;
  private mass10: f64;
  private mass60: f64;
  private mass300: f64;

  /** Hot. Counts `weight` at `tsMs`. */
  add(tsMs: f64, weight: f64): void {
    const ms = wholeMs(tsMs);
    if (!this.isStarted) this.time = timeOf(ms, ms);
    const newest = this.newestMs;
    if (ms > newest) {
      this.moveTo(ms, newest);
    } else if (ms < newest) {
      this.addOld(newest - ms, weight);
      return;
    }
    this.mass10 += weight;
    this.mass60 += weight;
    this.mass300 += weight;
  }

  /** Events a second at `asOfMs`, or at the newest event if that is later. `index`: see tauMs. */
  perSecond(index: u32, asOfMs: f64): f64 {
    if (!this.isStarted) return 0;
    const newest = this.newestMs;
    const since = max<f64>(0, wholeMs(asOfMs) - newest);
    const age = this.toldAgeMs(newest, since);
    const tau = tauMs(index);
    const mass = index == 0 ? this.mass10 : index == 1 ? this.mass60 : this.mass300;
    const whole = (this.time & OLD) != 0 ? 1 : 1 - exponential(-age / tau);
    return (mass * exponential(-since / tau) * 1000) / (tau * whole);
  }

  /** What a rate at `asOfMs` is over: its time constant, or the stream's age while that is less. */
  overMs(index: u32, asOfMs: f64): f64 {
    if (!this.isStarted) return 0;
    if ((this.time & OLD) != 0) return tauMs(index);
    const newest = this.newestMs;
    const since = max<f64>(0, wholeMs(asOfMs) - newest);
    return min<f64>(this.toldAgeMs(newest, since), tauMs(index));
  }

  @inline
  private toldAgeMs(newest: f64, since: f64): f64 {
    return max<f64>(this.ageMs(newest) + since, AGE_LEAST_MS);
  }

  @inline
  private get isStarted(): bool {
    return this.time != 0 || this.mass300 != 0;
  }

  @inline
  private get newestMs(): f64 {
    return <f64>(this.time & NEWEST_MASK);
  }

  /** From the start to the newest event; meaningless once the start is long ago. */
  @inline
  private ageMs(newest: f64): f64 {
    const units = ((<u64>newest >> START_SHIFT) - (this.time >> NEWEST_BITS)) & START_MASK;
    return <f64>((units << START_SHIFT) + (<u64>newest & ((1 << START_SHIFT) - 1)));
  }

  /** Hot. */
  private moveTo(ms: f64, newest: f64): void {
    const kept = exponential((newest - ms) / TAU_LONG_MS);
    const kept60 = power5(kept);
    this.mass300 *= kept;
    this.mass60 *= kept60;
    this.mass10 *= power6(kept60);
    const isOld = (this.time & OLD) != 0 || this.ageMs(newest) + (ms - newest) >= AGE_OLD_MS;
    this.time = (this.time & ~NEWEST_MASK) | <u64>ms | (isOld ? OLD : 0);
  }

  private addOld(backMs: f64, weight: f64): void {
    const newest = this.newestMs;
    if ((this.time & OLD) == 0) {
      const before = backMs - this.ageMs(newest);
      if (before > START_BACK_MAX_MS) return;
      if (before > 0) this.time = timeOf(newest, newest - backMs);
    }
    const kept = exponential(-backMs / TAU_LONG_MS);
    const kept60 = power5(kept);
    this.mass300 += weight * kept;
    this.mass60 += weight * kept60;
    this.mass10 += weight * power6(kept60);
  }
}

/** The time constant of a rate: 10 s, 60 s, 300 s. */
export function tauMs(index: u32): f64 {
  return index == 0 ? 10_000 : index == 1 ? 60_000 : TAU_LONG_MS;
}

@inline
function timeOf(newest: f64, start: f64): u64 {
  return <u64>newest | (((<u64>start >> START_SHIFT) & START_MASK) << NEWEST_BITS);
}

@inline
function wholeMs(ms: f64): f64 {
  return ms > 0 ? floor<f64>(min<f64>(ms, TIME_MAX_MS)) : 0;
}

@inline
function power5(x: f64): f64 {
  const square = x * x;
  return square * square * x;
}

@inline
function power6(x: f64): f64 {
  const cube = x * x * x;
  return cube * cube;
}
