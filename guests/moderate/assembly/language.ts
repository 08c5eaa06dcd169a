// The language of a message, and what stands behind a verdict on it.
//
// A tag that is given is believed. Otherwise the script tells, where a language has one to itself
// (Cyrillic counts as Russian, Arabic script as Arabic, Devanagari as Hindi, Han as Chinese unless
// there is kana); for Latin script the stop words do, of eleven languages: each word found gives
// twelve points, shared by the languages that have it. The first wins with half as many points
// again as the second: 24, or 12 in a text of at most six words. Any but English needs two such
// words besides, one word in eight, and three for each English one. What nobody wins, like "lol",
// a text of emoji or a word of French before English ones, is "und"; in Latin script or in none it
// is judged as English is, as short English lines are what chats are full of.
//
// A word of letters of several scripts is a disguise: it counts as Latin; and what hangs on digits
// or on signs that stand for letters is no evidence of a language ("k1ke" has no "ke" in it). Who
// puts words of another language around English ones does not hide them: a text of another language
// is judged as English, too, by as much as it may be English (englishShare). Cost: some 10 ns a
// word.
import { alloc } from "../../sdk/assembly/arena";
import { decode, encode } from "../../sdk/assembly/text/unicode";
import { hash64 } from "../../sdk/assembly/text/hash";
import { LATIN_COUNT, SLOT_COUNT, SLOTS, WORD_BYTES_MAX } from "./languages.gen";
import { Request } from "./request";
import {
  LANGUAGE_SOURCE_DETECTED, LANGUAGE_SOURCE_GIVEN, LANGUAGE_SOURCE_UNKNOWN, LANGUAGE_SUPPORT_FULL,
  LANGUAGE_SUPPORT_LISTS, LANGUAGE_SUPPORT_NONE,
} from "./world.gen";

/** So much of a text is read to find out; English is looked for in all of it. */
const READ_BYTES_MAX: u32 = 1024;
const POINTS: u32 = 12;
/** Of a language other than English: words at least, one in so many, and so many an English one. */
const HITS_MIN: u32 = 2;
const HITS_SHARE: u32 = 8;
const HITS_EACH_ENGLISH: u32 = 3;
/**
 * What English scores count in a text of another language: with words that are abuse in English
 * and not a usual word elsewhere, and with nothing that speaks for English.
 */
const SHARE_OF_CLEAR_ABUSE: f64 = 0.75;
const SHARE_OF_ANYTHING: f64 = 0.5;
const TAG_BYTES_MAX: u32 = 8;

/** Languages by number: those of Latin script in the order of the table's bits, then the others. */
const TAGS: usize = memory.data<u8>([
  0x65, 0x6e, 0x64, 0x65, 0x65, 0x73, 0x66, 0x72, 0x69, 0x74, 0x6e, 0x6c, 0x70, 0x6c, 0x70, 0x74,
  0x73, 0x76, 0x74, 0x72, 0x69, 0x64, 0x72, 0x75, 0x61, 0x72, 0x68, 0x69, 0x6b, 0x6f, 0x6a, 0x61,
  0x7a, 0x68,
]);
const ENGLISH: u32 = 0;
/** The bits of a word that only English has. */
const ENGLISH_ALONE: u32 = 1;
/** Of such words, a text of another language has so many if there is English in it: one in six. */
const ENGLISH_WORDS_MIN: u32 = 2;
const ENGLISH_SHARE: u32 = 6;
/** de es fr it nl pl pt have word lists of their own. */
const LISTED_FIRST: u32 = 1;
const LISTED_LAST: u32 = 7;
const RUSSIAN: u32 = LATIN_COUNT;
const JAPANESE: u32 = RUSSIAN + 4;
const LANGUAGE_COUNT: u32 = RUSSIAN + 6;
/** No language: nothing speaks for one, or a script of which none is known. */
const UNDECIDED: u32 = LANGUAGE_COUNT;
const FOREIGN: u32 = LANGUAGE_COUNT + 1;

/** Scripts, as bits of a word: those with a language of their own from 0 on, as RUSSIAN + bit. */
const SCRIPT_CYRILLIC: u32 = 0;
const SCRIPT_ARABIC: u32 = 1;
const SCRIPT_DEVANAGARI: u32 = 2;
const SCRIPT_HANGUL: u32 = 3;
const SCRIPT_KANA: u32 = 4;
const SCRIPT_HAN: u32 = 5;
const SCRIPT_LATIN: u32 = 6;
const SCRIPT_OTHER: u32 = 7;
const SCRIPT_COUNT: u32 = 8;
const SCRIPT_NONE: u32 = 8;

