// Sections of metrics: what a tenant hands out, merged, is what one stream would have given.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { checkReport, MetricsOracle, normal, probe, readReport } from "./testing/metrics-oracle.ts";

type Sample = { readonly pane: number; readonly value: number; readonly weight: number };
type Tenant = { readonly section: Uint8Array; readonly samples: ReadonlyMap<string, Sample[]> };

const BINS_MANY = 4096;
const NAMES = ["latency", "size", "a", "temperature"];

function memory(): Uint8Array {
  return new Uint8Array(probe.memory.buffer);
}

function encode(span: number, bins: number): Uint8Array {
  const at = probe.encode(span, bins);
  const view = new DataView(probe.memory.buffer, at - 8);
  const bytes = view.getUint32(0, true);
  assert.equal(view.getUint32(4, true), bytes, "as many bytes as were announced");
  const section = memory().slice(at, at + bytes);
  probe.forget();
  return section;
}

function put(section: Uint8Array): number {
  const at = probe.place(section.length);
  memory().set(section, at);
  return at;
}

function isSection(section: Uint8Array): boolean {
  const valid = probe.check(put(section), section.length) !== 0;
  probe.forget();
  return valid;
}

function merge(left: Uint8Array, right: Uint8Array): Uint8Array {
  const leftAt = put(left);
  const rightAt = put(right);
  const at = probe.place(left.length + right.length);
  const bytes = probe.merge(leftAt, rightAt, at);
  assert.ok(bytes <= left.length + right.length);
  const merged = memory().slice(at, at + bytes);
  probe.forget();
  assert.ok(isSection(merged));
  return merged;
}

function checkSection(section: Uint8Array, tenants: readonly Tenant[], note: string): number {
  const at = put(section);
  const count = new DataView(section.buffer, section.byteOffset).getUint32(0, true);
  let next = at + 8;
  let flagged = 0;
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    next = probe.reportSection(next);
    const report = readReport(probe.reportAt());
    const samples = tenants.flatMap(({ samples: all }) => all.get(report.name) ?? []);
    flagged += checkReport(report, samples, `${note} ${report.name}`).length;
    names.push(report.name);
  }
  assert.equal(next, at + section.length);
  const wanted = new Set(tenants.flatMap(({ samples }) => [...samples.keys()]));
  assert.deepEqual(names, [...wanted].toSorted());
  probe.forget();
  return flagged;
}

function tenant(seed: number, bins = BINS_MANY): Tenant {
  const random = new Random(seed);
  const oracle = new MetricsOracle(90_000);
  const scale = 10 ** random.below(6);
  for (let step = 0; step < 400; step++) {
    const name = NAMES[random.below(1 + (seed % NAMES.length))]!;
    const value =
      name === "temperature" ? Math.round(normal(random) * 4) : Math.exp(normal(random));
    oracle.add(name, value * scale, { weight: random.chance(1, 20) ? 1000 : 1 });
    if (random.chance(1, 10)) oracle.roll(oracle.current + 1 + random.below(5));
  }
  const samples = new Map(oracle.names.map((name) => [name, oracle.samples(name, 4)]));
  return { section: encode(4, bins), samples };
}

/** Everything but mean and m2, which depend on the order by rounding. */
function withoutRounding(section: Uint8Array): Uint8Array {
  const copy = section.slice();
  const view = new DataView(copy.buffer);
  let at = 8;
  for (let left = view.getUint32(0, true); left > 0; left--) {
    const nameBytes = (view.getUint16(at, true) + 7) & ~7;
    for (const field of [16, 24, 32]) view.setFloat64(at + field, 0, true);
    at += 72 + nameBytes + 16 * view.getUint32(at + 4, true);
  }
  return copy;
}

/** The tenant as one whose region was full: every metric in pairs of bins. */
function paired({ section, samples }: Tenant): Tenant {
  const from = new DataView(section.buffer, section.byteOffset);
  const to = new DataView(new ArrayBuffer(section.length));
  const bytes = new Uint8Array(to.buffer);
  bytes.set(section.subarray(0, 8));
  let at = 8;
  let end = 8;
  for (let left = from.getUint32(0, true); left > 0; left--) {
    const header = 72 + ((from.getUint16(at, true) + 7) & ~7);
    bytes.set(section.subarray(at, at + header), end);
    to.setUint16(end + 2, from.getUint16(at + 2, true) | 2, true);
    const pairs = new Map<number, number>();
    const next = at + header + 16 * from.getUint32(at + 4, true);
    for (let bin = at + header; bin < next; bin += 16) {
      const pair = probe.pair(from.getInt32(bin, true));
      pairs.set(pair, (pairs.get(pair) ?? 0) + from.getFloat64(bin + 8, true));
    }
    to.setUint32(end + 4, pairs.size, true);
    if (from.getFloat64(at + 64, true) !== -Infinity) {
      const hasZero = from.getFloat64(at + 56, true) > 0;
      const lowest = Math.min(...pairs.keys(), ...(hasZero ? [0] : []));
      to.setFloat64(end + 64, probe.pairUpper(lowest), true);
    }
    end += header;
    for (const [pair, count] of pairs) {
      to.setInt32(end, pair, true);
      to.setFloat64(end + 8, count, true);
      end += 16;
    }
    at = next;
  }
  return { section: bytes.slice(0, end), samples };
}

