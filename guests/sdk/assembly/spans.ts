// The windows of a summary and their panes.
//
// A pane is 5 s. A span is a row of level panes, each a whole number of panes, the newest of which
// is still open: it covers between N-1 and N of them. Level pane numbers follow from pane numbers,
// so one number, the pane of an event, says where it belongs in every span.

/** Panes are numbered from here, so that the first window of all time has panes before it. */
export const PANE_BIAS: u32 = 16;
export const PANE_MS: f64 = 5000;

export const SPAN_MINUTE: u32 = 0;
export const SPAN_TEN_MINUTES: u32 = 1;
export const SPAN_HOUR: u32 = 2;
export const SPAN_DAY: u32 = 3;
export const SPAN_ALL: u32 = 4;
export const SPAN_COUNT: u32 = 5;

const SHAPES: usize = memory.data<u32>([1, 12, 12, 10, 60, 12, 1440, 12]);

/** Panes in one level pane of a span below `SPAN_ALL`. */
// @ts-ignore: decorator
@inline
export function panesOfLevel(span: u32): u32 {
  return load<u32>(SHAPES + (span << 3));
}

/** Level panes of a span below `SPAN_ALL`. */
// @ts-ignore: decorator
@inline
export function levelPanes(span: u32): u32 {
  return load<u32>(SHAPES + (span << 3), 4);
}

/** The level pane that holds a pane. */
// @ts-ignore: decorator
@inline
export function levelPane(span: u32, pane: u32): u32 {
  return (pane - PANE_BIAS) / panesOfLevel(span) + PANE_BIAS;
}

/** Epoch ms at which a level pane begins. */
export function levelStartMs(span: u32, pane: u32): f64 {
  return <f64>(pane - PANE_BIAS) * <f64>panesOfLevel(span) * PANE_MS;
}
