// e^x and e^x - 1 without tables: the language's own bring 6 KiB of them, and the low page is small.
// Only the four operations are used, so all hosts agree on every bit.

/**
 * e^x for -690 < x < 709, to 1e-15 of it: 2^n times the Taylor series on [-ln 2 / 2, ln 2 / 2]; 0
 * below.
 */
export function exponential(x: f64): f64 {
  if (abs<f64>(x) < 0.01) return exponentialSmall(x);
  if (!(x > -690)) return 0;
  const n = nearest<f64>(x * 1.4426950408889634);
  // ln 2 in two parts: the first has so few bits that its product with n is exact.
  const r = x - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
  return (1 + r * seriesOf(r)) * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** Hot. The first seven terms: what follows is below 1e-17. */
@inline
function exponentialSmall(x: f64): f64 {
  const square = x * x;
  const upper = 1.0 / 24 + x * (1.0 / 120) + square * (1.0 / 720);
  return 1 + x + square * (0.5 + x * (1.0 / 6) + square * upper);
}

/** e^x - 1 for 0 <= x < 709, to 1e-15 of it. */
export function exponentialLessOne(x: f64): f64 {
  return x < 0.34 ? x * seriesOf(x) : exponential(x) - 1;
}

/** (e^r - 1) / r for |r| < 0.35. */
@inline
function seriesOf(r: f64): f64 {
  return (
    1 + r * (1.0 / 2 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 +
    r * (1.0 / 5040 + r * (1.0 / 40320 + r * (1.0 / 362880 + r * (1.0 / 3628800 +
    r * (1.0 / 39916800 + r * (1.0 / 479001600)))))))))))
  );
}
