// What is usual for a term, and how far from it the window is.
//
// The baseline of a term is what it did *before* the window: at every roll the pane that leaves the
// window is added to faded sums (half-life PANES_HALF_LIFE panes), so a burst cannot explain itself
// away while it is in the window.
//   past      sum of the counts that left, faded
//   windows   the same sum of the time itself, in windows; one number for the tenant
//   expected  (1 + past) / (1 + windows): the mean of a Gamma(1, 1) prior after that evidence. A
//             new tenant expects 1 of anything; one with a long history 0.12 of a term never seen.
//   recent    the count of about one window before the window (an exponential window)
//   spread    faded sum of (recent - expected)^2: variance = (expected + spread) / (1 + windows),
//             at least Poisson's, which is `expected`
//   significance = (count - max(expected, noise)) / (sigma + noise)     (SigniTrend, KDD'14)
// A term is out of the ordinary if its count has a Poisson tail below TAIL_MAX *and* a significance
// of at least SIGNIFICANCE_MIN, which over-dispersed terms fail. Terms that lose their slot leave
// `past` in a hashed table (two cells each, the larger value stays, the smaller is read): what
// comes back from there is at least what was put in, so a returning term is never taken for a new
// one.

/** 5 minutes of panes of 5 s. */
const FADE: f32 = 0.9885140203528962; // 2^(-1/60)
const WINDOW_FADE: f32 = <f32>(11.0 / 12.0);
const PANES_PER_WINDOW: f32 = 12;
/** PANES_PER_WINDOW * (1 - FADE): what makes a sum of faded panes a number of windows. */
const PANES_TIMES_REST: f32 = 0.1378317557652462;
const TAIL_MAX_LN: f64 = -9.210340371976182; // ln 1e-4
const SIGNIFICANCE_MIN: f64 = 2;

/** What `expected` makes of a faded sum. */
@inline
export function expectedOf(past: f32, windows: f32): f32 {
  return (1 + past) / (1 + windows);
}

/** The least count that is noise in a window of so many events. */
@inline
export function noiseOf(events: f64): f64 {
  return max<f64>(1, events * 0.0005);
}

export function significanceOf(
  count: f64, expected: f64, spread: f64, windows: f64, noise: f64,
): f64 {
  const variance = max<f64>(expected, (expected + spread) / (1 + windows));
  return (count - max<f64>(expected, noise)) / (sqrt<f64>(variance) + noise);
}

export function outOfTheOrdinary(count: f64, expected: f64, significance: f64): bool {
  return significance >= SIGNIFICANCE_MIN && poissonTailLn(count, expected) < TAIL_MAX_LN;
}

/** ln of an upper bound of P(X >= count): the first term times the geometric series of the rest. */
export function poissonTailLn(count: f64, expected: f64): f64 {
  if (count <= expected || count < 1) return 0;
  const first = count * ln(expected) - expected - lnFactorial(count);
  return first - ln(1 - expected / (count + 1));
}

/**
 * One pane leaves: `leaving` are its counts, u32[slots]; `windows` is its value before. Hot, SIMD.
 */
export function rollHistory(
  past: usize, recent: usize, spread: usize, leaving: usize, slots: u32, windows: f32,
): void {
  const share = f32x4.splat(1 / (1 + windows));
  const one = f32x4.splat(1);
  const fade = f32x4.splat(FADE);
  const windowFade = f32x4.splat(WINDOW_FADE);
  const perPane = f32x4.splat(1 / PANES_PER_WINDOW);
  for (let at: usize = 0; at < <usize>slots << 2; at += 16) {
    const counts = f32x4.convert_i32x4_u(v128.load(leaving + at));
    const sum = v128.load(past + at);
    const window = f32x4.add(f32x4.mul(v128.load(recent + at), windowFade), counts);
    const off = f32x4.sub(window, f32x4.mul(f32x4.add(sum, one), share));
    const squares = f32x4.mul(f32x4.mul(off, off), perPane);
    v128.store(recent + at, window);
    v128.store(spread + at, f32x4.add(f32x4.mul(v128.load(spread + at), fade), squares));
    v128.store(past + at, f32x4.add(f32x4.mul(sum, fade), counts));
  }
}

/** `windows` after one more pane of history. */
@inline
export function rollWindows(windows: f32): f32 {
  return windows * FADE + 1 / PANES_PER_WINDOW;
}

/** `panes` empty panes leave at once, in closed form. */
export function fadeHistory(
  past: usize, recent: usize, spread: usize, slots: u32, windowsAfter: f32, panes: u32,
): void {
  const fade = power(FADE, panes);
  const windowFade = power(WINDOW_FADE, panes);
  const time = (<f32>1 - fade) / PANES_TIMES_REST;
  for (let at: usize = 0; at < <usize>slots << 2; at += 4) {
    const sum = load<f32>(past + at) * fade;
    const usual = expectedOf(sum, windowsAfter);
    store<f32>(past + at, sum);
    store<f32>(recent + at, load<f32>(recent + at) * windowFade);
    store<f32>(spread + at, load<f32>(spread + at) * fade + usual * usual * time);
  }
}

/** `windows` after `panes` more panes of history. */
export function fadeWindows(windows: f32, panes: u32): f32 {
  const fade = power(FADE, panes);
  return windows * fade + (<f32>1 - fade) / PANES_TIMES_REST;
}

/** What a term without a slot leaves behind. `cells`: f32[count], count a power of two or 0. */
export function rememberPast(cells: usize, count: u32, hash: u32, past: f32): void {
  if (count == 0) return;
  const first = cells + ((hash & (count - 1)) << 2);
  const second = cells + (((hash >> 16) & (count - 1)) << 2);
  // None is below 0, so their bits are in their order, and comparing those takes no branch.
  const bits = reinterpret<u32>(past);
  store<u32>(first, max<u32>(load<u32>(first), bits));
  store<u32>(second, max<u32>(load<u32>(second), bits));
}

/** At least what the term left behind, less the time since. */
export function recallPast(cells: usize, count: u32, hash: u32): f32 {
  if (count == 0) return 0;
  const first = load<u32>(cells + ((hash & (count - 1)) << 2));
  const second = load<u32>(cells + (((hash >> 16) & (count - 1)) << 2));
  return reinterpret<f32>(min<u32>(first, second));
}

/** `panes` panes pass over the hashed table. */
export function fadePast(cells: usize, count: u32, panes: u32): void {
  const fade = f32x4.splat(power(FADE, panes));
  for (let at: usize = 0; at < <usize>count << 2; at += 16)
    v128.store(cells + at, f32x4.mul(v128.load(cells + at), fade));
}

/**
 * ln x for finite x > 0, to 1e-12: the exponent plus 2 atanh((m - 1) / (m + 1)) of the mantissa.
 */
export function ln(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let exponent = <i32>(bits >> 52) - 1023;
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const z = s * s;
  const series =
    1 + z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z / 13)))));
  return <f64>exponent * 0.6931471805599453 + 2 * s * series;
}

/** Stirling's series; off by less than 1e-3 at 1, by nothing that matters from 2 on. */
function lnFactorial(n: f64): f64 {
  const inverse = 1 / n;
  return (
    n * ln(n) - n + 0.5 * ln(6.283185307179586 * n) +
    inverse * (1.0 / 12 - inverse * inverse * (1.0 / 360))
  );
}

function power(base: f32, exponent: u32): f32 {
  let result: f64 = 1;
  let square: f64 = base;
  while (exponent != 0) {
    if (exponent & 1) result *= square;
    square *= square;
    exponent >>= 1;
  }
  return <f32>result;
}
