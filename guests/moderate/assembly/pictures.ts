// Emoji: base, tone and what is joined, each a token; a flag is one.
import { EMOJI, EMOJI_TEXT } from "../../sdk/assembly/text/tables.gen";
import { classOf, encode } from "../../sdk/assembly/text/unicode";
import { characterAt } from "./letters";
import { GROUP } from "./lexicon.gen";
import { add, FORM_TOP, hasRoom } from "./reading";
import { FLAG_JOINED, KIND_EMOJI } from "./tokens";

/** One picture is one token; its tone, and what is joined to it, are tokens that follow. */
export function emoji(p: usize, end: usize): usize {
  let flags: u32 = 0;
  while (p < end) {
    const character = characterAt(p, end);
    const codePoint = character & 0xffffff;
    const start = p;
    p += character >> 24;
    const form = <usize>load<u32>(FORM_TOP) + 1;
    let w = encode(form, codePoint);
    let isFlag = false;
    if (isFlagLetter(codePoint) && p < end && isFlagLetter(characterAt(p, end) & 0xffffff)) {
      w = encode(w, characterAt(p, end) & 0xffffff);
      p += 4;
      isFlag = true;
    }
    const token = add(start, p, form, <u32>(w - form), KIND_EMOJI, flags);
    if (isFlag) token.classes |= GROUP;
    if (p < end && (characterAt(p, end) & 0xffffff) == 0xfe0f) p += 3;
    if (p < end && isTone(characterAt(p, end) & 0xffffff)) {
      const toneForm = <usize>load<u32>(FORM_TOP) + 1;
      store<u64>(toneForm, 0x3e656e6f743c);
      add(p, p + 4, toneForm, 6, KIND_EMOJI, FLAG_JOINED);
      p += 4;
    }
    if (p + 3 >= end || (characterAt(p, end) & 0xffffff) != 0x200d || !hasRoom()) break;
    const next = characterAt(p + 3, end) & 0xffffff;
    const kind = next < 0x80 ? 0 : classOf(next);
    if (kind != EMOJI && kind != EMOJI_TEXT) break;
    flags = FLAG_JOINED;
    p += 3;
  }
  return p;
}

@inline
function isFlagLetter(codePoint: u32): bool {
  return codePoint >= 0x1f1e6 && codePoint <= 0x1f1ff;
}

@inline
function isTone(codePoint: u32): bool {
  return codePoint >= 0x1f3fb && codePoint <= 0x1f3ff;
}
