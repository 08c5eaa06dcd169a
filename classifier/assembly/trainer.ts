// Training of the classifier's linear heads: adagrad over sparse rows, one example after the other,
// with feature dropout. Compiled and driven by scripts/classifier/train.ts, never shipped. In Wasm
// because IEEE arithmetic and this file's own `exp` give the same weights on every machine, and
// because eight lanes are two vectors.
//
// A table has a row of 8 (messages) or 16 (replies) f32 for each bucket and as many sums of squared
// slopes beside. An example is a range of entries { u32 bucket, f32 value }, 16 f32 labels (below 0:
// nobody said), a weight and a kind of conversation (below 0: none). Bias is the row after the last.
//
// The last lanes of a reply row multiply: the sums over what was said before (entries with the
// highest bit of the bucket set) times those over the answer, lane by lane. So it is learned which
// answers go with what, without a feature for every pair. They begin at small numbers that depend on
// the cell alone, and cells that were never met end at 0. Factors of two seeds mean nothing to each
// other, so tables to be averaged are trained over the same ones, which `freeze` keeps as they are.

const EPSILON: f32 = 1e-3;
/** Lanes of the reply table: unsafe, then the gate, then an expert for each kind. */
const KINDS: i32 = 5;
const GATE: i32 = 1;
const EXPERT: i32 = 6;
const PRODUCT: i32 = 11;
const LANES: i32 = 16;
const START: f32 = 0.15;
const BEFORE: u32 = 0x80000000;

let tableAt: usize = 0;
let squaresAt: usize = 0;
let buckets: u32 = 0;
let rowBytes: usize = 0;
let offsetsAt: usize = 0;
let entriesAt: usize = 0;
let labelsAt: usize = 0;
let weightsAt: usize = 0;
let kindsAt: usize = 0;
let keptAt: usize = 0;
let random: u32 = 1;
let isFrozen: bool = false;

const sums = memory.data(64, 16);
const slopes = memory.data(64, 16);
/** Sums of lanes 8 to 15 over what was said before, and the slopes of its entries. */
const befores = memory.data(32, 16);
const beforeSlopes = memory.data(32, 16);
/** The factors of the answer. */
const factors = memory.data(32, 16);
const gates = memory.data(48, 16);

export function useTable(table: usize, squares: usize, rows: u32, lanes: u32): void {
  tableAt = table;
  squaresAt = squares;
  buckets = rows;
  rowBytes = <usize>lanes << 2;
  memory.fill(table, 0, <usize>(rows + 1) * rowBytes);
  const end = squares + <usize>(rows + 1) * rowBytes;
  for (let at = squares; at < end; at += 16) v128.store(at, f32x4.splat(EPSILON));
  if (lanes != LANES) return;
  for (let row: u32 = 0; row < rows; row++) {
    for (let lane = PRODUCT; lane < LANES; lane++) {
      let hash = (row * LANES + lane) * 0x9e3779b1;
      hash = (hash ^ (hash >>> 15)) * 0x85ebca6b;
      hash ^= hash >>> 13;
      const unit = <f32>hash / 4294967296.0 - 0.5;
      store<f32>(table + <usize>row * rowBytes + (<usize>lane << 2), <f32>(2 * START) * unit);
    }
  }
}

/** Cells that no example had still hold what they began with. */
export function finish(): void {
  if (rowBytes != 64 || isFrozen) return;
  for (let row: u32 = 0; row < buckets; row++) {
    for (let lane = PRODUCT; lane < LANES; lane++) {
      const offset = <usize>row * rowBytes + (<usize>lane << 2);
      if (load<f32>(squaresAt + offset) == EPSILON) store<f32>(tableAt + offset, 0);
    }
  }
}

export function useExamples(
  offsets: usize, entries: usize, labels: usize, weights: usize, kinds: usize, kept: usize,
): void {
  offsetsAt = offsets;
  entriesAt = entries;
  labelsAt = labels;
  weightsAt = weights;
  kindsAt = kinds;
  keptAt = kept;
}

/** Whether the lanes that multiply stay as they are. */
export function freeze(frozen: bool): void {
  isFrozen = frozen;
}

export function seed(value: u32): void {
  random = value | 1;
}

/** Address of the 16 sums that `forward` leaves. */
export function sumsAt(): usize {
  return sums;
}

