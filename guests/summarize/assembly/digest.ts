// The TL;DR: one sentence of numbers, then at most two messages as they were said.
//
// Every number in it is a number of the report, or rounded from one and called "about". The first
// sentence names what stands out and how it compares with the usual; if nothing does, it says so
// and names what was talked about. A quote must be about something (show a listed term), the second
// must add to the first: another person, other words, rather an answer than the same question again
// (maximal marginal relevance). Quotes come in the order in which they were said.
import { alloc } from "../../sdk/assembly/arena";
import { openWriter, Writer } from "../../sdk/assembly/writer";
import { KIND_BIGRAM, KIND_MENTION, KIND_URL } from "../../sdk/assembly/text/tokenize";
import { Exhibit, Exhibits } from "./exhibits";
import { Quote } from "./quotes";
import { Ranking, Row } from "./ranking";
import { state, table } from "./state";
import { Sentence, SENTENCE_BYTES, TrendingReport } from "./world.gen";

/** Topics named in the first sentence. */
const TOPICS_MAX: u32 = 3;
/** History, in windows, below which "usual" would be a guess. */
const WINDOWS_MIN: f32 = 1;
const HEADLINE_BYTES_MAX: u32 = 512;

export function digest(answer: TrendingReport, ranking: Ranking, exhibits: Exhibits): void {
  const sentences = alloc(3 * SENTENCE_BYTES);
  answer.sentencesPtr = <u32>sentences;
  const topics = changetype<Topics>(alloc(offsetof<Topics>()));
  topics.choose(ranking, exhibits);
  const headline = openWriter(HEADLINE_BYTES_MAX);
  if (answer.eventCount == 0) headline.literal("No messages in the last 60 seconds.");
  else if (topics.trending) writeTrend(headline, topics);
  else writeActivity(headline, answer, topics, exhibits);
  addSentence(answer, headline, null);
  if (answer.eventCount == 0) return;

  const first = bestExhibit(exhibits, topics, null);
  if (first == null) return;
  const second = bestExhibit(exhibits, topics, first);
  if (second == null) {
    addQuote(answer, first.quote);
  } else if (second.quote.eventNumber < first.quote.eventNumber) {
    addQuote(answer, second.quote);
    addQuote(answer, first.quote);
  } else {
    addQuote(answer, first.quote);
    addQuote(answer, second.quote);
  }
}

/** What the first sentence names: trends if there are any, else what was said most. */
@unmanaged
class Topics {
  count: u32;
  trending: bool;
  topic0: u32;
  topic1: u32;
  topic2: u32;

  choose(ranking: Ranking, exhibits: Exhibits): void {
    this.trending = ranking.count > 0 && ranking.at(0).trending && !ranking.at(0).leftOut;
    for (let rank: u32 = 0; rank < ranking.count && this.count < TOPICS_MAX; rank++) {
      const row = ranking.at(rank);
      if (row.leftOut || row.trending != this.trending) break;
      if (!this.trending && (!isTalk(row) || isSpeaker(row, exhibits))) continue;
      if (!this.overlaps(row)) this.add(row);
    }
  }

  @inline
  at(index: u32): Row {
    return changetype<Row>(
      <usize>load<u32>(changetype<usize>(this) + (index << 2), offsetof<Topics>("topic0")),
    );
  }

  private add(row: Row): void {
    store<u32>(
      changetype<usize>(this) + (this.count << 2), <u32>changetype<usize>(row),
      offsetof<Topics>("topic0"),
    );
    this.count += 1;
  }

  /** Whether a topic named already has a word in common: "disk" after "disk full" is no news. */
  private overlaps(row: Row): bool {
    for (let index: u32 = 0; index < this.count; index++)
      if (shareWord(this.at(index), row)) return true;
    return false;
  }
}

/** Said more than once, by more than one, and not a name or an address. */
function isTalk(row: Row): bool {
  return (
    row.count >= 2 && row.people >= 2 && row.kind != KIND_MENTION && row.kind != KIND_URL
  );
}

/** Whether the term is the name of somebody who is quoted: people say whom they speak to. */
function isSpeaker(row: Row, exhibits: Exhibits): bool {
  for (let index: u32 = 0; index < exhibits.count; index++) {
    const quote = exhibits.at(index).quote;
    if (<u32>quote.userLen == row.termLen && equalIgnoringCase(quote.user, row.term, row.termLen))
      return true;
  }
  return false;
}

function shareWord(left: Row, right: Row): bool {
  return hasWordOf(left, right) || hasWordOf(right, left);
}

/** Whether a word of `inner` is a word of `outer`. Words are parted by one space. */
function hasWordOf(outer: Row, inner: Row): bool {
  const text = inner.term;
  let start: u32 = 0;
  for (let at: u32 = 0; at <= inner.termLen; at++) {
    if (at < inner.termLen && load<u8>(text + at) != 0x20) continue;
    if (hasWord(outer.term, outer.termLen, text + start, at - start)) return true;
    start = at + 1;
  }
  return false;
}

