// Ranking: the terms of the window in the order in which people want to read them.
//
// Order `trend`: first what passes the gates (significance, Poisson tail, three people), by
// significance * ln(1 + count); then the rest by count, of equals what more people said; @mentions
// last, they say who and not what. Left out are terms that one user alone said SHOUT_COUNT times or
// more, and what says nothing that a neighbour in the list does not: a word that is nearly always
// part of a listed pair, and a pair that is only now and then what its words are about. Order
// `count` leaves nothing out.
import { alloc } from "../../sdk/assembly/arena";
import { allPeople, namedPeople, peopleError } from "../../sdk/assembly/sketches/people";
import { NO_SLOT } from "../../sdk/assembly/sketches/space-saving";
import {
  expectedOf, ln, noiseOf, outOfTheOrdinary, significanceOf,
} from "../../sdk/assembly/sketches/trend";
import { hash32, KIND_BIGRAM, KIND_MENTION } from "../../sdk/assembly/text/tokenize";
import { eventsInWindow, state, table } from "./state";

const PEOPLE_MIN: u32 = 3;
const SHOUT_COUNT: u32 = 8;

/** A term of the window. */
@unmanaged
export class Row {
  slot: u32;
  count: u32;
  /** People with a name, and all with the nameless. */
  named: u32;
  people: u32;
  namedError: f64;
  expected: f64;
  significance: f64;
  score: f64;
  trending: bool;
  leftOut: bool;

  get term(): usize {
    return table().record(this.slot).key;
  }

  get termLen(): u32 {
    return <u32>table().record(this.slot).keyBytes;
  }

  get kind(): u32 {
    return <u32>table().record(this.slot).kind;
  }
}

/** Rows, and addresses of rows in order. Lies in the arena. */
@unmanaged
export class Ranking {
  count: u32;
  rows: u32;
  order: u32;
  /** u32 by slot: address of its row, 0 where the window has none. */
  rowBySlot: u32;

  @inline
  at(rank: u32): Row {
    return changetype<Row>(<usize>load<u32>(this.order + (rank << 2)));
  }

  @inline
  ofSlot(slot: u32): usize {
    return <usize>load<u32>(this.rowBySlot + (slot << 2));
  }
}

/** All terms of the window, in order `trend`; what is left out is marked and comes last. */
export function rankByTrend(userCountMax: u32): Ranking {
  const slots = table();
  const ranking = changetype<Ranking>(alloc(offsetof<Ranking>()));
  ranking.rows = <u32>alloc(slots.count * <u32>offsetof<Row>());
  ranking.order = <u32>alloc(slots.count << 2);
  ranking.rowBySlot = <u32>alloc(slots.capacity << 2);
  const noise = noiseOf(eventsInWindow());
  for (let slot: u32 = 0; slot < slots.count; slot++) {
    if (slots.ownOf(slot) == 0) continue;
    const row = changetype<Row>(<usize>(ranking.rows + ranking.count * <u32>offsetof<Row>()));
    judge(row, slot, noise, userCountMax);
    store<u32>(ranking.order + (ranking.count << 2), <u32>changetype<usize>(row));
    store<u32>(ranking.rowBySlot + (slot << 2), <u32>changetype<usize>(row));
    ranking.count += 1;
  }
  for (let rank: u32 = 0; rank < ranking.count; rank++) thinPair(ranking, ranking.at(rank));
  for (let rank: u32 = 0; rank < ranking.count; rank++) thinWords(ranking, ranking.at(rank));
  sort(ranking, true);
  return ranking;
}

/** The same rows by count alone. */
export function orderByCount(ranking: Ranking): void {
  sort(ranking, false);
}

function judge(row: Row, slot: u32, noise: f64, userCountMax: u32): void {
  const it = state();
  const people = table().record(slot).people;
  const level = <u32>load<u8>(it.peopleLevels + slot);
  row.slot = slot;
  row.count = table().ownOf(slot);
  // An estimate may say more than there can be: each person brought at least one of the count.
  row.named = min(min(namedPeople(people, level), userCountMax), row.count);
  row.people = allPeople(people, level);
  row.namedError = peopleError(people, level);
  row.expected = expectedOf(load<f32>(it.past + (slot << 2)), it.windows);
  row.significance = significanceOf(
    row.count, row.expected, load<f32>(it.spread + (slot << 2)), it.windows, noise,
  );
  row.score = row.significance * ln(1 + <f64>row.count);
  row.trending =
    row.kind != KIND_MENTION && row.people >= PEOPLE_MIN &&
    outOfTheOrdinary(row.count, row.expected, row.significance);
  row.leftOut = row.count >= SHOUT_COUNT && row.people == 1 && row.named == 1;
}