@unmanaged
export class Language {
  tag: u32;
  tagLen: u32;
  source: u32;
  support: u32;
  /** Words that were counted, and those that are English and nothing else. */
  words: u32;
  englishWords: u32;
  /** Sentences in Latin script without a word of another language. */
  plainSentences: u32;
  isLatin: bool;
  hasLatin: bool;
  /** What there is speaks rather for a language with a list of words than for English. */
  leansToListed: bool;
}

/**
 * What the scores of the English classifier count in a text that was found to be of another
 * language; `hotCount`: words of it that are abusive in English, `clearCount`: those of them that
 * mean nothing else.
 */
export function englishShare(language: Language, hotCount: u32, clearCount: u32): f64 {
  if (language.source == LANGUAGE_SOURCE_GIVEN || !language.hasLatin) return 0;
  const english = language.englishWords;
  if (english >= ENGLISH_WORDS_MIN && english * ENGLISH_SHARE >= language.words) return 1;
  if (hotCount != 0 && (english != 0 || !language.isLatin)) return 1;
  if (clearCount == 0) return SHARE_OF_ANYTHING;
  return language.plainSentences != 0 ? 1 : SHARE_OF_CLEAR_ABUSE;
}

export function languageOf(request: Request): Language {
  const language = changetype<Language>(alloc(offsetof<Language>()));
  const given = primaryTag(language, request.language, request.languageLen);
  const number = given ? numberOf(language) : detected(language, request.text, request.textLen);
  if (!given) setTag(language, number);
  language.source = given
    ? LANGUAGE_SOURCE_GIVEN
    : number < LANGUAGE_COUNT ? LANGUAGE_SOURCE_DETECTED : LANGUAGE_SOURCE_UNKNOWN;
  language.support = supportOf(number);
  const isForeign = language.support != LANGUAGE_SUPPORT_FULL;
  if (!given && isForeign && request.textLen > READ_BYTES_MAX) readRest(language, request);
  return language;
}

/** English behind so much of another language is English all the same. */
function readRest(language: Language, request: Request): void {
  const end = <usize>request.text + request.textLen;
  let at = <usize>request.text + READ_BYTES_MAX;
  while (at < end && load<u8>(at) > 0x20) at += 1;
  const census = openCensus();
  readWords(census, at, end);
  language.words += census.words;
  language.englishWords += census.englishWords;
  language.plainSentences += census.plainSentences;
  if (lettersOf(census, SCRIPT_LATIN) != 0) language.hasLatin = true;
}

function supportOf(number: u32): u32 {
  if (number == ENGLISH || number == UNDECIDED) return LANGUAGE_SUPPORT_FULL;
  return number >= LISTED_FIRST && number <= LISTED_LAST
    ? LANGUAGE_SUPPORT_LISTS
    : LANGUAGE_SUPPORT_NONE;
}

/** The letters before the first "-" or "_", small; false if that is no tag, or "und". */
function primaryTag(into: Language, at: u32, bytes: u32): bool {
  const tag = alloc(TAG_BYTES_MAX, 1);
  let length: u32 = 0;
  for (; length < bytes; length++) {
    const byte = <u32>load<u8>(at + length) | 0x20;
    if (byte == 0x2d || byte == 0x7f) break;
    if (length == TAG_BYTES_MAX || byte < 0x61 || byte > 0x7a) return false;
    store<u8>(tag + length, <u8>byte);
  }
  if (length < 2) return false;
  into.tag = <u32>tag;
  into.tagLen = length;
  return !(length == 3 && load<u8>(tag) == 0x75 && load<u16>(tag, 1) == 0x646e);
}

function numberOf(language: Language): u32 {
  if (language.tagLen != 2) return FOREIGN;
  const letters = load<u16>(language.tag);
  for (let number: u32 = 0; number < LANGUAGE_COUNT; number++) {
    if (load<u16>(TAGS + (<usize>number << 1)) == letters) return number;
  }
  return FOREIGN;
}

function setTag(language: Language, number: u32): void {
  if (number < LANGUAGE_COUNT) {
    language.tag = <u32>(TAGS + (<usize>number << 1));
    language.tagLen = 2;
    return;
  }
  language.tag = <u32>alloc(3, 1);
  language.tagLen = 3;
  store<u8>(language.tag, 0x75);
  store<u16>(language.tag, 0x646e, 1);
}

/** What is found out of a text. */
@unmanaged
class Census {
  /** u32 a language of Latin script. */
  points: u32;
  /** u32 words, of the same. */
  hits: u32;
  /** u32 letters of words of a script. */
  letters: u32;
  words: u32;
  englishWords: u32;
  plainSentences: u32;
  /** Of the sentence that is being read: Latin words, and those of other languages. */
  sentenceWords: u32;
  sentenceHits: u32;
}

function openCensus(): Census {
  const census = changetype<Census>(alloc(offsetof<Census>()));
  census.points = <u32>alloc(LATIN_COUNT << 2, 4);
  census.hits = <u32>alloc(LATIN_COUNT << 2, 4);
  census.letters = <u32>alloc(SCRIPT_COUNT << 2, 4);
  return census;
}

