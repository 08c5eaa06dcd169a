// The batch a host hands to `ingest`: the layout, once, for guests, batcher and host.
//
//   header, 16 bytes                      event, 32 bytes + payload, 8-aligned
//   0  u32 event count                    0  u32 bytes of the whole event, padding included
//   4  u32 events joined away (below)      4  u32 weight, at least 1
//   8  f64 now, epoch ms of the host      8  f64 time of the event, epoch ms
//                                         16 u16 bytes of id           (0: it has none)
//                                         18 u16 bytes of user         (0: anonymous)
//                                         20 u16 bytes of conversation (0: none)
//                                         22 u16 count of terms
//                                         24 u32 bytes of text         (0: none)
//                                         28 u16 count of metrics
//                                         30 u16 events joined into this one
//                                         32 id, user, conversation, text: UTF-8, back to back
//                                         .. terms:   { u16 bytes, UTF-8 } each
//                                         .. metrics: { f64 value, u16 bytes of name, UTF-8 } each,
//                                            not aligned
//
// Where equal events were joined before (the kernel stage adds up equal terms), one event stands for
// several: bits 0-14 of the u16 at 30 are how many more, and bit 15 says that it stands for none, its
// weight being the rest of the one before. The header holds by how much the true count exceeds its
// count of events (modulo 2^32). Both are 0 in batches of messages.
//
// All numbers are little-endian. Strings are valid UTF-8. Whoever writes a batch keeps the limits of
// src/model/limits.ts; a guest may rely on them, and the host relies on nothing the guest says.

export const BATCH_HEADER_BYTES: u32 = 16;
export const EVENT_HEADER_BYTES: u32 = 32;
export const JOINED_MORE_MAX: u32 = 0x7fff;
export const JOINED_NONE: u32 = 0x8000;

/** How many events the event at this address stands for. */
// @ts-ignore: decorator
@inline
export function eventsOf(event: usize): u32 {
  const joined = <u32>load<u16>(event, 30);
  return (joined & JOINED_NONE) != 0 ? 0 : 1 + joined;
}
