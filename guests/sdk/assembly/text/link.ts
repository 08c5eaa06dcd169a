// Links: host and path, as people would recognise them. No scheme, "www.", port, query, fragment or
// closing slash; the host in small letters, the path as it is (it tells letters apart). 40 bytes at
// most. Brackets and stops behind a link are not its.
import { ASCII_CLASSES, DIGIT } from "./tables.gen";
import { hashFolded } from "./hash";
import { addWord } from "./fingerprint";
import { classOf, cut, decode, encode, fold, plain } from "./unicode";
import { emitText, KIND_URL, TERM_BYTES_MAX } from "./terms";
import { wordClassAt } from "./joint";
import { STATE, NEXT, unlink } from "./state";

/**
 * Reads the link whose host starts at `p`; returns where the text goes on, 0 if there is no host.
 */
export function link(p: usize, end: usize): usize {
  const stop = linkEnd(p, end);
  if (stop - p > 4 && (load<u32>(p) | 0x202020) == 0x2e777777) p += 4;
  if (wordClassAt(p, stop) == 0) return 0;
  unlink();
  const s = load<usize>(STATE, NEXT);
  let w = s;
  let q = p;
  while (q < stop) {
    const byte: u32 = load<u8>(q);
    if (byte == 0x2f || byte == 0x3f || byte == 0x23 || byte == 0x3a) break;
    const decoded = decode(q, stop);
    const codePoint = decoded & 0xffffff;
    const isLetter = wordClassAt(q, stop) != 0;
    if (w - s < TERM_BYTES_MAX) {
      if (codePoint < 0x80) store<u8>(w++, isLetter ? codePoint | 0x20 : codePoint);
      else w = encode(w, foldedHost(codePoint));
    }
    q += decoded >> 24;
  }
  addWord(hashFolded(s, w - s));
  // A port.
  if (q < stop && load<u8>(q) == 0x3a) while (q < stop && load<u8>(q) != 0x2f) q++;
  while (q < stop && w - s <= TERM_BYTES_MAX) {
    const byte: u32 = load<u8>(q);
    if (byte == 0x3f || byte == 0x23) break;
    store<u8>(w, byte);
    w++;
    q++;
  }
  let bytes = cut(s, w - s, TERM_BYTES_MAX);
  while (bytes > 1 && load<u8>(s + bytes - 1) == 0x2f) bytes--;
  emitText(s, bytes, KIND_URL);
  store<usize>(STATE, s + bytes, NEXT);
  return stop;
}

function foldedHost(codePoint: u32): u32 {
  const ascii = plain(codePoint);
  return ascii < 0x80 ? ascii | 0x20 : fold(ascii, classOf(ascii));
}

/**
 * Where the link at `p` ends: before spaces, brackets and quotes, scripts without spaces, and
 * closing stops.
 */
function linkEnd(p: usize, end: usize): usize {
  let opened: u32 = 0;
  let stop = p;
  while (p < end) {
    const byte: u32 = load<u8>(p);
    if (byte < 0x80) {
      if (byte <= 0x20 || byte == 0x7f || isQuote(byte)) break;
      p++;
      if (byte == 0x28) opened++;
      if (byte == 0x29 && opened > 0) {
        opened--;
        stop = p;
      } else if (isLinkEnd(byte)) stop = p;
      continue;
    }
    if (wordClassAt(p, end) == 0) break;
    p += decode(p, end) >> 24;
    stop = p;
  }
  return stop;
}

/** " < > \ ^ ` { | } */
function isQuote(byte: u32): bool {
  if (byte == 0x22 || byte == 0x3c || byte == 0x3e || byte == 0x5c || byte == 0x5e) return true;
  return byte == 0x60 || (byte >= 0x7b && byte <= 0x7d);
}

/** Whether a link may end in this character. */
function isLinkEnd(byte: u32): bool {
  if (load<u8>(ASCII_CLASSES + <usize>byte) >= <u8>DIGIT) return true;
  // # $ % & + - / = @ _ ~
  return (
    (byte >= 0x23 && byte <= 0x26) ||
    byte == 0x2b ||
    byte == 0x2d ||
    byte == 0x2f ||
    byte == 0x3d ||
    byte == 0x40 ||
    byte == 0x5f ||
    byte == 0x7e
  );
}