function hasWord(text: usize, bytes: u32, word: usize, wordLen: u32): bool {
  for (let at: u32 = 0; at + wordLen <= bytes; at++) {
    if (memory.compare(text + at, word, wordLen) != 0) continue;
    const starts = at == 0 || load<u8>(text + at - 1) == 0x20;
    const ends = at + wordLen == bytes || load<u8>(text + at + wordLen) == 0x20;
    if (starts && ends) return true;
  }
  return false;
}

function writeTrend(out: Writer, topics: Topics): void {
  const lead = topics.at(0);
  writeTerm(out, lead);
  out.literal(topics.count > 1 ? " leads: " : " stands out: ");
  writeCount(out, lead);
  out.literal(lead.count == 1 ? " mention" : " mentions");
  writePeople(out, lead.named, lead.namedError, lead.count);
  out.literal(" in the last 60 seconds");
  writeUsual(out, lead);
  if (topics.count > 1) {
    out.literal("; also ");
    writeTopics(out, topics, 1);
  }
  out.literal(".");
}

function writeActivity(
  out: Writer, answer: TrendingReport, topics: Topics, exhibits: Exhibits,
): void {
  out.number(answer.eventCount);
  if (exhibits.count != 0) out.literal(answer.eventCount == 1 ? " message" : " messages");
  else out.literal(answer.eventCount == 1 ? " event" : " events");
  writePeople(out, answer.userCount, answer.userCountError, answer.eventCount);
  out.literal(" in the last 60 seconds");
  const isUsual = answer.eventCount > 1 && state().windows >= WINDOWS_MIN;
  if (isUsual) out.literal(", nothing out of the ordinary");
  if (topics.count != 0) {
    out.literal("; most mentioned: ");
    writeTopics(out, topics, 0);
  }
  out.literal(".");
}

/** “a” (5), “b” (4) and “c” (4) */
function writeTopics(out: Writer, topics: Topics, from: u32): void {
  for (let index = from; index < topics.count; index++) {
    if (index > from) out.literal(index + 1 == topics.count ? " and " : ", ");
    writeTerm(out, topics.at(index));
    out.literal(" (");
    writeCount(out, topics.at(index));
    out.literal(")");
  }
}

function writeTerm(out: Writer, row: Row): void {
  out.literal("“").bytes(row.term, row.termLen).literal("”");
}

function writeCount(out: Writer, row: Row): void {
  if (table().upper(row.slot) != row.count) out.literal("at least ");
  out.number(row.count);
}

/** No more people than `most`, what they said, even where the number is rounded. */
function writePeople(out: Writer, people: u32, error: f64, most: u32): void {
  if (people == 0) return;
  if (error > 0) out.literal(" by about ").number(min(rounded(people, error), most));
  else out.literal(" by ").number(people);
  out.literal(people == 1 ? " person" : " people");
}

/**
 * An estimate with no more digits than it deserves: one where it may be off by a tenth, else two.
 */
function rounded(people: u32, error: f64): u32 {
  let unit: u64 = 1;
  const digits: u64 = error > 0.1 ? 10 : 100;
  while (<u64>people >= unit * digits) unit *= 10;
  return <u32>((<u64>people + unit / 2) / unit * unit);
}

/** How the count compares with what the window would usually hold. */
function writeUsual(out: Writer, row: Row): void {
  if (state().windows < WINDOWS_MIN) return;
  const ratio = <f64>row.count / row.expected;
  if (row.expected < 0.75) {
    out.literal(", where usually there is less than one");
  } else if (ratio >= 2) {
    out.literal(", about ").number(<u64>(ratio + 0.5)).literal(" times the usual ");
    out.number(<u64>(row.expected + 0.5));
  } else {
    out.literal(", where about ").number(<u64>(row.expected + 0.5)).literal(" would be usual");
  }
}

/** The quote that says most about the topics; given the first, the one that adds most to it. */
function bestExhibit(exhibits: Exhibits, topics: Topics, first: Exhibit | null): Exhibit | null {
  let best: Exhibit | null = null;
  let bestWorth: f64 = 0;
  for (let index: u32 = 0; index < exhibits.count; index++) {
    const exhibit = exhibits.at(index);
    if (first != null && !adds(first, exhibit)) continue;
    const worth = worthOf(exhibit, topics) * (first == null ? 1 : freshness(first, exhibit));
    if (worth > bestWorth) {
      best = exhibit;
      bestWorth = worth;
    }
  }
  return best;
}

