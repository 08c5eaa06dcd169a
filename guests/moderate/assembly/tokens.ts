// The table of tokens: words, marks and emoji of one stretch of text, with where they stood and,
// once scopes.ts went over them, how they were meant.
import { TOKENS, TOKEN_BYTES } from "./scratch";

export { TOKEN_BYTES, TOKEN_COUNT_MAX } from "./scratch";
export const TOKEN_OVERLAP: u32 = 32;

export const KIND_WORD: u32 = 0;
export const KIND_MARK: u32 = 1;
export const KIND_EMOJI: u32 = 2;
export const KIND_NUMBER: u32 = 3;

/** The word was written so that a list would miss it. */
export const FLAG_DISGUISED: u32 = 1;
export const FLAG_SHOUTED: u32 = 2;
/** Letters repeated three times and more. */
export const FLAG_DRAWN_OUT: u32 = 4;
/** Part of a #tag, of an emoji sequence; not the first. */
export const FLAG_JOINED: u32 = 8;
export const FLAG_TAG: u32 = 16;
/** First of its line. */
export const FLAG_LINE: u32 = 32;
/** White space stands before it. */
export const FLAG_SPACED: u32 = 64;
/** Its class came with the word before it. */
export const FLAG_PHRASE: u32 = 128;

export const SCOPE_QUOTED: u32 = 1;
export const SCOPE_REPORTED: u32 = 2;
export const SCOPE_NEGATED: u32 = 4;
export const SCOPE_REPROACHED: u32 = 8;
export const SCOPE_CONDITIONAL: u32 = 16;
export const SCOPE_QUESTION: u32 = 32;

export const SUBJECT_NONE: u32 = 0;
export const SUBJECT_SELF: u32 = 1;
export const SUBJECT_YOU: u32 = 2;
export const SUBJECT_THIRD: u32 = 3;
export const SUBJECT_GROUP: u32 = 4;
export const SUBJECT_THING: u32 = 5;

@unmanaged
export class Token {
  /** Of the normal form. */
  hash: u64;
  /** Of lexicon.gen.ts. */
  classes: u64;
  /** Of what the features call it: the form with its scope, `<group>` for all identity words. */
  shape: u64;
  /** Bytes from the start of the text; the end is exclusive. */
  start: u32;
  end: u32;
  formAt: u32;
  formBytes: u16;
  kind: u8;
  flags: u8;
  scope: u8;
  subject: u8;
  /** Hash of the form as it was written, 16 bits, where it was disguised. */
  raw: u16;
}

@inline
export function tokenAt(index: u32): Token {
  return changetype<Token>(TOKENS + <usize>index * TOKEN_BYTES);
}
