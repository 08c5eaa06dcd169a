// What a message does: ask, decide, thank, order a bot about. By its words in English, at the start
// of a clause only, because there a cue is rarely something else: precision goes before recall. A
// question mark works in any language.
//
// A clause begins the text and follows a stop, comma, colon or dash; words that only lead in ("ok",
// "so", "well") are passed over. The text is looked at folded: ASCII letters small, white space as
// one space, typographic apostrophes as plain ones, the first NORMAL_BYTES_MAX bytes.

export const ACT_QUESTION: u32 = 1;
/** Settles something, or says that something is done. */
export const ACT_DECISION: u32 = 2;
/** Thanks, or says that a question needs no answer any more. */
export const ACT_CLOSING: u32 = 4;
/** Knows no answer. */
export const ACT_SHRUG: u32 = 8;
/** "!ops" and the like, and what bots say. */
export const ACT_COMMAND: u32 = 16;
export const ACT_BOT: u32 = 32;

export const NORMAL_BYTES_MAX: u32 = 240;
const CLAUSES_MAX: u32 = 12;
/** Words that a question has at least. */
const QUESTION_WORDS_MIN: u32 = 3;

const FILLERS: string = `ok|okay|so|well|yeah|yes|yep|yup|then|and|alright|right|cool|hmm|oh|ah|um|but|sure|hi|hello|hey
all|guys|everyone|everybody|folks|now|please|great|good|hrm|k|anyway|also|i think|i guess|lol`;

const QUESTIONS: string = `how do i|how can i|how do you|how would i|how does one|how come|does anyone|does anybody
do any of you|anyone know|anybody know|anyone knows|anyone here|anyone have|anyone using
can anyone|can anybody|can someone|can somebody|could someone|could anyone|could somebody
is there a|is there any|is there some|are there any|has anyone|has anybody|any idea|any ideas
where can i|where do i|why does|why is my|why do i|what is the best|what's the best|which one
is anyone|is anybody|is it possible|what should i|should i|would anyone`;

const CLOSINGS: string = `thanks|thank you|thx|ty|tnx|cheers|nevermind|never mind|nvm|got it|that worked|worked|it works
works now|it worked|that works|solved|figured it out|fixed it|found it|perfect|i got it
that did it|i found it|i figured it|ah thanks|that fixed|problem solved|now it works
it's working|many thanks`;

const SHRUGS: string = `no idea|dunno|don't know|i don't know|i dunno|not sure|i'm not sure|idk|no clue|i have no idea
sorry|same here|me too|what|huh|which|lol|haha|ask|!|patience|be patient|google|hi|hello|welcome`;

const DECISIONS_A: string = "agreed to|agreed on|agreed, we|approved";
const DECISIONS_D: string = "decided to|decided on|decision|done|deployed|decided";
const DECISIONS_F: string = "fixed it by|fixed by|fixed in|fixed the|fixed that|fixed";
const DECISIONS_G: string = "going with|got it working|got it to work|going to go with";
const DECISIONS_I: string = `i'll go with|i'll do|i'll use|i'll stick|i'll stay with|i'll take care|i'll fix|i'll file
i'll report|i'll open a|i'll write|i'll send|i'll add|i'll make|i'll merge|i'll deploy
i'll handle|i'll switch|i'll upgrade|i'll install|i'll buy|i'll order|i'll try|i'll prepare
i'll reinstall|i'll wait for|i will go with|i will use|i'm going with|i am going with|i decided
i've decided|i have decided|i fixed|i solved|i've fixed|i've solved|it turned out|it was
i merged|i deployed|i've merged|i've deployed|i ended up|i reverted|it's fixed`;
const DECISIONS_L: string = "let's|lets";
const DECISIONS_M: string = "merged|my plan is|my fix was";
const DECISIONS_P: string = "plan is to|problem solved|problem was";
const DECISIONS_R: string = "resolved|reverted|rolled back|released|reinstalling fixed";
const DECISIONS_S: string = "solved by|solved it|solved the|solved|settled|shipped|so it was";
const DECISIONS_T: string = `that fixed|that solved|the plan is|the fix was|the fix is|the solution was|the solution is
turned out|turns out|the problem was|the decision is`;
const DECISIONS_W: string = `we decided|we've decided|we have decided|we agreed|we'll|we will|we're going with
we are going with|we should go with|we went with|will go with|we fixed|we merged|we're moving to`;
const DECISIONS_PLUS: string = "+1 to|+1 for";

