// What the table of the 60 s window knows of the minute that its newest pane is in.
//
// Minutes begin with the clock, so the panes of one are a part of the window: from the first of the
// minute to the newest. In them the table knows, by the rules of space-saving.ts restricted to
// these panes, for a key with a slot
//   low   sum of ring[p]
//   high  low + sum of bound[p] for the panes p of the minute before `inserted`, + insertBound if
//         `inserted` is in the minute: nothing, if the key came in before
// and of any key without a slot at most untracked = sum of bound[p]. A bound never falls while its
// pane is in the window, so high - low <= untracked for every slot.
//
// Scratch of one call: 80 bytes, and 5 for a slot. One SIMD pass over at most 12 panes.
import { alloc } from "../arena";
import { levelPane, PANE_BIAS, panesOfLevel, SPAN_TEN_MINUTES } from "../spans";
import { PANES, SpaceSaving } from "./space-saving";
import { COUNT_MAX } from "./term-row";

@unmanaged
export class Minute {
  table: u32;
  firstPane: u32;
  /** At most this many events of any one key without a slot. */
  untracked: u32;
  /** u32[capacity]. */
  lows: u32;
  /** u8[capacity]: whether the slot's key has been dealt with. */
  done: u32;
  // u32[PANES + 1]: sums of the bounds of the panes before each pane of the minute

  @inline
  low(slot: u32): u32 {
    return load<u32>(this.lows + (slot << 2));
  }

  high(slot: u32): u32 {
    const table = changetype<SpaceSaving>(<usize>this.table);
    if (!table.isWhole) return COUNT_MAX;
    const record = table.record(slot);
    const low = this.low(slot);
    if (record.inserted < this.firstPane) return low;
    const before = load<u32>(this.sumAt(record.inserted - this.firstPane));
    return <u32>min<u64>(<u64>low + <u64>before + <u64>record.insertBound, COUNT_MAX);
  }

  @inline
  isDone(slot: u32): bool {
    return load<u8>(this.done + slot) != 0;
  }

  @inline
  setDone(slot: u32): void {
    store<u8>(this.done + slot, 1);
  }

  /** The slot not yet dealt with that has most events, or `count` if none is left with any. */
  largest(count: u32): u32 {
    let best = count;
    let most: u32 = 0;
    for (let slot: u32 = 0; slot < count; slot++) {
      const low = this.low(slot);
      if (low <= most || this.isDone(slot)) continue;
      most = low;
      best = slot;
    }
    return best;
  }

  @inline
  sumAt(index: u32): usize {
    return changetype<usize>(this) + offsetof<Minute>() + (<usize>index << 2);
  }
}

/** Reads the minute of the table's newest pane, into fresh scratch. */
export function readMinute(table: SpaceSaving): Minute {
  const minute = changetype<Minute>(alloc(offsetof<Minute>() + ((PANES + 1) << 2), 16));
  const end = <usize>table.capacity << 2;
  minute.table = <u32>changetype<usize>(table);
  minute.lows = <u32>alloc(end, 16);
  minute.done = <u32>alloc(table.capacity, 16);
  const level = levelPane(SPAN_TEN_MINUTES, table.pane) - PANE_BIAS;
  minute.firstPane = level * panesOfLevel(SPAN_TEN_MINUTES) + PANE_BIAS;
  let bounds: u64 = 0;
  for (let pane = minute.firstPane; pane <= table.pane; pane++) {
    store<u32>(minute.sumAt(pane - minute.firstPane), <u32>min<u64>(bounds, COUNT_MAX));
    bounds += <u64>boundOf(table, pane);
    const cells = table.cell(pane, 0);
    for (let at: usize = 0; at < end; at += 16) {
      const sum = i32x4.add(v128.load(<usize>minute.lows + at), v128.load(cells + at));
      v128.store(<usize>minute.lows + at, sum);
    }
  }
  minute.untracked = table.isWhole ? <u32>min<u64>(bounds, COUNT_MAX) : COUNT_MAX;
  return minute;
}

/** At most this many events of any one key without a slot are in the pane. */
@inline
function boundOf(table: SpaceSaving, pane: u32): u32 {
  const first = changetype<usize>(table) + offsetof<SpaceSaving>("bound0");
  return load<u32>(first + (<usize>(pane % PANES) << 2));
}