test("pairs of bins merge with bins into pairs, in whatever order", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const bins = seed % 3 === 0 ? 12 : BINS_MANY;
    const [one, two, three] = [tenant(seed), tenant(seed + 50, bins), tenant(seed + 90, bins)];
    const other = paired(two);
    assert.ok(isSection(other.section));
    checkSection(other.section, [two], `seed ${seed}`);
    const pair = merge(one.section, other.section);
    assert.deepEqual(withoutRounding(pair), withoutRounding(merge(other.section, one.section)));
    const left = merge(pair, three.section);
    const right = merge(one.section, merge(other.section, three.section));
    assert.deepEqual(withoutRounding(left), withoutRounding(right));
    checkSection(left, [one, two, three], `seed ${seed}`);
    // Pairs of a merge are the merge of pairs.
    const all = { section: merge(one.section, two.section), samples: one.samples };
    const late = withoutRounding(paired(all).section);
    assert.deepEqual(late, withoutRounding(merge(paired(one).section, other.section)));
  }
});

test("a pair that is none is refused", () => {
  const { section } = paired(tenant(4));
  const first = 8 + 72 + ((new DataView(section.buffer).getUint16(8, true) + 7) & ~7);
  const view = new DataView(section.buffer);
  assert.ok(isSection(section));
  view.setInt32(first, view.getInt32(first, true) - 1, true);
  assert.ok(!isSection(section));
});

test("a section says what the store says", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const one = tenant(seed);
    assert.ok(isSection(one.section));
    assert.equal(checkSection(one.section, [one], `seed ${seed}`), 0);
  }
});

test("a section of few bins keeps the greatest, the count, and says what it gave up", () => {
  let flagged = 0;
  for (let seed = 1; seed <= 8; seed++) {
    for (const bins of [1, 2, 7, 40]) {
      const one = tenant(seed, bins);
      assert.ok(isSection(one.section));
      flagged += checkSection(one.section, [one], `seed ${seed}, ${bins} bins`);
    }
  }
  assert.ok(flagged > 0);
});

test("the greatest number of bins that fits is found", () => {
  tenant(3);
  for (const bytes of [400, 1500, 4000]) {
    const bins = probe.binsMax(4, bytes);
    assert.ok(encode(4, bins).length <= bytes);
    assert.ok(encode(4, bins + 1).length > bytes);
  }
  assert.equal(probe.binsMax(4, 1_000_000), BINS_MANY);
});

test("merging is commutative, associative, has an identity, and loses nothing", () => {
  const nothing = new Uint8Array(8);
  for (let seed = 1; seed <= 12; seed++) {
    const bins = seed % 3 === 0 ? 12 : BINS_MANY;
    const [one, two, three] = [tenant(seed), tenant(seed + 50, bins), tenant(seed + 90)];
    const pair = merge(one.section, two.section);
    assert.deepEqual(withoutRounding(pair), withoutRounding(merge(two.section, one.section)));
    assert.deepEqual(merge(one.section, nothing), one.section);
    assert.deepEqual(merge(nothing, one.section), one.section);
    const left = merge(pair, three.section);
    const right = merge(one.section, merge(two.section, three.section));
    assert.deepEqual(withoutRounding(left), withoutRounding(right));
    checkSection(left, [one, two, three], `seed ${seed}`);
    checkSection(right, [one, two, three], `seed ${seed}`);
  }
});

test("a section that was cut short or damaged is refused, or still a section", () => {
  const { section } = tenant(3);
  for (let bytes = 0; bytes < section.length; bytes++) {
    assert.ok(!isSection(section.slice(0, bytes)), `${bytes} bytes`);
  }
  const random = new Random(5);
  let refused = 0;
  for (let step = 0; step < 3000; step++) {
    const copy = section.slice();
    copy[random.below(copy.length)]! ^= 1 << random.below(8);
    if (isSection(copy)) merge(copy, section);
    else refused += 1;
  }
  assert.ok(refused > 2000, `${refused}`);
});

test("a section with numbers that cannot be is refused", () => {
  const { section } = tenant(4);
  const bins = 8 + 72 + ((new DataView(section.buffer).getUint16(8, true) + 7) & ~7);
  for (const [offset, value] of [
    [8 + 8, NaN],
    [8 + 8, 0],
    [8 + 8, 1e6],
    [8 + 24, Infinity],
    [8 + 32, -1],
    [8 + 40, NaN],
    [8 + 56, -1],
    [8 + 64, 5],
    [8 + 64, NaN],
    [bins + 8, -3],
    [bins + 8, Infinity],
  ] as const) {
    const copy = section.slice();
    new DataView(copy.buffer).setFloat64(offset, value, true);
    assert.ok(!isSection(copy), `${value} at ${offset}`);
  }
});
