// What the indexes of a sender mean. Only the receiver writes; shards read, and note in a tenant's entry
// the number they gave it. All of it lies in pages of 16 KiB from one bounded pool, owned by the sender.
//
//   root page   0 text page · 4 end of the text in it · 8 last page of the sender
//               64 directory of pages of tenants, 512 x u32 · then of pages of terms, 1024 x u32
//   tenants     2048 x { u32 text, u32 incarnation << 24 | number + 1, by the shard }
//   terms       4096 x u32 text
//   text        u8 bytes, then UTF-8; an entry that has one never changes: an index is bound once
import { PLACEMENTS, INDEX_TERM, SENDERS, TENANT_BITS, TERM_BITS } from "./layout.gen";
import { count, pageCount, pageNext, pool, receiverCounters, senderRoot, senderRootSet } from "./stage";
import { hasControls, isTenantName, isUtf8, tenantHash } from "./text";

const PAGE_SHIFT: usize = 14;
const PAGE_BYTES: usize = 16384;
const TENANTS_PER_PAGE_BITS: u32 = 11;
const TERMS_PER_PAGE_BITS: u32 = 12;
const TENANT_PAGES: usize = 512;
const ROOT_TEXT_PAGE: usize = 0;
const ROOT_TEXT_END: usize = 4;
const ROOT_PAGES: usize = 8;
const ROOT_TENANTS: usize = 64;
const ROOT_TERMS: usize = 64 + 2048;
const ENTRY_HEADER_BYTES: usize = 6;
const TENANT_BYTES_MAX: u32 = 64;
const TERM_BYTES_MAX: u32 = 40;

// Of the receiver, u64 each.
const ENTRIES_BOUND: usize = 16;
const ENTRIES_KNOWN: usize = 24;
const ENTRIES_INVALID: usize = 32;
const ENTRIES_REBOUND: usize = 40;
const ENTRIES_MISPLACED: usize = 48;
const ENTRIES_WITHOUT_ROOM: usize = 56;
const PAGES_USED: usize = 72;
/** First free page + 1, and pages never used yet: at the end, behind all that is counted. */
const FREE_PAGE: usize = 112;
const FRESH_PAGE: usize = 120;

/** Address of the tenant's entry, or 0. */
export function tenantEntry(root: usize, index: u32): usize {
  const page = atomic.load<u32>(root + ROOT_TENANTS + (<usize>(index >> TENANTS_PER_PAGE_BITS) << 2));
  if (page == 0) return 0;
  return <usize>page + (<usize>(index & ((1 << TENANTS_PER_PAGE_BITS) - 1)) << 3);
}

/** Address of the term's text, or 0. */
export function termText(root: usize, index: u32): usize {
  const page = atomic.load<u32>(root + ROOT_TERMS + (<usize>(index >> TERMS_PER_PAGE_BITS) << 2));
  if (page == 0) return 0;
  return atomic.load<u32>(<usize>page + (<usize>(index & ((1 << TERMS_PER_PAGE_BITS) - 1)) << 2));
}

/**
 * Writes which runs of records are of the tenant of this name, u64 each: number of the sender, then
 * index, as in a key. Returns how many, `most` at most. Its indexes all end in its placement.
 */
export function findRuns(name: usize, bytes: u32, to: usize, most: u32): u32 {
  const placement = <usize>(tenantHash(name, bytes) & (PLACEMENTS - 1));
  let found: u32 = 0;
  for (let sender: u32 = 0; sender < SENDERS; sender++) {
    const root = senderRoot(sender);
    if (root == 0) continue;
    for (let i: usize = 0; i < TENANT_PAGES; i++) {
      const page = <usize>atomic.load<u32>(root + ROOT_TENANTS + (i << 2));
      if (page == 0) continue;
      for (let at = placement; at < <usize>1 << TENANTS_PER_PAGE_BITS; at += PLACEMENTS) {
        const text = <usize>atomic.load<u32>(page + (at << 3));
        if (text == 0 || !isText(text, name, bytes)) continue;
        if (found == most) return found;
        const index = (<u64>i << TENANTS_PER_PAGE_BITS) | <u64>at;
        store<u64>(to + (<usize>found << 3), (<u64>sender << TENANT_BITS) | index);
        found++;
      }
    }
  }
  return found;
}

/** No index of any sender that means this tenant has a number any more: the host is asked anew. */
export function unbindTenant(name: usize, bytes: u32): void {
  const placement = <usize>(tenantHash(name, bytes) & (PLACEMENTS - 1));
  for (let sender: u32 = 0; sender < SENDERS; sender++) {
    const root = senderRoot(sender);
    if (root == 0) continue;
    for (let i: usize = 0; i < TENANT_PAGES; i++) {
      const page = <usize>atomic.load<u32>(root + ROOT_TENANTS + (i << 2));
      if (page == 0) continue;
      for (let at = placement; at < <usize>1 << TENANTS_PER_PAGE_BITS; at += PLACEMENTS) {
        const text = <usize>atomic.load<u32>(page + (at << 3));
        if (text != 0 && isText(text, name, bytes)) store<u32>(page + (at << 3), 0, 4);
      }
    }
  }
}

