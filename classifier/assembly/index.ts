// The weights of the embedded classifier as pure functions. The host puts weights.bin at address 0
// of a memory that it shares between its threads, and binds these exports straight to the imports
// of the tenants' moderators (wit/moderator.wit, interface `classifier`). Nothing here writes, so
// nothing can pass from one tenant to another; the memory has no data segment of this module.
//
// weights.bin, little-endian: 0 "NXW1" | 4 u32 log2 of the message rows | 8 u32 log2 of the reply
// rows | 12 u32 parameters | 16 f64 each | message rows of 8 i8 | reply rows of 16 i8. The counts
// are constants here and in scripts/classifier/weights.ts; the host checks the head of the file.

const MESSAGE_ROWS: u32 = 1 << 19;
const REPLY_ROWS: u32 = 1 << 17;
const PARAMETERS: u32 = 512;

const PARAMETERS_AT: usize = 16;
const MESSAGE_ROWS_AT: usize = PARAMETERS_AT + (<usize>PARAMETERS << 3);
const REPLY_ROWS_AT: usize = MESSAGE_ROWS_AT + (<usize>MESSAGE_ROWS << 3);

/** Eight weights of a feature of one message; lane n is byte n. */
export function messageRow(bucket: u32): u64 {
  return load<u64>(MESSAGE_ROWS_AT + (<usize>(bucket & (MESSAGE_ROWS - 1)) << 3));
}

/** Eight of the sixteen weights of a feature of a message as an answer; `half` is 0 or 1. */
export function replyRow(bucket: u32, half: u32): u64 {
  const row = <usize>(bucket & (REPLY_ROWS - 1)) << 4;
  return load<u64>(REPLY_ROWS_AT + row + (<usize>(half & 1) << 3));
}

/** Scales, biases and calibration; 0 for what is not there. */
export function parameter(index: u32): f64 {
  return index < PARAMETERS ? load<f64>(PARAMETERS_AT + (<usize>index << 3)) : 0;
}
