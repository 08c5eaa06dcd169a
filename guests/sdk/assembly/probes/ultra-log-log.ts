// Two UltraLogLogs with nothing around them, for the tests.
import { mark, release, STATE_ADDRESS } from "../arena";
import { widen } from "../sketches/bytes";
import { addUltra, errorUltra, estimateUltra, mergeUltra } from "../sketches/ultra-log-log";

const REGISTERS_MAX: usize = 16384;

/** Address of sketch 0 or 1. */
export function sketch(which: u32): usize {
  return STATE_ADDRESS + <usize>which * REGISTERS_MAX;
}

export function clear(which: u32): void {
  memory.fill(sketch(which), 0, REGISTERS_MAX);
}

export function add(which: u32, p: u32, hash: u64): void {
  addUltra(sketch(which), p, hash);
}

/** Adds `count` users, whose hashes are the numbers from `first` on. */
export function addRange(which: u32, p: u32, first: u32, count: u32): void {
  const registers = sketch(which);
  for (let index: u32 = 0; index < count; index++) addUltra(registers, p, widen(first + index));
}

export function merge(p: u32): void {
  mergeUltra(sketch(0), sketch(1), p);
}

export function estimate(which: u32, p: u32): f64 {
  const before = mark();
  const result = estimateUltra(sketch(which), p);
  if (mark() != before) unreachable();
  release(before);
  return result;
}

export function error(p: u32): f64 {
  return errorUltra(p);
}

export function wide(hash: u32): u64 {
  return widen(hash);
}