/** Leaves a pair out that is rare among the mentions of its words. */
function thinPair(ranking: Ranking, pair: Row): void {
  if (pair.kind != KIND_BIGRAM) return;
  const first = wordOf(ranking, pair, true);
  const second = wordOf(ranking, pair, false);
  if (pair.count == 1) pair.leftOut = true;
  else if (first == null || second == null) return;
  else if (pair.count * 2 < min(first.count, second.count)) pair.leftOut = true;
}

/** Leaves words out that are nearly always part of a listed pair. */
function thinWords(ranking: Ranking, pair: Row): void {
  if (pair.kind != KIND_BIGRAM || pair.leftOut) return;
  const first = wordOf(ranking, pair, true);
  const second = wordOf(ranking, pair, false);
  if (first != null && covers(pair, first)) first.leftOut = true;
  if (second != null && covers(pair, second)) second.leftOut = true;
}

/** At least 4 of 5 mentions of the word are the pair's, and the pair is no less of a trend. */
function covers(pair: Row, word: Row): bool {
  return <u64>pair.count * 5 >= <u64>word.count * 4 && (pair.trending || !word.trending);
}

/** The row of one of the two words of a pair, which one space parts. */
export function wordOf(ranking: Ranking, pair: Row, first: bool): Row | null {
  const text = pair.term;
  const bytes = pair.termLen;
  let space: u32 = 0;
  while (space < bytes && load<u8>(text + space) != 0x20) space += 1;
  if (space == bytes) return null;
  const word = first ? text : text + space + 1;
  const wordLen = first ? space : bytes - space - 1;
  const slot = table().find(hash32(word, wordLen), word, wordLen);
  return slot == NO_SLOT ? null : changetype<Row | null>(ranking.ofSlot(slot));
}

/** Merges runs of 1, 2, 4 .. rows, from one list of addresses into the other. */
function sort(ranking: Ranking, byTrend: bool): void {
  const count = ranking.count;
  let from: usize = ranking.order;
  let to = alloc(count << 2);
  for (let run: u32 = 1; run < count; run <<= 1) {
    for (let first: u32 = 0; first < count; first += run << 1)
      merge(from, to, first, min(first + run, count), min(first + (run << 1), count), byTrend);
    const merged = to;
    to = from;
    from = merged;
  }
  ranking.order = <u32>from;
}

/** The rows [first, middle) and [middle, end), both in order. */
function merge(
  from: usize, to: usize, first: u32, middle: u32, end: u32, byTrend: bool,
): void {
  let left = first;
  let right = middle;
  for (let next = first; next < end; next++) {
    const takesRight =
      left == middle || (right < end && isBefore(rowAt(from, right), rowAt(from, left), byTrend));
    const row = takesRight ? right++ : left++;
    store<u32>(to + (<usize>next << 2), load<u32>(from + (<usize>row << 2)));
  }
}

@inline
function rowAt(order: usize, rank: u32): Row {
  return changetype<Row>(<usize>load<u32>(order + (<usize>rank << 2)));
}

function isBefore(left: Row, right: Row, byTrend: bool): bool {
  if (byTrend) {
    const leftClass = classOf(left);
    const rightClass = classOf(right);
    if (leftClass != rightClass) return leftClass < rightClass;
    if (left.trending && left.score != right.score) return left.score > right.score;
  }
  if (left.count != right.count) return left.count > right.count;
  if (byTrend && left.people != right.people) return left.people > right.people;
  if (left.significance != right.significance) return left.significance > right.significance;
  const leftPane = table().record(left.slot).inserted;
  const rightPane = table().record(right.slot).inserted;
  if (leftPane != rightPane) return leftPane < rightPane;
  return left.slot < right.slot;
}

@inline
function classOf(row: Row): u32 {
  if (row.leftOut) return 3;
  if (row.trending) return 0;
  return row.kind == KIND_MENTION ? 2 : 1;
}