/** What follows a cue and makes it none: "let's see", "we'll see", "lets you". */
const UNDECIDED: string = `see|say|hope|face|pretend|assume|be|just|not|you|me|us|it|users|people|find out|know|never|ever
there|that|them|him|her|stop|get this|look|tell|check|ask|out|if|again|think|imagine`;

/** Hot. The acts of a folded text. */
export function actsOf(text: usize, bytes: u32): u32 {
  if (bytes == 0) return 0;
  if (isCommand(text, bytes)) return ACT_COMMAND;
  let acts: u32 = asks(text, bytes) ? ACT_QUESTION : 0;
  const isConditional = matches(text, bytes, 0, "if|when|unless") != 0;
  let at: u32 = 0;
  for (let clause: u32 = 0; clause < CLAUSES_MAX && at < bytes; clause++) {
    at = pastFillers(text, bytes, at);
    if (at >= bytes) break;
    if (clause < 2 && matches(text, bytes, at, QUESTIONS) != 0) acts |= ACT_QUESTION;
    if (matches(text, bytes, at, CLOSINGS) != 0) acts |= ACT_CLOSING;
    if (clause == 0 && matches(text, bytes, at, SHRUGS) != 0) acts |= ACT_SHRUG;
    if (!isConditional && decides(text, bytes, at)) acts |= ACT_DECISION;
    at = nextClause(text, bytes, at);
  }
  return (acts & ACT_QUESTION) != 0 ? acts & ~ACT_DECISION : acts;
}

/** A name that ends in "bot" (digits and one sign aside), or the bots of the Ubuntu channels. */
export function isBotName(name: usize, bytes: u32): bool {
  let end = bytes;
  while (end > 3 && !isLetter(load<u8>(name + end - 1))) end -= 1;
  for (let at: u32 = 0; at + 3 <= end; at++) {
    if ((load<u8>(name + at) | 0x20) != 0x62 || (load<u8>(name + at, 1) | 0x20) != 0x6f) continue;
    if ((load<u8>(name + at, 2) | 0x20) != 0x74) continue;
    if (at + 3 == end) return true;
    // ubotu, ubottu: "ubot" and a syllable.
    if (at == 1 && (load<u8>(name) | 0x20) == 0x75) return true;
  }
  return false;
}

/**
 * Folds the text [from, from + bytes) into `to`, at most NORMAL_BYTES_MAX bytes; returns how many.
 */
export function normalize(from: usize, bytes: u32, to: usize): u32 {
  let length: u32 = 0;
  for (let at: u32 = 0; at < bytes && length < NORMAL_BYTES_MAX; at++) {
    let byte = load<u8>(from + at);
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    else if (byte <= 0x20) {
      if (length == 0 || load<u8>(to + length - 1) == 0x20) continue;
      byte = 0x20;
    } else if (byte == 0xe2 && at + 2 < bytes && load<u16>(from + at, 1) == 0x9980) {
      byte = 0x27;
      at += 2;
    }
    store<u8>(to + length++, byte);
  }
  if (length > 0 && load<u8>(to + length - 1) == 0x20) length -= 1;
  return length;
}

/** "!ops", "/join", ".help": one sign and a letter. */
function isCommand(text: usize, bytes: u32): bool {
  if (bytes < 2) return false;
  const first = load<u8>(text);
  if (first != 0x21 && first != 0x2e && first != 0x2f) return false;
  if (!isLetter(load<u8>(text, 1))) return false;
  // "/etc/fstab is missing" is about a path.
  if (first == 0x2f)
    for (let at: u32 = 1; at < bytes && load<u8>(text + at) != 0x20; at++)
      if (load<u8>(text + at) == 0x2f || load<u8>(text + at) == 0x2e) return false;
  return true;
}

/** Whether a sentence of some words ends in a question mark, of whatever script. */
function asks(text: usize, bytes: u32): bool {
  let words: u32 = 0;
  let hasWide = false;
  for (let at: u32 = 0; at < bytes; at++) {
    const byte = load<u8>(text + at);
    if (byte >= 0x80) hasWide = true;
    if (isMark(text, bytes, at, byte)) {
      if (words + 1 >= QUESTION_WORDS_MIN || hasWide) return true;
      words = 0;
    } else if (byte == 0x20) {
      const before = load<u8>(text + at - 1);
      words = before == 0x2e || before == 0x21 ? 0 : words + 1;
    }
  }
  return false;
}