function detected(language: Language, text: usize, bytes: u32): u32 {
  const census = openCensus();
  readWords(census, text, text + min(bytes, READ_BYTES_MAX));
  let most: u32 = SCRIPT_LATIN;
  for (let script: u32 = 0; script < SCRIPT_COUNT; script++) {
    if (lettersOf(census, script) > lettersOf(census, most)) most = script;
  }
  language.words = census.words;
  language.englishWords = census.englishWords;
  language.plainSentences = census.plainSentences;
  language.hasLatin = lettersOf(census, SCRIPT_LATIN) != 0;
  language.isLatin = most == SCRIPT_LATIN;
  for (let listed = LISTED_FIRST; listed <= LISTED_LAST; listed++) {
    if (pointsOf(census, listed) > pointsOf(census, ENGLISH)) language.leansToListed = true;
  }
  if (most == SCRIPT_LATIN) return latin(census);
  if (most == SCRIPT_OTHER) return FOREIGN;
  // Japanese has more Han than kana now and then, Chinese none of these.
  if (most == SCRIPT_HAN && lettersOf(census, SCRIPT_KANA) != 0) return JAPANESE;
  return RUSSIAN + most;
}

function latin(census: Census): u32 {
  let best: u32 = 0;
  let second: u32 = 0;
  let winner = UNDECIDED;
  for (let language: u32 = 0; language < LATIN_COUNT; language++) {
    const points = pointsOf(census, language);
    if (points > best) {
      second = best;
      best = points;
      winner = language;
    } else if (points > second) {
      second = points;
    }
  }
  const wanted = census.words <= 6 ? POINTS : 2 * POINTS;
  if (best < wanted || best * 2 < second * 3) return UNDECIDED;
  if (winner == ENGLISH) return ENGLISH;
  const hits = load<u32>(<usize>census.hits + (<usize>winner << 2));
  const isSure = hits >= HITS_MIN && hits * HITS_SHARE >= census.words &&
    hits >= HITS_EACH_ENGLISH * census.englishWords;
  return isSure ? winner : UNDECIDED;
}

@inline
function pointsOf(census: Census, language: u32): u32 {
  return load<u32>(<usize>census.points + (<usize>language << 2));
}

@inline
function lettersOf(census: Census, script: u32): u32 {
  return load<u32>(<usize>census.letters + (<usize>script << 2));
}

/** Counts the words and their scripts, and looks those of Latin letters up. */
function readWords(census: Census, at: usize, end: usize): void {
  // As long as a word that is listed, and what one more letter takes.
  const word = alloc(WORD_BYTES_MAX + 4, 1);
  let length: usize = 0;
  let letters: u32 = 0;
  let scripts: u32 = 0;
  let before: u32 = 0x20;
  let beforeWord: u32 = 0x20;
  while (true) {
    const decoded: u32 = at < end ? decode(at, end) : 0x100000a;
    const letter = small(decoded & 0xffffff);
    const script = scriptOf(letter);
    const next = at + (decoded >> 24);
    if (script != SCRIPT_NONE) {
      if (letters == 0) beforeWord = before;
      scripts |= <u32>1 << script;
      letters += 1;
      if (length <= WORD_BYTES_MAX) length = encode(word + length, letter) - word;
    } else {
      if (letters != 0) {
        // A sign right before a letter parts a word; at the end of it, it ends a clause.
        const after = next < end ? <u32>load<u8>(next) : 0x20;
        const isTouched = partsWord(beforeWord, 0x61) || partsWord(letter, after);
        endWord(census, word, isTouched ? 0 : length, letters, scripts);
      }
      if (letter == 10 || letter == 0x2e || letter == 0x21 || letter == 0x3f) endSentence(census);
      length = 0;
      letters = 0;
      scripts = 0;
    }
    if (at >= end) return;
    before = letter;
    at = next;
  }
}

/** A digit, or a sign that may stand for a letter or between letters. */
function partsWord(sign: u32, after: u32): bool {
  if (sign - 0x30 < 10 || sign == 0x40 || sign == 0x24 || sign == 0x2a || sign == 0x5f) return true;
  // Apostrophes and hyphens join words of many languages; commas and colons part them.
  if (sign <= 0x20 || sign >= 0x7f || sign == 0x27 || sign == 0x2d || sign == 0x2c) return false;
  if (sign == 0x22 || sign == 0x28 || sign == 0x29 || sign == 0x3a || sign == 0x3b) return false;
  return (after | 0x20) - 0x61 < 26 || after >= 0x80;
}

