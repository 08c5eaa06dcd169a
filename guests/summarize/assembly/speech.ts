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

/** "Yes" or "no", and no more than that needs to follow. */
export const ACT_YES_NO: u32 = 64;
/** A question that is put to whoever spoke just now: "are you …?", "is that …?". */
export const ACT_BETWEEN: u32 = 128;

/** Begins like a question. */
export const ACT_ASKING: u32 = 256;

/** "Have you tried …?", "why not …?": rather an answer than a question. */
export const ACT_PROPOSAL: u32 = 512;

export const NORMAL_BYTES_MAX: u32 = 480;
/** `actsOf` says behind the acts where the question or decision begins. */
export const FOCUS_SHIFT: u32 = 16;
const CLAUSES_MAX: u32 = 12;
/** Words in a row that lead in. */
const FILLERS_MAX: u32 = 6;
/** Words that a question has at least. */
const QUESTION_WORDS_MIN: u32 = 3;

// Cues by their first letter, each with what it does where it begins a clause:
//   f leads in   q asks   w asks if there is a question mark   b asks whoever spoke just now
//   y says yes or no   t proposes, question mark or not
//   s shrugs   c closes questions of one's own   d settles something
const CUES_A: string = `
agreed on=d|agreed to=d|ah thanks=c|ah=f|all=f|alright=f|also=f|and you=b|and=f|any idea=q
any ideas=q|any=w|anybody know=q|anybody=w|anyone have=q|anyone here=q|anyone know=q
anyone knows=q|anyone using=q|anyone=w|anyway=f|approved:=d|are there any=q|are they=b|are you=b
are=w|aren't you=b|ask=s`;
const CUES_B: string = "be patient=s|but=f";
const CUES_C: string = `
can anybody=q|can anyone=q|can somebody=q|can someone=q|can you=b|can't=w|can=w|cheers=c|cool=f
could anyone=q|could somebody=q|could someone=q|could you=b|could=w`;
const CUES_D: string = `
decided on=d|decided to=d|decided:=d|decision:=d|deployed=d|did it=b|did that=b|did you check=t
did you try=t|did you=b|did=w|do any of you=q|do you have=b|do you mean=b|do=w|does anybody=q
does anyone=q|does he=b|does it=b|does that=b|does=w|doesn't=w|don't know=s|don't you=b|done:=d
dunno=s`;
const CUES_E: string = "everybody=f|everyone=f";
const CUES_F: string = `
figured it out=c|fixed by=d|fixed in=d|fixed it by=d|fixed it with=d|fixed it=c|fixed that=d
fixed the=d|fixed with=d|fixed:=d|folks=f|found it=c`;
const CUES_G: string = `
going to go with=d|going with=d|good=f|google=s|got it to work=d|got it working=d|got it=c|great=f
guys=f`;
const CUES_H: string = `
haha=s|has anybody=q|has anyone=q|has=w|have you checked=t|have you looked=t|have you tried=t
have you=b|have=w|hello=f|hey=f|hi=f|hmm=f|how about=t|how can i=q|how come=q|how did you=b
how do i=q|how do you=q|how does one=q|how to=q|how would i=q|how=w|hrm=f|huh=s`;
const CUES_I: string = `
i am going with=d|i apologise=s|i apologize=s|i decided=d|i deployed=d|i don't know=s|i dunno=s
i ended up=d|i figured it=c|i fixed=d|i found it=c|i got it=c|i guess=f|i have decided=d
i have no idea=s|i merged=d|i reverted=d|i solved=d|i think=f|i will go with=d|i will use=d
i'll add=d|i'll buy=d|i'll deploy=d|i'll do=d|i'll file=d|i'll fix=d|i'll go with=d|i'll handle=d
i'll install=d|i'll make=d|i'll merge=d|i'll open a=d|i'll order=d|i'll prepare=d|i'll reinstall=d
i'll report=d|i'll send=d|i'll stay with=d|i'll stick=d|i'll switch=d|i'll take care=d|i'll try=d
i'll upgrade=d|i'll use=d|i'll write=d|i'm going with=d|i'm not sure=s|i've decided=d
i've deployed=d|i've fixed=d|i've merged=d|i've solved=d|idk=s|is anybody=q|is anyone=q|is he=b
is it possible=q|is it=b|is that=b|is there a=q|is there any=q|is there some=q|is=w|isn't it=b
isn't that=b|isn't=w|it does=y|it is=y|it should=y|it turned out=d|it worked=c|it works=c
it's fixed=d|it's working=c`;
const CUES_K: string = "k=f";
const CUES_L: string = "let's=d|lets=d|lol=f";
const CUES_M: string = "many thanks=c|maybe=f|me too=s|merged=d|my fix was=d|my plan is=d";
const CUES_N: string = `
nah=y|never mind=c|nevermind=c|no clue=s|no idea=s|no=y|nope=y|not really=y|not sure=s
now it works=c|now=f|nvm=c`;
const CUES_O: string = "of course=y|oh=f|ok=f|okay=f";
const CUES_P: string = `
patience=s|perfect=c|perhaps=f|plan is to=d|please=f|problem solved=cd|problem was=d`;
const CUES_R: string = `
really=b|released=d|resolved by=d|resolved:=d|reverted=d|right=f|rolled back=d`;
const CUES_S: string = `
same here=s|settled:=d|shipped=d|should i=q|should=w|so=f|solved by=d|solved it=d|solved the=d
solved:=d|solved=c|somebody=w|someone=w|sorry=s|sure=fy`;
const CUES_T: string = `
thank you=c|thanks=c|that did it=c|that fixed=cd|that solved=d|that worked=c|that works=c
the decision is=d|the fix is=d|the fix was=d|the plan is=d|the problem was=d|the solution is=d
the solution was=d|then=f|thx=c|tnx=c|turned out=d|turns out=d|ty=c`;
const CUES_U: string = "um=f";
const CUES_W: string = `
was it=b|was that=b|we agreed=d|we are going with=d|we decided=d|we fixed=d|we have decided=d
we merged=d|we should go with=d|we went with=d|we will=d|we'll=d|we're going with=d
we're moving to=d|we've decided=d|welcome=s|well=f|what about=b|what did=b|what do you=b
what does it=b|what error=b|what is it=b|what is the best=q|what should i=q|what version=b
what's that=b|what's the best=q|what's=w|what=sw|whats=w|when=w|where can i=q|where did you=b
where do i=q|where's=w|where=w|which one=qb|which=sw|who said=b|who=w|why do i=q|why does=q
why don't you=t|why dont you=t|why is my=q|why not=t|why=w|will go with=d|will you=b|will=w
worked=c|works now=c|would anyone=q|would you=b|would=w`;
const CUES_Y: string = `
ya=y|yea=y|yeah=fy|yep=fy|yes=fy|you are=b|you can=y|you have=b|you mean=b|you sure=b|you want=b
you're=b|yup=fy`;
const CUES_PLUS: string = "+1 for=d|+1 to=d";