/** A question mark that ends a word: none of a link or a file pattern. */
function isMark(text: usize, bytes: u32, at: u32, byte: u8): bool {
  if (byte == 0x3f) {
    if (at == 0 || load<u8>(text + at - 1) == 0x20 && (at < 2 || !isLetter(load<u8>(text + at - 2))))
      return false;
    if (at + 1 == bytes) return true;
    const next = load<u8>(text + at, 1);
    return next == 0x20 || next == 0x3f || next == 0x21 || next == 0x29 || next == 0x22;
  }
  if (byte == 0xef) return at + 2 < bytes && load<u16>(text + at, 1) == 0x9fbc;
  return byte == 0xd8 && at + 1 < bytes && load<u8>(text + at, 1) == 0x9f;
}

function decides(text: usize, bytes: u32, at: u32): bool {
  const cues = decisionsOf(load<u8>(text + at));
  if (cues.length == 0) return false;
  const length = matches(text, bytes, at, cues);
  if (length == 0) return false;
  const after = at + length;
  // The end of a word may be that of the sentence: "fixed!" says nothing of what is.
  if (after + 1 >= bytes) return false;
  return load<u8>(text + after) != 0x20 || matches(text, bytes, after + 1, UNDECIDED) == 0;
}

function decisionsOf(first: u8): string {
  switch (first) {
    case 0x61: return DECISIONS_A;
    case 0x64: return DECISIONS_D;
    case 0x66: return DECISIONS_F;
    case 0x67: return DECISIONS_G;
    case 0x69: return DECISIONS_I;
    case 0x6c: return DECISIONS_L;
    case 0x6d: return DECISIONS_M;
    case 0x70: return DECISIONS_P;
    case 0x72: return DECISIONS_R;
    case 0x73: return DECISIONS_S;
    case 0x74: return DECISIONS_T;
    case 0x77: return DECISIONS_W;
    case 0x2b: return DECISIONS_PLUS;
    default: return "";
  }
}

function pastFillers(text: usize, bytes: u32, at: u32): u32 {
  for (let word: u32 = 0; word < 6; word++) {
    const length = matches(text, bytes, at, FILLERS);
    if (length == 0) break;
    at += length;
    while (at < bytes && isBreak(load<u8>(text + at))) at += 1;
  }
  return at;
}

/** Where the next clause begins: behind a stop, comma, colon or dash and a space. */
function nextClause(text: usize, bytes: u32, at: u32): u32 {
  while (at + 1 < bytes) {
    const byte = load<u8>(text + at);
    at += 1;
    if (load<u8>(text + at) != 0x20) continue;
    if (byte == 0x20 || !isBreak(byte)) continue;
    while (at < bytes && isBreak(load<u8>(text + at))) at += 1;
    return at;
  }
  return bytes;
}

@inline
function isBreak(byte: u8): bool {
  return (
    byte == 0x20 || byte == 0x2c || byte == 0x2e || byte == 0x21 || byte == 0x3a || byte == 0x3b ||
    byte == 0x2d || byte == 0x3f
  );
}

/** Bytes of the cue (of a list parted by "|" or line ends) that stands at `at` as whole words; 0: none does. */
function matches(text: usize, bytes: u32, at: u32, cues: string): u32 {
  const from = changetype<usize>(cues);
  const count = <u32>cues.length;
  const first = <u16>load<u8>(text + at);
  let index: u32 = 0;
  while (index < count) {
    if (load<u16>(from + (index << 1)) == first) {
      const length = cueBytes(text, bytes, at, from, index, count);
      if (length != 0) return length;
    }
    while (index < count && !isParting(load<u16>(from + (index << 1)))) index += 1;
    index += 1;
  }
  return 0;
}

function cueBytes(
  text: usize, bytes: u32, at: u32, from: usize, index: u32, count: u32,
): u32 {
  let length: u32 = 0;
  while (index < count) {
    const unit = load<u16>(from + (index << 1));
    if (isParting(unit)) break;
    if (at + length >= bytes || <u16>load<u8>(text + at + length) != unit) return 0;
    length += 1;
    index += 1;
  }
  return at + length >= bytes || !isWord(load<u8>(text + at + length)) ? length : 0;
}

@inline
function isParting(unit: u16): bool {
  return unit == 0x7c || unit == 0x0a;
}

@inline
function isLetter(byte: u8): bool {
  return ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) || byte >= 0x80;
}

@inline
function isWord(byte: u8): bool {
  return isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte == 0x27;
}
