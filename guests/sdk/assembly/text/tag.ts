// #hashtags and @mentions, and the nick of somebody addressed ("bob: hi"), which is a mention too.
import { ASCII_CLASSES, IGNORED, MARK, HAN, CLUSTER, DIGIT, LETTER } from "./tables.gen";
import { hashFolded } from "./hash";
import { isListedText } from "./listed";
import { addAside, addWordWithDigits } from "./fingerprint";
import { attach, classOf, cut, decode, encode, fold, markFollows, plain } from "./unicode";
import { emitText, KIND_HASHTAG, KIND_MENTION, TERM_BYTES_MAX } from "./terms";
import { wordClassAt } from "./joint";
import { STATE, NEXT, unlink } from "./state";

const HASH: u32 = 0x23;
const AT: u32 = 0x40;
const NICK_BYTES_MAX: usize = 32;

/** Reads the tag at `p`, whose sign takes up to `after`; returns where the text goes on. */
export function tag(p: usize, after: usize, end: usize, sign: u32): usize {
  unlink();
  const s = load<usize>(STATE, NEXT);
  store<u8>(s, sign);
  p = after;
  // "##channel" is its tag all the same.
  while (p < end && load<u8>(p) == <u8>sign) p++;
  let w = s + 1;
  let kinds: u32 = 0;
  let last: u32 = 0;
  let repeats: u32 = 0;
  while (p < end) {
    const decoded = decode(p, end);
    const codePoint = plain(decoded & 0xffffff);
    const kind =
      codePoint < 0x80 ? <u32>load<u8>(ASCII_CLASSES + <usize>codePoint) : classOf(codePoint);
    const next = p + (decoded >> 24);
    if (kind == IGNORED || kind == MARK) {
      const attached = kind == MARK ? attach(s + 1, w, codePoint, markFollows(next, end)) : 0;
      if (attached != 0) w = attached;
      last = 0;
      p = next;
      continue;
    }
    if (kind < DIGIT && kind != HAN && kind != CLUSTER) {
      if (!joins(codePoint, sign, w - s, next, end)) break;
    }
    const folded =
      kind < DIGIT ? codePoint : codePoint < 0x80 ? codePoint | 0x20 : fold(codePoint, kind);
    kinds |= kind >= DIGIT ? kind : kind == HAN || kind == CLUSTER ? LETTER : 0;
    p = next;
    repeats = folded == last ? repeats + 1 : 0;
    last = folded;
    if (repeats > 1 && sign == HASH && kind >= LETTER && !markFollows(p, end)) continue;
    w = encode(w, folded);
  }
  if (kinds == 0) return p;
  // #1 is a rank, #56125 is something to talk about.
  if (sign == HASH && kinds == DIGIT && w - s < 4) return p;
  const bytes = cut(s, w - s, TERM_BYTES_MAX);
  if (sign == HASH) {
    emitText(s, bytes, KIND_HASHTAG);
    if (kinds != DIGIT) addWordWithDigits(s, bytes);
  } else addAside(emitText(s, bytes, KIND_MENTION));
  store<usize>(STATE, s + bytes, NEXT);
  return p;
}

/** Signs within a tag: _ anywhere, - and (in nicks) . before a word character. */
function joins(codePoint: u32, sign: u32, bytes: usize, next: usize, end: usize): bool {
  if (codePoint == 0x5f) return true;
  if (bytes == 1 || wordClassAt(next, end) == 0) return false;
  return codePoint == 0x2d || (codePoint == 0x2e && sign == AT);
}

/**
 * Reads "nick: " or "nick, " at the very start of a text as a mention of @nick. Returns where the
 * text goes on: `p` when it starts otherwise, with a stop word ("so, ..."), an adverb, or a label
 * ("error: ...").
 */
export function addressee(p: usize, end: usize): usize {
  const start = p;
  while (p < end && load<u8>(p) == 0x20) p++;
  const first = p;
  const s = load<usize>(STATE, NEXT);
  store<u8>(s, AT);
  let w = s + 1;
  let kinds: u32 = 0;
  while (p < end && p - first < NICK_BYTES_MAX) {
    const byte: u32 = load<u8>(p);
    if (byte < 0x80) {
      const kind: u32 = load<u8>(ASCII_CLASSES + <usize>byte);
      if (kind < DIGIT && !isNickSign(byte)) break;
      kinds |= kind >= DIGIT ? kind : 0;
      store<u8>(w++, kind >= DIGIT ? byte | 0x20 : byte);
      p++;
      continue;
    }
    const decoded = decode(p, end);
    const kind = classOf(decoded & 0xffffff);
    if (kind < DIGIT) break;
    kinds |= kind;
    w = encode(w, fold(decoded & 0xffffff, kind));
    p += decoded >> 24;
  }
  const bytes = w - s;
  if (bytes < 3 || (kinds & ~DIGIT) == 0 || !isCall(p, end, w)) return start;
  store<u8>(w, 0x3a);
  if (isListedText(s + 1, bytes - 1) || isListedText(s + 1, bytes)) return start;
  addAside(emitText(s, bytes, KIND_MENTION));
  store<usize>(STATE, w, NEXT);
  return p + 1;
}

/** A colon or comma at `p` and a space or nothing behind it; no adverb in front of a comma. */
function isCall(p: usize, end: usize, w: usize): bool {
  if (p >= end || (p + 1 < end && load<u8>(p, 1) > 0x20)) return false;
  const byte: u32 = load<u8>(p);
  return byte == 0x3a || (byte == 0x2c && load<u16>(w - 2) != 0x796c);
}

/** - [ \ ] ^ _ ` { | } : what IRC allows in a nick besides letters and digits. */
function isNickSign(byte: u32): bool {
  return byte == 0x2d || (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7d);
}
