/**
 * weights.bin: what training writes and the classifier serves; classifier/assembly/index.ts says
 * where things stand in it. Rows are signed bytes with one scale a lane.
 */
import assert from "node:assert/strict";

export const MESSAGE_LOG2 = 19;
export const REPLY_LOG2 = 17;
export const MESSAGE_LANES = 8;
export const REPLY_LANES = 16;
export const PARAMETERS = 512;

export const MESSAGE_SCALE_AT = 0;
export const MESSAGE_BIAS_AT = 8;
export const REPLY_SCALE_AT = 16;
export const REPLY_BIAS_AT = 32;
/** 16 numbers a head: 8 raw scores, then what they are worth. */
export const CALIBRATION_AT = 64;
export const CALIBRATION_STEP = 16;
/** Scales of the groups of features, for the message lanes and for the reply lanes. */
export const MESSAGE_GROUP_SCALES_AT = 256;
export const REPLY_GROUP_SCALES_AT = 264;
export const COMBINED_WEIGHTS_AT = 272;
/** Logits that excused words take away; excuses.ts of the guest says which are. */
export const EXCUSED_LESS_AT = 288;
export const EXCUSED_REPORTED_LESS_AT = 289;

const PARAMETERS_BYTES_AT = 16;
const MESSAGE_ROWS_AT = PARAMETERS_BYTES_AT + PARAMETERS * 8;
const REPLY_ROWS_AT = MESSAGE_ROWS_AT + 2 ** MESSAGE_LOG2 * MESSAGE_LANES;
export const WEIGHTS_BYTES = REPLY_ROWS_AT + 2 ** REPLY_LOG2 * REPLY_LANES;

/** One table as trained: a row for each bucket, then the bias. */
export type Table = { readonly lanes: number; readonly log2: number; readonly cells: Float32Array };

export class Weights {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(WEIGHTS_BYTES)) {
    assert.equal(bytes.length, WEIGHTS_BYTES);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    bytes.set(new TextEncoder().encode("NXW1"));
    this.#view.setUint32(4, MESSAGE_LOG2, true);
    this.#view.setUint32(8, REPLY_LOG2, true);
    this.#view.setUint32(12, PARAMETERS, true);
  }

  parameter(index: number): number {
    return this.#view.getFloat64(PARAMETERS_BYTES_AT + index * 8, true);
  }

  setParameter(index: number, value: number): void {
    assert(index >= 0 && index < PARAMETERS && Number.isFinite(value), `parameter ${index}`);
    this.#view.setFloat64(PARAMETERS_BYTES_AT + index * 8, value, true);
  }

  /** Rounds a table to bytes; one part in 5,000 of the weights is cut off at the ends. */
  setTable(table: Table): void {
    const isReply = table.lanes === REPLY_LANES;
    const rowsAt = isReply ? REPLY_ROWS_AT : MESSAGE_ROWS_AT;
    const rows = new Int8Array(this.bytes.buffer, this.bytes.byteOffset + rowsAt);
    const count = 2 ** table.log2;
    for (let lane = 0; lane < table.lanes; lane++) {
      const scale = scaleOf(table, lane);
      this.setParameter((isReply ? REPLY_SCALE_AT : MESSAGE_SCALE_AT) + lane, scale);
      const bias = table.cells[count * table.lanes + lane]!;
      this.setParameter((isReply ? REPLY_BIAS_AT : MESSAGE_BIAS_AT) + lane, bias);
      for (let row = 0; row < count; row++) {
        const byte = Math.round(table.cells[row * table.lanes + lane]! / scale);
        rows[row * table.lanes + lane] = Math.max(-127, Math.min(127, byte));
      }
    }
  }

  /** A calibration of 8 points, the raw scores rising. */
  setCalibration(head: number, points: readonly (readonly [number, number])[]): void {
    assert.equal(points.length, 8);
    const at = CALIBRATION_AT + head * CALIBRATION_STEP;
    for (const [index, [raw, value]] of points.entries()) {
      this.setParameter(at + index, raw);
      this.setParameter(at + 8 + index, value);
    }
  }
}

function scaleOf(table: Table, lane: number): number {
  const sizes: number[] = [];
  const end = 2 ** table.log2 * table.lanes;
  for (let cell = lane; cell < end; cell += table.lanes) {
    const size = Math.abs(table.cells[cell]!);
    if (size > 0) sizes.push(size);
  }
  const sorted = Float32Array.from(sizes).sort();
  return (sorted[Math.floor(sorted.length * 0.9998)] ?? 1e-6) / 127;
}