/** Sums of the rows of one example, bias included. */
export function forward(example: u32): void {
  const from = load<u32>(offsetsAt + (<usize>example << 2));
  const to = load<u32>(offsetsAt + (<usize>(example + 1) << 2));
  sum(entriesAt + (<usize>from << 3), to - from);
}

/**
 * One pass over `count` examples in the order of the list; `drop` of 2^32 is the share of features
 * left out each time. Returns the mean loss.
 */
export function epoch(order: usize, count: u32, rate: f32, decay: f32, drop: u32): f64 {
  const isReply = rowBytes == 64;
  const scale: f32 = 1 / (1 - <f32>drop / 4294967296.0);
  let loss: f64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const example = load<u32>(order + (<usize>index << 2));
    const kept = keep(example, drop, scale);
    sum(keptAt, kept);
    const weight = load<f32>(weightsAt + (<usize>example << 2));
    loss += isReply ? replySlopes(example, weight) : messageSlopes(example, weight);
    step(keptAt, kept, rate, decay);
  }
  return loss / <f64>count;
}

/** Copies the features that stay to the list at `keptAt`; how many there are. */
function keep(example: u32, drop: u32, scale: f32): u32 {
  const from = load<u32>(offsetsAt + (<usize>example << 2));
  const to = load<u32>(offsetsAt + (<usize>(example + 1) << 2));
  let count: u32 = 0;
  for (let entry = from; entry < to; entry++) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    if (random < drop) continue;
    const source = entriesAt + (<usize>entry << 3);
    const target = keptAt + (<usize>count << 3);
    store<u32>(target, load<u32>(source));
    store<f32>(target, load<f32>(source, 4) * scale, 4);
    count++;
  }
  return count;
}

function sum(entries: usize, count: u32): void {
  const bias = tableAt + <usize>buckets * rowBytes;
  let a = v128.load(bias);
  let b = v128.load(bias, 16);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  let c2 = f32x4.splat(0);
  let d2 = f32x4.splat(0);
  const isWide = rowBytes == 64;
  if (isWide) {
    c = v128.load(bias, 32);
    d = v128.load(bias, 48);
  }
  const end = entries + (<usize>count << 3);
  for (let at = entries; at < end; at += 8) {
    const bucket = load<u32>(at);
    const row = tableAt + <usize>(bucket & ~BEFORE) * rowBytes;
    const value = f32x4.splat(load<f32>(at, 4));
    a = f32x4.add(a, f32x4.mul(value, v128.load(row)));
    b = f32x4.add(b, f32x4.mul(value, v128.load(row, 16)));
    if (!isWide) continue;
    if ((bucket & BEFORE) != 0) {
      c2 = f32x4.add(c2, f32x4.mul(value, v128.load(row, 32)));
      d2 = f32x4.add(d2, f32x4.mul(value, v128.load(row, 48)));
      continue;
    }
    c = f32x4.add(c, f32x4.mul(value, v128.load(row, 32)));
    d = f32x4.add(d, f32x4.mul(value, v128.load(row, 48)));
  }
  v128.store(befores, c2);
  v128.store(befores, d2, 16);
  v128.store(factors, c);
  v128.store(factors, d, 16);
  v128.store(sums, a);
  v128.store(sums, b, 16);
  v128.store(sums, f32x4.replace_lane(f32x4.add(c, c2), 3, product(PRODUCT)), 32);
  v128.store(sums, f32x4.mul(d, d2), 48);
}

// @ts-ignore: decorator
@inline
function product(lane: i32): f32 {
  const at = <usize>(lane - 8) << 2;
  return load<f32>(befores + at) * load<f32>(factors + at);
}

function messageSlopes(example: u32, weight: f32): f64 {
  const labels = labelsAt + (<usize>example << 6);
  let loss: f64 = 0;
  for (let lane: usize = 0; lane < 32; lane += 4) {
    const label = load<f32>(labels + lane);
    if (label < 0) {
      store<f32>(slopes + lane, 0);
      continue;
    }
    const p = sigmoid(<f64>load<f32>(sums + lane));
    store<f32>(slopes + lane, weight * (<f32>p - label));
    loss += <f64>weight * entropy(p, <f64>label);
  }
  return loss;
}

