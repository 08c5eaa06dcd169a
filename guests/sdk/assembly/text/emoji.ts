// Emoji: one term for what is one picture. Sequences joined by U+200D, skin tones, flags, keycaps,
// tag sequences. A picture that is text by default always carries its U+FE0F in the term, others
// never, so that both ways to type it are one term.
import { BREAK, EMOJI, EMOJI_TEXT, IGNORED } from "./tables.gen";
import { hashFolded } from "./hash";
import { addAside } from "./fingerprint";
import { classOf, decode, encode } from "./unicode";
import { emit, KIND_EMOJI, TERM_BYTES_MAX } from "./terms";
import { STATE, NEXT, FOLDED, TEXT, unlink } from "./state";

const JOINER: u32 = 0x200d;
const AS_TEXT: u32 = 0xfe0e;
const AS_EMOJI: u32 = 0xfe0f;
const KEYCAP: u32 = 0x20e3;
/** U+FE0F may be written where the text had none; this much in all, then emoji are skipped. */
const GROWTH_BYTES_MAX: usize = 256;

/** Reads the emoji at `p`; returns where the text goes on, 0 if there is none. */
export function emoji(p: usize, end: usize): usize {
  const s = load<usize>(STATE, NEXT);
  let w = s;
  let q = p;
  let stop: usize = 0;
  while (q < end) {
    const before = w;
    const decoded = decode(q, end);
    const codePoint = decoded & 0xffffff;
    q += decoded >> 24;
    if (isFlagLetter(codePoint)) {
      const second = q < end ? decode(q, end) : 0;
      if (stop != 0 || !isFlagLetter(second & 0xffffff)) break;
      w = encode(encode(w, codePoint), second & 0xffffff);
      stop = q + (second >> 24);
      break;
    }
    const kind = classOf(codePoint);
    const variant = q < end ? decode(q, end) & 0xffffff : 0;
    if (variant == AS_EMOJI || variant == AS_TEXT) q += 3;
    if (kind != EMOJI && kind != EMOJI_TEXT && !(kind == BREAK && variant == AS_EMOJI)) break;
    w = encode(w, codePoint);
    const tone = q < end ? decode(q, end) & 0xffffff : 0;
    if (tone >= 0x1f3fb && tone <= 0x1f3ff && codePoint != tone) {
      w = encode(w, tone);
      q += 4;
    } else if (kind != EMOJI) w = encode(w, AS_EMOJI);
    if (codePoint == 0x1f3f4) {
      const flag = subdivision(q, end, w);
      w += flag;
      q += flag;
    }
    if (w - s > TERM_BYTES_MAX) {
      if (stop == 0) break;
      w = before - 3;
      break;
    }
    stop = q;
    if (q >= end || (decode(q, end) & 0xffffff) != JOINER || w - s > TERM_BYTES_MAX - 7) break;
    q += 3;
    if (q >= end || !isPicture(decode(q, end) & 0xffffff)) break;
    w = encode(w, JOINER);
  }
  if (stop == 0) return 0;
  if (s - load<usize>(STATE, FOLDED) <= p - load<usize>(STATE, TEXT) + GROWTH_BYTES_MAX) add(s, w);
  unlink();
  return stop;
}

/**
 * Reads a keycap (a digit, # or *, and U+20E3) at `p`; returns where the text goes on, 0 if there
 * is none.
 */
export function keycap(p: usize, end: usize): usize {
  let q = p + 1;
  if (q < end && (decode(q, end) & 0xffffff) == AS_EMOJI) q += 3;
  if (q >= end || (decode(q, end) & 0xffffff) != KEYCAP) return 0;
  const s = load<usize>(STATE, NEXT);
  if (s - load<usize>(STATE, FOLDED) <= p - load<usize>(STATE, TEXT) + GROWTH_BYTES_MAX) {
    store<u8>(s, load<u8>(p));
    add(s, encode(encode(s + 1, AS_EMOJI), KEYCAP));
  }
  unlink();
  return q + 3;
}

function add(s: usize, w: usize): void {
  const hash = hashFolded(s, w - s);
  emit(s, w - s, <u32>hash, KIND_EMOJI);
  addAside(hash);
  store<usize>(STATE, w, NEXT);
}

@inline
function isFlagLetter(codePoint: u32): bool {
  return codePoint >= 0x1f1e6 && codePoint <= 0x1f1ff;
}

function isPicture(codePoint: u32): bool {
  if (codePoint < 0x80 || isFlagLetter(codePoint)) return false;
  const kind = classOf(codePoint);
  return kind == EMOJI || kind == EMOJI_TEXT;
}

/**
 * Copies the tags of a subdivision's flag (England's) to `w`; returns their bytes, 0 unless
 * complete and short.
 */
function subdivision(p: usize, end: usize, w: usize): usize {
  let bytes: usize = 0;
  while (p + bytes < end && bytes < 32) {
    const codePoint = decode(p + bytes, end) & 0xffffff;
    if (codePoint < 0xe0020 || codePoint > 0xe007f) return 0;
    w = encode(w, codePoint);
    bytes += 4;
    if (codePoint == 0xe007f) return bytes;
  }
  return 0;
}
