// Conversations with nothing around them: a message at a time from the fields of `given`, through
// the tokenizer, into a region at the start of the third page; and what is told of them.
import { alloc, reset } from "../../../sdk/assembly/arena";
import { mix32 } from "../../../sdk/assembly/sketches/bytes";
import {
  forgetText, hash32, scratchBytes, TERM_RECORD_BYTES, tokenize,
} from "../../../sdk/assembly/text/tokenize";
import {
  findConversation, itemOf, listConversations, participantsOf, textOf,
} from "../conversation-report";
import { Conversations } from "../conversations";
import { Message, openMessage } from "../message";

export { reset };

export const REGION: usize = 0x20000;
const TERMS_MAX: u32 = 192;
const TEXT_BYTES_MAX: u32 = 4096;

/** Room for an argument, until `reset`. */
export function room(bytes: u32): usize {
  return alloc(bytes, 8);
}

export function observe(
  bytes: u32, conversation: usize, conversationLen: u32, user: usize, userLen: u32, id: usize,
  idLen: u32, text: usize, textLen: u32, tsMs: f64, eventNumber: u32, isLate: bool,
): void {
  const message = openMessage();
  message.conversation = <u32>conversation;
  message.conversationLen = conversationLen;
  message.user = <u32>user;
  message.userLen = userLen;
  message.userHash = userLen != 0 ? mix32(hash32(user, userLen)) : 0;
  message.id = <u32>id;
  message.idLen = idLen;
  message.text = <u32>text;
  message.textLen = textLen;
  message.tsMs = tsMs;
  message.events = 1;
  message.isLate = isLate;
  message.eventNumber = <u64>eventNumber;
  readTerms(message);
  store_().observe(bytes, message, true);
  forgetText();
}

function readTerms(message: Message): void {
  let bytes = message.textLen;
  if (bytes > TEXT_BYTES_MAX) {
    bytes = TEXT_BYTES_MAX;
    while (bytes > 0 && (load<u8>(<usize>(message.text + bytes)) & 0xc0) == 0x80) bytes -= 1;
  }
  message.terms = <u32>alloc(<usize>TERMS_MAX * TERM_RECORD_BYTES, 16);
  const scratch = alloc(scratchBytes(bytes, TERMS_MAX) + 64, 16);
  message.termCount = tokenize(message.text, bytes, message.terms, TERMS_MAX, scratch);
}

/** Batch of `count` messages at `list`, 48 bytes each: the arguments of `observe` after bytes, in
 * u32 but tsMs; for measuring. Returns the evictions, which depend on all of it. */
export function observeAll(bytes: u32, list: usize, count: u32, rounds: u32, tokenizes: bool): f64 {
  const message = openMessage();
  message.events = 1;
  message.terms = <u32>alloc(<usize>TERMS_MAX * TERM_RECORD_BYTES, 16);
  const scratch = alloc(scratchBytes(TEXT_BYTES_MAX, TERMS_MAX) + 64, 16);
  let number: u32 = 0;
  for (let round: u32 = 0; round < rounds; round++) {
    for (let index: u32 = 0; index < count; index++) {
      const at = list + <usize>index * 48;
      message.conversation = load<u32>(at);
      message.conversationLen = load<u32>(at, 4);
      message.user = load<u32>(at, 8);
      message.userLen = load<u32>(at, 12);
      message.userHash = mix32(hash32(message.user, message.userLen));
      message.text = load<u32>(at, 16);
      message.textLen = load<u32>(at, 20);
      message.tsMs = load<f64>(at, 24) + <f64>round * 1e7;
      message.idLen = 0;
      message.eventNumber = <u64>(++number);
      message.termCount = tokenize(
        message.text, message.textLen, message.terms, TERMS_MAX, scratch,
      );
      if (!tokenizes) store_().observe(bytes, message, true);
    }
  }
  return store_().evictions + <f64>message.termCount;
}

export function clear(): void {
  memory.fill(REGION, 0, 0x10000);
}

export function countOf(): u32 {
  return store_().count;
}

export function singlesOf(): u32 {
  return store_().singles;
}

export function usedOf(): u32 {
  return store_().used;
}

export function evictionsOf(): f64 {
  return store_().evictions;
}

export function eventsEvictedOf(): f64 {
  return store_().eventsEvicted;
}

export function recordBytes(index: u32): u32 {
  return store_().at(index).used;
}

export function list(limit: u32): usize {
  return changetype<usize>(listConversations(store_(), limit));
}

/** Item, participants and text of a conversation: u32[3] addresses; 0 if it is not remembered. */
export function find(id: usize, idLen: u32): usize {
  const record = findConversation(store_(), id, idLen);
  if (record == null) return 0;
  const result = alloc(12, 4);
  store<u32>(result, <u32>changetype<usize>(itemOf(record)));
  store<u32>(result, <u32>changetype<usize>(participantsOf(record)), 4);
  store<u32>(result, <u32>changetype<usize>(textOf(record)), 8);
  return result;
}

export function ownText(): usize {
  return changetype<usize>(textOf(store_().own));
}

function store_(): Conversations {
  return changetype<Conversations>(REGION);
}