/** `length` 0: the word is no evidence of a language. */
function endWord(census: Census, word: usize, length: usize, letters: u32, scripts: u32): void {
  census.words += 1;
  const isLatin = (scripts & ((<u32>1 << SCRIPT_LATIN))) != 0;
  let script: u32 = isLatin ? SCRIPT_LATIN : ctz(scripts);
  if ((scripts & ((<u32>1 << SCRIPT_KANA))) != 0 && !isLatin) script = SCRIPT_KANA;
  const counted = <usize>census.letters + (<usize>script << 2);
  store<u32>(counted, load<u32>(counted) + letters);
  if (script != SCRIPT_LATIN) return;
  census.sentenceWords += 1;
  if (length > WORD_BYTES_MAX || length < 2) return;
  const languages = languagesOf(word, length);
  if (languages == 0) return;
  if (languages == ENGLISH_ALONE) census.englishWords += 1;
  else if ((languages & ENGLISH_ALONE) == 0) census.sentenceHits += 1;
  const points = POINTS / <u32>popcnt(languages);
  for (let rest = languages; rest != 0; rest &= rest - 1) {
    const place = <usize>ctz(rest) << 2;
    store<u32>(census.points + place, load<u32>(census.points + place) + points);
    store<u32>(census.hits + place, load<u32>(census.hits + place) + 1);
  }
}

function endSentence(census: Census): void {
  if (census.sentenceWords != 0 && census.sentenceHits == 0) census.plainSentences += 1;
  census.sentenceWords = 0;
  census.sentenceHits = 0;
}

/** A bit for each language that has the word. */
function languagesOf(word: usize, length: usize): u32 {
  const hash = hash64(word, length);
  const wanted = <u32>(hash >> 43);
  let slot = <u32>hash & (SLOT_COUNT - 1);
  while (true) {
    const found = load<u32>(SLOTS + (<usize>slot << 2));
    if (found == 0) return 0;
    if (found >> LATIN_COUNT == wanted) return found & ((1 << LATIN_COUNT) - 1);
    slot = (slot + 1) & (SLOT_COUNT - 1);
  }
}

/** The small letter of Latin script up to U+017E. */
function small(codePoint: u32): u32 {
  if (codePoint < 0x80) return codePoint - 0x41 < 26 ? codePoint | 0x20 : codePoint;
  if (codePoint < 0xc0 || codePoint > 0x17e) return codePoint;
  if (codePoint < 0xdf) return codePoint == 0xd7 ? codePoint : codePoint + 32;
  if (codePoint < 0x100) return codePoint;
  if (codePoint == 0x130 || codePoint == 0x131 || codePoint == 0x178) return codePoint;
  // Pairs of a capital and its small letter; where they begin with an odd number, twice.
  const isOdd = (codePoint >= 0x139 && codePoint <= 0x148) || codePoint >= 0x179;
  return (codePoint & 1) == (isOdd ? 1 : 0) ? codePoint + 1 : codePoint;
}

/** Of a letter; SCRIPT_NONE: it is none, or a digit, a mark, an emoji. */
function scriptOf(letter: u32): u32 {
  if (letter < 0x80) return letter - 0x61 < 26 ? SCRIPT_LATIN : SCRIPT_NONE;
  if (letter < 0xaa) return SCRIPT_NONE;
  if (letter < 0x370) {
    if (letter < 0xc0 || letter == 0xd7 || letter == 0xf7 || letter > 0x24f) return SCRIPT_NONE;
    return SCRIPT_LATIN;
  }
  if (letter < 0x530) return letter < 0x400 ? SCRIPT_OTHER : SCRIPT_CYRILLIC;
  if (letter < 0x900) {
    const isArabic = (letter >= 0x620 && letter < 0x700) || (letter >= 0x750 && letter < 0x780);
    return isArabic ? SCRIPT_ARABIC : SCRIPT_OTHER;
  }
  if (letter < 0x980) return SCRIPT_DEVANAGARI;
  if (letter < 0x1e00) return letter - 0x1100 < 0x100 ? SCRIPT_HANGUL : SCRIPT_OTHER;
  if (letter < 0x2000) return letter < 0x1f00 ? SCRIPT_LATIN : SCRIPT_OTHER;
  if (letter < 0x3040) return SCRIPT_NONE;
  if (letter < 0x3100) return SCRIPT_KANA;
  if (letter < 0x3400) return SCRIPT_NONE;
  if (letter < 0xa000) return letter < 0x4dc0 || letter >= 0x4e00 ? SCRIPT_HAN : SCRIPT_NONE;
  if (letter < 0xac00) return SCRIPT_OTHER;
  if (letter < 0xd7a4) return SCRIPT_HANGUL;
  if (letter >= 0xff21 && letter <= 0xff5a) return SCRIPT_LATIN;
  return letter >= 0x20000 && letter < 0x40000 ? SCRIPT_HAN : SCRIPT_NONE;
}
