// The tenant's own rolling text: when it begins, and where it is read.
//
// It lies in the second page and begins when it pays: most tenants say a thing or two and fall
// silent. Until then every text is one of the quotes, as it was said, and the text that is told is
// what the rolling text would be, made of them when somebody asks. So it begins with the first text
// of which that would not stay true: the fourth, or one that is late, too long for a quote or
// would take another's place; when a quote leaves the window; and in a tenant that is warm. It
// begins with what the quotes say, so nobody can tell when it did.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import {
  forgetText, scratchBytes, TERM_RECORD_BYTES, tokenize,
} from "../../sdk/assembly/text/tokenize";
import { Record } from "./conversation-record";
import { openOwn, OWN_BYTES, tellOwn } from "./conversations";
import { Message, openMessage, readMessage } from "./message";
import { Quote, quoteAfter, TEXT_BYTES_MAX } from "./quotes";
import { Rest, unpackOwn } from "./rest";
import { conversations, state } from "./state";

/** Texts that are left to the quotes. */
export const TEXT_EVENTS_BEFORE: u32 = 3;
const TERMS_MAX: u32 = 192;

/** Of a tenant that does not rest. */
@inline
export function isTextBegun(): bool {
  return conversations().own.used != 0;
}

export function beginText(): void {
  openOwn(conversations().own);
  replay(conversations().own);
}

/** The record to read the text from, wherever it lies; it may be in the arena. */
export function ownRecord(): Record {
  const own = conversations().own;
  if (own.used != 0) return own;
  const copy = changetype<Record>(alloc(OWN_BYTES, 16));
  if (state().rest != 0) unpackOwn(changetype<Rest>(<usize>state().rest), copy);
  else replay(copy);
  return copy;
}

/** Tells the record what the quotes say, in the order in which it was said. */
function replay(own: Record): void {
  let quote = quoteAfter(0);
  if (quote == null) return;
  const start = mark();
  const message = openMessage();
  message.terms = <u32>alloc(<usize>TERMS_MAX * TERM_RECORD_BYTES, 16);
  const scratch = alloc(scratchBytes(TEXT_BYTES_MAX, TERMS_MAX) + 64, 16);
  while (quote != null) {
    tell(own, message, quote, scratch);
    quote = quoteAfter(quote.eventNumber);
  }
  forgetText();
  release(start);
}

function tell(own: Record, message: Message, quote: Quote, scratch: usize): void {
  message.user = <u32>quote.user;
  message.userLen = quote.userLen;
  message.userHash = quote.userHash;
  message.id = <u32>quote.id;
  message.idLen = quote.idLen;
  message.text = <u32>quote.text;
  message.textLen = quote.textLen;
  message.termCount = tokenize(message.text, message.textLen, message.terms, TERMS_MAX, scratch);
  message.events = 1;
  message.tsMs = quote.tsMs;
  message.eventNumber = quote.eventNumber;
  readMessage(message);
  tellOwn(own, message);
}
