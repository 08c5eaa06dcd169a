// Words and numbers: folded as they are read.
import { DIGIT, HAN, MARK } from "../../sdk/assembly/text/tables.gen";
import { classOf, encode } from "../../sdk/assembly/text/unicode";
import { resolve, SOFT_NONE } from "./disguises";
import { characterAt, isInvisible, small, undressed } from "./letters";
import { ABROAD } from "./lexicon";
import { add, ALONE_COUNT, FORM_BYTES_MAX, FORM_TOP, SPELLED_OUT } from "./reading";
import {
  FLAG_DISGUISED, FLAG_DRAWN_OUT, FLAG_SHOUTED, KIND_NUMBER, KIND_WORD,
} from "./tokens";

/**
 * Reads the word at `p`, with `flags` for its token; returns where the text goes on. Hot, and
 * longer than a function should be: what the loop carries along stays in locals.
 */
export function word(p: usize, end: usize, flags: u32): usize {
  const start = p;
  const form = <usize>load<u32>(FORM_TOP) + 1;
  const limit = form + FORM_BYTES_MAX;
  let w = form;
  let upper: u32 = 0;
  let letters: u32 = 0;
  let digits: u32 = 0;
  let foreign: u32 = 0;
  let symbols: u32 = 0;
  let softAt: usize = SOFT_NONE;
  let softForm: usize = 0;
  let last: u32 = 0;
  let repeats: u32 = 0;
  let stop = p;
  while (p < end) {
    const byte: u32 = load<u8>(p);
    let folded = byte;
    let after = p + 1;
    if (byte - 0x61 < 26) letters++;
    else if (byte - 0x41 < 26) {
      folded = byte | 0x20;
      letters++;
      upper++;
    } else if (byte - 0x30 < 10) digits++;
    else if (byte <= 0x20) break;
    else {
      const character = characterAt(p, end);
      after = p + (character >> 24);
      folded = character & 0xffffff;
      if (folded >= 0x80) {
        if (isInvisible(folded)) {
          if (folded == 0x200d && w == form) break;
          p = after;
          continue;
        }
        const plain = undressed(folded);
        const kind: u32 = plain < 0x80 ? 0 : classOf(plain);
        if (kind == MARK) {
          p = after;
          continue;
        }
        folded = plain;
        if (plain >= 0x80) {
          if (kind < HAN) break;
          if (kind == DIGIT) digits++;
          else letters++;
          folded = small(plain);
          foreign++;
          if (w >= limit - 4) {
            if (kind == HAN) break;
            p = after;
            stop = p;
            continue;
          }
        }
      }
      if (folded < 0x80) {
        if ((folded | 0x20) - 0x61 < 26) {
          letters++;
          folded |= 0x20;
          if (byte >= 0x80) symbols |= 1;
        } else if (folded - 0x30 < 10) digits++;
        else {
          if (!joins(folded, p, after, end, w > form)) break;
          if (folded != 0x27) {
            symbols |= 2;
            if (folded != 0x24 && softAt == SOFT_NONE) {
              softAt = p;
              softForm = w;
            }
            if (folded == 0x23 || folded == 0x25 || folded == 0x5e) folded = 0x2a;
          }
        }
      }
    }
    p = after;
    stop = p;
    if (folded == last && folded != 0x2a) {
      if (++repeats > 1 && (folded - 0x30 >= 10)) {
        flags |= FLAG_DRAWN_OUT;
        continue;
      }
    } else {
      last = folded;
      repeats = 0;
    }
    if (w < limit) w = folded < 0x80 ? put(w, folded) : encode(w, folded);
  }
  if (stop == start) return start + (characterAt(start, end) >> 24);
  const bytes = <u32>(w - form);
  if (upper > 2 && upper == letters) flags |= FLAG_SHOUTED;
  if (letters == 0 && (symbols & 2) == 0) return number(start, stop, form, bytes, flags);
  const token = add(start, stop, form, bytes, KIND_WORD, flags);
  if (bytes == 1) store<u32>(ALONE_COUNT, load<u32>(ALONE_COUNT) + 1);
  const isKnown = (token.classes & ~ABROAD) != 0;
  if (isKnown && foreign == 0 && (symbols & 2) == 0) {
    if ((symbols & 1) != 0) token.flags |= <u8>FLAG_DISGUISED;
    return stop;
  }
  if (digits != 0 || symbols != 0 || foreign != 0 || !isKnown) {
    const cutAt = resolve(token, letters, digits, foreign, symbols, softAt, softForm);
    // A sign in the word was just a sign: the text goes on there.
    if (cutAt != SOFT_NONE) return cutAt;
  }
  return stop;
}

@inline
function put(w: usize, byte: u32): usize {
  store<u8>(w, byte);
  return w + 1;
}

/** Whether a sign belongs to the word around it. */
function joins(sign: u32, p: usize, after: usize, end: usize, isInside: bool): bool {
  if (sign == 0x24) return true;
  if (!isInside || after > end) return false;
  const next: u32 = after < end ? <u32>load<u8>(after) : 0x20;
  const isLetter = (next | 0x20) - 0x61 < 26 || next - 0x30 < 10 || next >= 0xc0;
  if (sign == 0x2a) return true;
  if (sign == 0x27 || sign == 0x21 || sign == 0x7c || sign == 0x40 || sign == 0x2b) return isLetter;
  if (sign != 0x23 && sign != 0x25 && sign != 0x5e) return false;
  // "f#ck", not "c#" or "50%".
  const before: u32 = load<u8>(p - 1);
  return (next | 0x20) - 0x61 < 26 && ((before | 0x20) - 0x61 < 26 || before == 0x2a);
}

/** Long numbers are all alike; short ones may be codes. */
function number(start: usize, stop: usize, form: usize, bytes: u32, flags: u32): usize {
  if (bytes > 4 && load<u32>(SPELLED_OUT) == 0) {
    store<u32>(form, 0x23232323);
    bytes = 4;
  }
  add(start, stop, form, bytes, KIND_NUMBER, flags);
  if (bytes == 1) store<u32>(ALONE_COUNT, load<u32>(ALONE_COUNT) + 1);
  return stop;
}