function replySlopes(example: u32, weight: f32): f64 {
  softmax();
  let logit = <f64>load<f32>(sums);
  for (let kind = 0; kind < KINDS; kind++) {
    logit += load<f64>(gatesAt(kind)) * <f64>load<f32>(sums + (<usize>(EXPERT + kind) << 2));
  }
  for (let lane = PRODUCT; lane < LANES; lane++) logit += <f64>load<f32>(sums + (<usize>lane << 2));
  const label = load<f32>(labelsAt + (<usize>example << 6));
  const truth = load<i32>(kindsAt + (<usize>example << 2));
  const p = sigmoid(logit);
  const slope = weight * (<f32>p - label);
  memory.fill(slopes, 0, 64);
  store<f32>(slopes, slope);
  for (let kind = 0; kind < KINDS; kind++) {
    const gate = <f32>load<f64>(gatesAt(kind));
    store<f32>(slopes + (<usize>(EXPERT + kind) << 2), slope * gate);
    if (truth < 0) continue;
    store<f32>(slopes + (<usize>(GATE + kind) << 2), gate - (kind == truth ? <f32>1 : <f32>0));
  }
  memory.copy(beforeSlopes, slopes + 32, 32);
  if (isFrozen) return <f64>weight * entropy(p, <f64>label);
  for (let lane = PRODUCT; lane < LANES; lane++) {
    const at = <usize>(lane - 8) << 2;
    store<f32>(slopes + 32 + at, slope * load<f32>(befores + at));
    store<f32>(beforeSlopes + at, slope * load<f32>(factors + at));
  }
  return <f64>weight * entropy(p, <f64>label);
}

function gatesAt(kind: i32): usize {
  return gates + (<usize>kind << 3);
}

function softmax(): void {
  let total: f64 = 0;
  for (let kind = 0; kind < KINDS; kind++) {
    const raw = <f64>load<f32>(sums + (<usize>(GATE + kind) << 2));
    const power = Math.exp(Math.min(30, raw));
    store<f64>(gatesAt(kind), power);
    total += power;
  }
  for (let kind = 0; kind < KINDS; kind++) {
    store<f64>(gatesAt(kind), load<f64>(gatesAt(kind)) / total);
  }
}

function step(entries: usize, count: u32, rate: f32, decay: f32): void {
  const a = v128.load(slopes);
  const b = v128.load(slopes, 16);
  const c = v128.load(slopes, 32);
  const d = v128.load(slopes, 48);
  const c2 = v128.load(beforeSlopes);
  const d2 = v128.load(beforeSlopes, 16);
  const isWide = rowBytes == 64;
  const end = entries + (<usize>count << 3);
  for (let at = entries; at < end; at += 8) {
    const bucket = load<u32>(at);
    const isBefore = (bucket & BEFORE) != 0;
    const offset = <usize>(bucket & ~BEFORE) * rowBytes;
    const value = f32x4.splat(load<f32>(at, 4));
    descend(offset, f32x4.mul(a, value), rate, decay);
    descend(offset + 16, f32x4.mul(b, value), rate, decay);
    if (!isWide) continue;
    const first = tableAt + offset + (<usize>PRODUCT << 2);
    const kept = load<f32>(first);
    descend(offset + 32, f32x4.mul(isBefore ? c2 : c, value), rate, decay);
    if (isFrozen) store<f32>(first, kept);
    else descend(offset + 48, f32x4.mul(isBefore ? d2 : d, value), rate, decay);
  }
  const bias = <usize>buckets * rowBytes;
  descend(bias, a, rate, 0);
  descend(bias + 16, b, rate, 0);
  if (!isWide) return;
  descend(bias + 32, c, rate, 0);
  descend(bias + 48, d, rate, 0);
}

// @ts-ignore: decorator
@inline
function descend(offset: usize, slope: v128, rate: f32, decay: f32): void {
  const cell = tableAt + offset;
  const square = squaresAt + offset;
  const weight = v128.load(cell);
  const full = f32x4.add(slope, f32x4.mul(f32x4.splat(decay), weight));
  const total = f32x4.add(v128.load(square), f32x4.mul(full, full));
  v128.store(square, total);
  const move = f32x4.div(f32x4.mul(f32x4.splat(rate), full), f32x4.sqrt(total));
  v128.store(cell, f32x4.sub(weight, move));
}

function sigmoid(logit: f64): f64 {
  return 1 / (1 + Math.exp(-logit));
}

function entropy(p: f64, label: f64): f64 {
  return -(label * Math.log(p + 1e-7) + (1 - label) * Math.log(1 - p + 1e-7));
}
