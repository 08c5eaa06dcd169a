// Count, mean, variance, least and greatest of a stream, in 40 bytes.
//
// Adding is Welford's step, merging is Chan's: both keep the sum of squared distances from the mean
// (m2), never the sum of squares, so a large mean does not drown a small spread. A sample of weight
// w stands for w equal samples. Merging is commutative, and associative but for rounding. A part
// may not know its least or greatest (they are +inf and -inf): then the merged one is the other's.
//
// Error: that of f64 arithmetic, a relative 1e-16 or so a step. Values beyond 1e154 have squares
// that are no numbers; m2 then stays at the greatest number there is, and never becomes NaN.
//
// Sources: Welford 1962; Chan, Golub, LeVeque 1979. All zero is empty.

@unmanaged
export class Moments {
  count: f64;
  mean: f64;
  m2: f64;
  min: f64;
  max: f64;

  /** Hot. `value` is finite, `weight` above 0. */
  // @ts-ignore: decorator
  @inline
  add(value: f64, weight: f64): void {
    const count = this.count + weight;
    if (this.count == 0) {
      this.mean = value;
      this.min = value;
      this.max = value;
    } else {
      const delta = value - this.mean;
      const mean = this.mean + delta * (weight / count);
      const m2 = this.m2 + weight * delta * (value - mean);
      if (abs<f64>(m2) <= f64.MAX_VALUE) {
        this.mean = mean;
        this.m2 = m2;
      } else {
        this.addHuge(value, weight / count);
      }
      // Not f64's min and max: that a sample is neither is foreseen, what they choose is not.
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
    }
    this.count = count;
  }

  merge(other: Moments): void {
    if (other.count == 0) return;
    if (this.count == 0) {
      memory.copy(changetype<usize>(this), changetype<usize>(other), offsetof<Moments>());
      return;
    }
    const count = this.count + other.count;
    const share = other.count / count;
    const delta = other.mean - this.mean;
    const mean = this.mean + delta * share;
    const m2 = this.m2 + other.m2 + delta * delta * this.count * share;
    if (abs<f64>(m2) <= f64.MAX_VALUE) {
      this.mean = mean;
      this.m2 = m2;
    } else {
      this.addHuge(other.mean, share);
    }
    this.count = count;
    this.min = min<f64>(this.min, other.min);
    this.max = max<f64>(this.max, other.max);
  }

  /** Empty, and without a least or greatest yet. */
  clear(): void {
    memory.fill(changetype<usize>(this), 0, offsetof<Moments>());
  }

  get sum(): f64 {
    const sum = this.mean * this.count;
    return max<f64>(-f64.MAX_VALUE, min<f64>(sum, f64.MAX_VALUE));
  }

  /** Of the samples themselves, not an estimate for a greater set they were drawn from. */
  get deviation(): f64 {
    return this.count == 0 ? 0 : sqrt<f64>(this.m2 / this.count);
  }

  /** The squares have left the numbers, and perhaps the difference too; a share of each has not. */
  private addHuge(mean: f64, share: f64): void {
    this.mean = this.mean * (1 - share) + mean * share;
    this.m2 = f64.MAX_VALUE;
  }
}