/** What the quote shows of the topics and of the rest of the window, and how well it reads. */
function worthOf(exhibit: Exhibit, topics: Topics): f64 {
  let worth: f64 = 0;
  for (let index: u32 = 0; index < topics.count; index++) {
    if (exhibit.shows(topics.at(index))) worth += index == 0 ? 4 : 2;
  }
  if (worth == 0 && topics.trending) return 0;
  worth += 0.05;
  for (let index: u32 = 0; index < exhibit.rowCount; index++) {
    const row = exhibit.rowAt(index);
    if (row.kind == KIND_MENTION || row.kind == KIND_BIGRAM) continue;
    if (row.people >= 2) worth += min<f64>(<f64>row.count, 5) * 0.25;
    else worth += row.count == 1 ? 0.08 : -0.1; // Saying it over and over does not make it news.
  }
  const quote = exhibit.quote;
  return worth * readability(quote.text, quote.textLen);
}

/** Whether it is another person's, and says something that the first does not. */
function adds(first: Exhibit, second: Exhibit): bool {
  const left = first.quote;
  const right = second.quote;
  if (changetype<usize>(left) == changetype<usize>(right)) return false;
  if (left.userHash != 0 && left.userHash == right.userHash) return false;
  if (second.rowCount != first.rowCount || second.rowCount == 0) return true;
  for (let index: u32 = 0; index < second.rowCount; index++)
    if (!first.shows(second.rowAt(index))) return true;
  return false;
}

/** Less for what repeats the first quote, more for what answers it by name. */
function freshness(first: Exhibit, second: Exhibit): f64 {
  let shared: u32 = 0;
  for (let index: u32 = 0; index < second.rowCount; index++)
    if (first.shows(second.rowAt(index))) shared += 1;
  const same = second.rowCount == 0 ? 1 : <f64>shared / <f64>second.rowCount;
  const left = first.quote;
  const right = second.quote;
  const answers =
    right.eventNumber > left.eventNumber
      ? startsWithName(right, left)
      : startsWithName(left, right);
  return (1 - 0.8 * same) * (answers ? 1.6 : 1);
}

/** Chat's way of answering: "name: …" or "@name …". */
function startsWithName(answer: Quote, asked: Quote): bool {
  const bytes = <u32>asked.userLen;
  const at = answer.text + (answer.textLen > 0 && load<u8>(answer.text) == 0x40 ? 1 : 0);
  if (bytes == 0 || <usize>bytes + at > answer.text + answer.textLen) return false;
  return equalIgnoringCase(at, asked.user, bytes);
}

function equalIgnoringCase(left: usize, right: usize, bytes: u32): bool {
  for (let index: u32 = 0; index < bytes; index++)
    if (lower(load<u8>(left + index)) != lower(load<u8>(right + index))) return false;
  return true;
}

@inline
function lower(byte: u8): u8 {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Whole sentences and questions read well; grunts, addresses and shouting do not. */
function readability(text: usize, bytes: u32): f64 {
  let worth: f64 = bytes < 16 ? 0.4 : bytes < 36 ? 0.8 : 1;
  let letters: u32 = 0;
  let capitals: u32 = 0;
  let question = false;
  for (let at: u32 = 0; at < bytes; at++) {
    const byte = load<u8>(text + at);
    if (byte == 0x3f) question = true;
    if (byte >= 0x41 && byte <= 0x5a) capitals += 1;
    if (lower(byte) >= 0x61 && lower(byte) <= 0x7a) letters += 1;
    if (byte >= 0x80) letters += 1;
  }
  if (question) worth *= 1.2;
  if (letters * 2 < bytes) worth *= 0.5;
  if (letters > 8 && capitals * 3 > letters * 2) worth *= 0.6;
  if (bytes >= 8 && load<u32>(text) == 0x70747468) worth *= 0.5;
  return worth;
}

function addQuote(answer: TrendingReport, quote: Quote): void {
  const out = openWriter(<u32>quote.userLen + quote.textLen + 16);
  if (quote.userLen != 0) out.bytes(quote.user, quote.userLen).literal(": ");
  out.literal("“").bytes(quote.text, quote.textLen).literal("”");
  addSentence(answer, out, quote);
}

function addSentence(answer: TrendingReport, text: Writer, quote: Quote | null): void {
  const sentence = changetype<Sentence>(
    <usize>(answer.sentencesPtr + answer.sentencesLen * <u32>SENTENCE_BYTES),
  );
  answer.sentencesLen += 1;
  sentence.textPtr = text.start;
  sentence.textLen = text.length;
  if (quote == null) return;
  sentence.eventIdSome = 1;
  if (quote.idLen != 0) {
    sentence.eventIdPtr = <u32>quote.id;
    sentence.eventIdLen = quote.idLen;
    return;
  }
  const id = openWriter(24).literal("e").number(quote.eventNumber);
  sentence.eventIdPtr = id.start;
  sentence.eventIdLen = id.length;
}