/** Takes all entries that are right; false, and none, if they do not fill the datagram exactly. */
export function takeDictionary(sender: u32, start: usize, end: usize, entryCount: u32): bool {
  let at = start;
  for (let i: u32 = 0; i < entryCount; i++) {
    if (end - at < ENTRY_HEADER_BYTES) return false;
    const bytes = <usize>load<u16>(at, 4);
    at += ENTRY_HEADER_BYTES;
    if (end - at < bytes) return false;
    at += bytes;
  }
  if (at != end) return false;
  at = start;
  for (let i: u32 = 0; i < entryCount; i++) {
    const bytes = <u32>load<u16>(at, 4);
    takeEntry(sender, load<u32>(at), at + ENTRY_HEADER_BYTES, bytes);
    at += ENTRY_HEADER_BYTES + <usize>bytes;
  }
  return true;
}

/** Gives the sender's pages back. */
export function freeDictionary(sender: u32): void {
  const root = senderRoot(sender);
  if (root == 0) return;
  senderRootSet(sender, 0);
  let page = load<u32>(root, ROOT_PAGES);
  while (page != 0) {
    const next = load<u32>(pageNext + (<usize>page << 2));
    store<u32>(pageNext + (<usize>page << 2), load<u32>(receiverCounters + FREE_PAGE));
    store<u32>(receiverCounters + FREE_PAGE, page);
    count(receiverCounters + PAGES_USED, -1);
    page = next;
  }
}

function takeEntry(sender: u32, index: u32, text: usize, bytes: u32): void {
  const isTerm = (index & INDEX_TERM) != 0;
  const number = index & ~INDEX_TERM;
  if (isTerm) {
    const legal = number >> TERM_BITS == 0 && bytes - 1 < TERM_BYTES_MAX;
    if (!legal || hasControls(text, bytes) || !isUtf8(text, text + bytes)) {
      return tally(ENTRIES_INVALID);
    }
  } else {
    if (number >> TENANT_BITS != 0 || bytes - 1 >= TENANT_BYTES_MAX || !isTenantName(text, bytes)) {
      return tally(ENTRIES_INVALID);
    }
    // Its records went to the part that the index says; the tenant lives where its name says.
    const placement = tenantHash(text, bytes) & (PLACEMENTS - 1);
    if (placement != (number & (PLACEMENTS - 1))) return tally(ENTRIES_MISPLACED);
  }
  const entry = entryFor(sender, isTerm, number);
  if (entry == 0) return tally(ENTRIES_WITHOUT_ROOM);
  const known = <usize>load<u32>(entry);
  if (known != 0) {
    return tally(isText(known, text, bytes) ? ENTRIES_KNOWN : ENTRIES_REBOUND);
  }
  const copy = keepText(sender, text, bytes);
  if (copy == 0) return tally(ENTRIES_WITHOUT_ROOM);
  atomic.store<u32>(entry, <u32>copy);
  tally(ENTRIES_BOUND);
}

/** Address of the entry of an index, its pages made if need be; 0 when the pool is empty. */
function entryFor(sender: u32, isTerm: bool, number: u32): usize {
  let root = senderRoot(sender);
  if (root == 0) {
    root = takePage(0);
    if (root == 0) return 0;
    senderRootSet(sender, root);
  }
  const bits = isTerm ? TERMS_PER_PAGE_BITS : TENANTS_PER_PAGE_BITS;
  const directory = root + (isTerm ? ROOT_TERMS : ROOT_TENANTS) + (<usize>(number >> bits) << 2);
  let page = <usize>load<u32>(directory);
  if (page == 0) {
    page = takePage(root);
    if (page == 0) return 0;
    atomic.store<u32>(directory, <u32>page);
  }
  return page + (<usize>(number & ((1 << bits) - 1)) << (isTerm ? 2 : 3));
}

function keepText(sender: u32, text: usize, bytes: u32): usize {
  const root = senderRoot(sender);
  let end = <usize>load<u32>(root, ROOT_TEXT_END);
  if (end == 0 || end + 1 + <usize>bytes > <usize>load<u32>(root, ROOT_TEXT_PAGE) + PAGE_BYTES) {
    end = takePage(root);
    if (end == 0) return 0;
    store<u32>(root, <u32>end, ROOT_TEXT_PAGE);
  }
  store<u8>(end, <u8>bytes);
  memory.copy(end + 1, text, bytes);
  store<u32>(root, <u32>end + 1 + bytes, ROOT_TEXT_END);
  return end;
}

/** An empty page that belongs to `root`, or, if that is 0, is a root itself; 0 when there is none. */
function takePage(root: usize): usize {
  let page = load<u32>(receiverCounters + FREE_PAGE);
  if (page != 0) {
    store<u32>(receiverCounters + FREE_PAGE, load<u32>(pageNext + (<usize>page << 2)));
  } else {
    // Page 0 is never used: 0 means none.
    page = load<u32>(receiverCounters + FRESH_PAGE) + 1;
    if (page >= pageCount) return 0;
    store<u32>(receiverCounters + FRESH_PAGE, page);
  }
  const address = pool + (<usize>page << PAGE_SHIFT);
  memory.fill(address, 0, PAGE_BYTES);
  const owner = root == 0 ? address : root;
  store<u32>(pageNext + (<usize>page << 2), load<u32>(owner, ROOT_PAGES));
  store<u32>(owner, page, ROOT_PAGES);
  count(receiverCounters + PAGES_USED, 1);
  return address;
}

function isText(known: usize, text: usize, bytes: u32): bool {
  if (<u32>load<u8>(known) != bytes) return false;
  for (let i: usize = 0; i < <usize>bytes; i++) {
    if (load<u8>(known + 1 + i) != load<u8>(text + i)) return false;
  }
  return true;
}

function tally(counter: usize): void {
  count(receiverCounters + counter, 1);
}
