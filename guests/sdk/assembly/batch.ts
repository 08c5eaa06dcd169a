// The batch a host hands to `ingest`: the layout, once, for guests, batcher and host.
//
//   header, 16 bytes                      event, 32 bytes + payload, 8-aligned
//   0  u32 event count                    0  u32 bytes of the whole event, padding included
//   4  u32 reserved, 0                    4  u32 weight, at least 1
//   8  f64 now, epoch ms of the host      8  f64 time of the event, epoch ms
//                                         16 u16 bytes of id           (0: it has none)
//                                         18 u16 bytes of user         (0: anonymous)
//                                         20 u16 bytes of conversation (0: none)
//                                         22 u16 count of terms
//                                         24 u32 bytes of text         (0: none)
//                                         28 u16 count of metrics
//                                         30 u16 reserved, 0
//                                         32 id, user, conversation, text: UTF-8, back to back
//                                         .. terms:   { u16 bytes, UTF-8 } each
//                                         .. metrics: { f64 value, u16 bytes of name, UTF-8 } each,
//                                            not aligned
//
// All numbers are little-endian. Strings are valid UTF-8. Whoever writes a batch keeps the limits of
// src/model/limits.ts; a guest may rely on them, and the host relies on nothing the guest says.

export const BATCH_HEADER_BYTES: u32 = 16;
export const EVENT_HEADER_BYTES: u32 = 32;
