// One metric over one span as it travels, and what is reported of it.
//
//   0  u16 bytes of the name        8  f64 count      40 f64 least
//   2  u16 flags                    16 f64 sum        48 f64 greatest
//   4  u32 bins                     24 f64 mean       56 f64 count of zeros
//                                   32 f64 m2         64 f64 collapsed below
//   72 name, padded to 8; then bins { i32 index of dd-sketch.ts, u32 0, f64 count }, ascending
//
// Where `collapsedBelow` is a number it is the upper end of the lowest bin (that of the zeros is
// 0), and the bin stands for all at or below it; else it is -infinity.
import { Moments } from "./moments";
import { QUANTILE_BYTES, QuantileAnswer, QUANTILES } from "./quantile-ranks";

export const METRIC_HEADER_BYTES: u32 = 72;
export const BIN_BYTES: u32 = 16;
/** A section of metrics begins with u32 their number, u32 0. */
export const SECTION_HEADER_BYTES: u32 = 8;
/** Flag: the window reaches less far back than it should. */
export const METRIC_SHORTENED: u32 = 1;
/** Flag: the bins are pairs of bins (dd-sketch.ts), with even indices. */
export const METRIC_PAIRS: u32 = 2;

@unmanaged
export class PortableMetric {
  nameBytes: u16;
  flags: u16;
  binCount: u32;
  count: f64;
  sum: f64;
  mean: f64;
  m2: f64;
  min: f64;
  max: f64;
  zeroCount: f64;
  collapsedBelow: f64;

  /** Of its bins, in bins of dd-sketch.ts. */
  get width(): i32 {
    return <u32>this.flags & METRIC_PAIRS ? 2 : 1;
  }

  get name(): u32 {
    return <u32>changetype<usize>(this) + METRIC_HEADER_BYTES;
  }

  get bins(): u32 {
    return this.name + ((<u32>this.nameBytes + 7) & ~7);
  }

  get end(): u32 {
    return this.bins + this.binCount * BIN_BYTES;
  }

  open(name: u32, nameBytes: u32, bins: u32): void {
    this.nameBytes = <u16>nameBytes;
    this.flags = 0;
    this.binCount = bins;
    this.zeroCount = 0;
    this.collapsedBelow = -Infinity;
    memory.fill(this.name, 0, this.bins - this.name);
    memory.copy(this.name, name, nameBytes);
  }

  setMoments(moments: Moments): void {
    this.count = moments.count;
    this.sum = moments.sum;
    this.mean = moments.mean;
    this.m2 = moments.m2;
    this.min = moments.min;
    this.max = moments.max;
  }

  moments(to: Moments): void {
    to.count = this.count;
    to.mean = this.mean;
    to.m2 = this.m2;
    to.min = this.min;
    to.max = this.max;
  }
}

@unmanaged
export class MetricReport {
  name: u32;
  nameBytes: u32;
  /** 1: the window reaches less far back than it should. */
  isShortened: u32;
  _reserved: u32;
  count: f64;
  sum: f64;
  mean: f64;
  deviation: f64;
  min: f64;
  max: f64;
  relativeError: f64;
  /** Quantiles at or below are only known to be at most it; -infinity: none. */
  collapsedBelow: f64;

  setMoments(moments: Moments): void {
    this.count = moments.count;
    this.sum = moments.sum;
    this.mean = moments.mean;
    this.deviation = moments.deviation;
    this.min = moments.min;
    this.max = moments.max;
  }

  /** The answer for 0.5, 0.9, 0.99, 0.999. */
  quantile(index: u32): QuantileAnswer {
    const first = changetype<usize>(this) + offsetof<MetricReport>();
    return changetype<QuantileAnswer>(first + index * QUANTILE_BYTES);
  }
}

export const METRIC_REPORT_BYTES: u32 = <u32>offsetof<MetricReport>() + QUANTILES * QUANTILE_BYTES;

/** The order of bytes; a name comes before what it begins. */
export function compareNames(left: usize, leftBytes: u32, right: usize, rightBytes: u32): i32 {
  const order = memory.compare(left, right, min(leftBytes, rightBytes));
  return order != 0 ? order : <i32>leftBytes - <i32>rightBytes;
}
