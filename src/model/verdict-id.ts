/**
 * Ids of verdicts: `v_` and 26 characters of Crockford's base 32, which sort as their times do.
 *
 *   10 time, epoch ms   6 number within the thread   2 shard   1 incarnation   7 salt
 *
 * The number counts up and never begins anew, so ids of one thread sort in the order in which they
 * were made even within a millisecond; the salt, random at the start of a process, keeps those of
 * two processes apart.
 */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NUMBER_DIGITS = 6;

export const VERDICT_ID = /^v_[0-9A-HJKMNP-TV-Z]{26}$/;
/** Salts are whole numbers from 0 to below it. */
export const SALT_MAX = 2 ** 35;

export class VerdictIds {
  readonly #suffix: string;
  #timeMs = 0;
  #timeText = base32(0, 10);
  #number = 0;

  constructor({ shard, incarnation, salt }: { shard: number; incarnation: number; salt: number }) {
    this.#suffix = base32(shard % 1024, 2) + base32(incarnation % 32, 1) + base32(salt, 7);
  }

  /** A clock that goes back does not take the ids along. */
  next(nowMs: number): string {
    if (nowMs > this.#timeMs) {
      this.#timeMs = nowMs;
      this.#timeText = base32(nowMs, 10);
    }
    const number = this.#number;
    this.#number += 1;
    if (this.#number === 32 ** NUMBER_DIGITS) {
      // Within one millisecond it cannot come round, so the next one keeps the order.
      this.#number = 0;
      this.#timeMs += 1;
      this.#timeText = base32(this.#timeMs, 10);
    }
    return `v_${this.#timeText}${base32(number, NUMBER_DIGITS)}${this.#suffix}`;
  }
}

function base32(value: number, digitCount: number): string {
  let text = "";
  let rest = value;
  for (let digit = 0; digit < digitCount; digit++) {
    text = DIGITS[rest % 32]! + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