/** What follows a cue and makes it none: "let's see", "we'll see", "lets you". */
const UNDECIDED: string = `
see|say|hope|face|pretend|assume|be|just|not|you|me|us|it|users|people|find out|know|never|ever
there|that|them|him|her|stop|get this|look|tell|check|ask|out|if|again|think|imagine`;

/** Hot. The acts of a folded text, and where it asks or decides: an offset << FOCUS_SHIFT. */
export function actsOf(text: usize, bytes: u32): u32 {
  if (bytes == 0) return 0;
  if (isCommand(text, bytes)) return ACT_COMMAND;
  const asked = askedAt(text, bytes);
  let acts: u32 = asked != bytes ? ACT_QUESTION : 0;
  let decided: u32 = 0;
  const mayDecide = matches(text, bytes, 0, "if|when|unless") == 0;
  let at: u32 = 0;
  for (let clause: u32 = 0; clause < CLAUSES_MAX && at < bytes; clause++) {
    let allowed = ACT_CLOSING | ACT_ASKING | (mayDecide ? ACT_DECISION : 0);
    if (clause < 2) allowed |= ACT_QUESTION;
    if (clause == 0) allowed |= ACT_BETWEEN | ACT_PROPOSAL | ACT_SHRUG | ACT_YES_NO;
    for (let word: u32 = 0; word <= FILLERS_MAX && at < bytes; word++) {
      const found = cuesAt(text, bytes, at);
      acts |= found & allowed;
      if ((found & allowed & ACT_DECISION) != 0) decided = at;
      if (found < FILLER) break;
      at = pastBreaks(text, bytes, at + (found >> 16));
      allowed &= ~ACT_YES_NO;
    }
    at = nextClause(text, bytes, at);
  }
  if ((acts & ACT_PROPOSAL) != 0) acts &= ~ACT_QUESTION;
  if ((acts & ACT_QUESTION) == 0) return acts | (decided << FOCUS_SHIFT);
  return (acts & ~ACT_DECISION) | ((asked != bytes ? asked : 0) << FOCUS_SHIFT);
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

/** How many of the bytes from `from` on become the first `offset` of the folded text. */
export function rawOffset(from: usize, bytes: u32, offset: u32): u32 {
  let length: u32 = 0;
  let isSpace = true;
  let at: u32 = 0;
  for (; at < bytes && length < offset; at++) {
    const byte = load<u8>(from + at);
    if (byte <= 0x20 && isSpace) continue;
    isSpace = byte <= 0x20;
    length += 1;
    if (byte == 0xe2 && at + 2 < bytes && load<u16>(from + at, 1) == 0x9980) at += 2;
  }
  return at;
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

/** Where a sentence of some words that ends in a question mark begins; `bytes`: there is none. */
function askedAt(text: usize, bytes: u32): u32 {
  let start: u32 = 0;
  let words: u32 = 0;
  let hasWide = false;
  for (let at: u32 = 0; at < bytes; at++) {
    const byte = load<u8>(text + at);
    if (byte >= 0x80) hasWide = true;
    if (isMark(text, bytes, at, byte)) {
      if (words + 1 >= QUESTION_WORDS_MIN || hasWide) return start;
      words = 0;
    } else if (byte == 0x20) {
      const before = load<u8>(text + at - 1);
      words += 1;
      if (before != 0x2e && before != 0x21 && before != 0x3f) continue;
      words = 0;
      start = at + 1;
    }
  }
  return bytes;
}

/** A question mark that ends a word: none of a link or a file pattern. */
function isMark(text: usize, bytes: u32, at: u32, byte: u8): bool {
  if (byte == 0x3f) {
    const before = at - (at > 1 && load<u8>(text + at - 1) == 0x20 ? 1 : 0);
    if (before == 0 || !endsWord(load<u8>(text + before - 1))) return false;
    if (at + 1 == bytes) return true;
    const next = load<u8>(text + at, 1);
    return next == 0x20 || next == 0x3f || next == 0x21 || next == 0x29 || next == 0x22;
  }
  if (byte == 0xef) return at + 2 < bytes && load<u16>(text + at, 1) == 0x9fbc;
  return byte == 0xd8 && at + 1 < bytes && load<u8>(text + at, 1) == 0x9f;
}

/** The acts of the cues that stand at `at`, and above them the bytes of one that leads in. */
function cuesAt(text: usize, bytes: u32, at: u32): u32 {
  const cues = cuesOf(load<u8>(text + at));
  const from = changetype<usize>(cues);
  const count = <u32>cues.length;
  let acts: u32 = 0;
  // A list of several lines begins with a line end.
  let index: u32 = count != 0 && load<u16>(from) == 0x0a ? 1 : 0;
  const second = <u16>(at + 1 < bytes ? load<u8>(text + at, 1) : 0);
  while (index < count) {
    // Most cues differ in the second letter.
    const next = load<u16>(from + (index << 1), 2);
    const length =
      next == second || next == 0x3d ? cueBytes(text, bytes, at, from, index, count) : 0;
    index = codesOf(from, index);
    for (; index < count; index++) {
      const code = <u32>load<u16>(from + (index << 1));
      if (code == 0x7c || code == 0x0a) break;
      if (length == 0) continue;
      if (code == 0x66) acts = (acts & (FILLER - 1)) | max(acts & ~(FILLER - 1), length << 16);
      else if (code != 0x64) acts |= actOf(code);
      else if (decides(text, bytes, at + length)) acts |= ACT_DECISION;
    }
    index += 1;
  }
  return acts;
}

/** Where the codes of the cue at `index` begin: behind the next "=". Every cue has one. */
function codesOf(from: usize, index: u32): u32 {
  const sign = i16x8.splat(0x3d);
  while (true) {
    const hits = i16x8.bitmask(i16x8.eq(v128.load(from + (index << 1)), sign));
    if (hits != 0) return index + <u32>ctz(hits) + 1;
    index += 8;
  }
}

@inline
function endsWord(byte: u8): bool {
  return isWord(byte) || byte == 0x22 || byte == 0x29 || byte == 0x3f || byte == 0x21;
}

/** From here on, the bytes of a cue. */
const FILLER: u32 = 0x10000;

function actOf(code: u32): u32 {
  switch (code) {
    case 0x71: return ACT_QUESTION | ACT_ASKING;
    case 0x77: return ACT_ASKING;
    case 0x74: return ACT_PROPOSAL;
    case 0x62: return ACT_BETWEEN;
    case 0x79: return ACT_YES_NO;
    case 0x73: return ACT_SHRUG;
    default: return ACT_CLOSING;
  }
}

/** Whether the cue of a decision says something, by what is behind it. */
function decides(text: usize, bytes: u32, after: u32): bool {
  if (after + 1 >= bytes) return false;
  return load<u8>(text + after) != 0x20 || matches(text, bytes, after + 1, UNDECIDED) == 0;
}

function cuesOf(first: u8): string {
  switch (first) {
    case 0x61: return CUES_A;
    case 0x62: return CUES_B;
    case 0x63: return CUES_C;
    case 0x64: return CUES_D;
    case 0x65: return CUES_E;
    case 0x66: return CUES_F;
    case 0x67: return CUES_G;
    case 0x68: return CUES_H;
    case 0x69: return CUES_I;
    case 0x6b: return CUES_K;
    case 0x6c: return CUES_L;
    case 0x6d: return CUES_M;
    case 0x6e: return CUES_N;
    case 0x6f: return CUES_O;
    case 0x70: return CUES_P;
    case 0x72: return CUES_R;
    case 0x73: return CUES_S;
    case 0x74: return CUES_T;
    case 0x75: return CUES_U;
    case 0x77: return CUES_W;
    case 0x79: return CUES_Y;
    case 0x2b: return CUES_PLUS;
    default: return "";
  }
}

/** Where the next clause begins: behind a stop, comma, colon or dash and a space. */
function nextClause(text: usize, bytes: u32, at: u32): u32 {
  while (at + 1 < bytes) {
    const byte = load<u8>(text + at);
    at += 1;
    if (load<u8>(text + at) != 0x20) continue;
    if (byte != 0x20 && isBreak(byte)) return pastBreaks(text, bytes, at);
  }
  return bytes;
}

@inline
function pastBreaks(text: usize, bytes: u32, at: u32): u32 {
  while (at < bytes && isBreak(load<u8>(text + at))) at += 1;
  return at;
}

@inline
function isBreak(byte: u8): bool {
  return (
    byte == 0x20 || byte == 0x2c || byte == 0x2e || byte == 0x21 || byte == 0x3a || byte == 0x3b ||
    byte == 0x2d || byte == 0x3f
  );
}

/** Bytes of the cue of a list (parted by "|" or line ends) that stands at `at` as words, or 0. */
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
  return unit == 0x7c || unit == 0x0a || unit == 0x3d;
}

@inline
function isLetter(byte: u8): bool {
  return ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) || byte >= 0x80;
}

@inline
function isWord(byte: u8): bool {
  return isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte == 0x27;
}
