// The tokenizer as a module of its own, for text.test.ts and for measuring.
export {
  tokenize,
  fingerprint,
  similar,
  forgetText,
  hash32,
  hash64,
  scratchBytes,
} from "./tokenize";

/** First byte behind the static data. */
export function freeStart(): usize {
  return __heap_base;
}
