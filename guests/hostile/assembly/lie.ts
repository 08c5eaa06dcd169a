// Lies about what a call returned: each breaks the canonical ABI, or the world, in one place.
import { IngestReport, Sentence, TrendItem, TrendingReport } from "./world.gen";
import { MEMORY_BYTES, alloc } from "./arena";

export const LIE_REPORT_WILD: u32 = 1;
export const LIE_REPORT_MISALIGNED: u32 = 2;
export const LIE_FATES_LENGTH: u32 = 3;
export const LIE_FATES_POINTER: u32 = 4;
export const LIE_FATES_FEW: u32 = 5;
export const LIE_COUNTS: u32 = 6;
export const LIE_FATE_UNKNOWN: u32 = 7;
/** The report begins within the memory and ends beyond it. */
export const LIE_REPORT_EDGE: u32 = 8;
/** A refused metric, which any fate may have, and a fate that there is not. */
export const LIE_FATE_BITS: u32 = 9;

export const LIE_TERM_UTF8: u32 = 16;
export const LIE_TERM_OVERLONG: u32 = 17;
export const LIE_TERM_SURROGATE: u32 = 18;
export const LIE_TERM_CUT: u32 = 19;
export const LIE_TERM_POINTER: u32 = 20;
export const LIE_TERM_LENGTH: u32 = 21;
export const LIE_ITEMS_LENGTH: u32 = 22;
export const LIE_ITEMS_MISALIGNED: u32 = 23;
export const LIE_ITEMS_POINTER: u32 = 24;
export const LIE_OPTION: u32 = 25;
/** Every item is the same 48 KiB of text: little memory, much to read. */
export const LIE_AMPLIFY: u32 = 26;
/** The list of items times the bytes of an item passes 2^32 and comes out small. */
export const LIE_ITEMS_OVERFLOW: u32 = 27;
/** Not lies: what `trending` and the other questions do instead of answering. */
export const TRENDING_SPIN: u32 = 40;
export const TRENDING_TRAP: u32 = 41;
export const TRENDING_RECURSE: u32 = 42;
export const ADVANCE_SPIN: u32 = 43;
export const ADVANCE_TRAP: u32 = 44;

export function twistIngest(lie: u32, report: IngestReport): usize {
  const address = changetype<usize>(report);
  if (lie == LIE_REPORT_WILD) return <usize>0x7ffffff0;
  if (lie == LIE_REPORT_MISALIGNED) return address + 2;
  if (lie == LIE_REPORT_EDGE) return <usize>(MEMORY_BYTES - 8);
  if (lie == LIE_FATES_LENGTH) report.fatesLen = 0xffffffff;
  if (lie == LIE_FATES_POINTER) report.fatesPtr = 0xffffffff;
  if (lie == LIE_FATES_FEW) report.fatesLen -= 1;
  if (lie == LIE_COUNTS) report.counted += 1;
  if (lie == LIE_FATE_UNKNOWN) store<u8>(<usize>report.fatesPtr, 4);
  if (lie == LIE_FATE_BITS) store<u8>(<usize>report.fatesPtr, 8 | 4);
  return address;
}

export function twistTrending(lie: u32, report: TrendingReport): usize {
  const item = changetype<TrendItem>(<usize>report.itemsPtr);
  if (lie >= LIE_TERM_UTF8 && lie <= LIE_TERM_CUT) {
    item.termPtr = <u32>badText(lie);
    item.termLen = 4;
  }
  if (lie == LIE_TERM_POINTER) item.termPtr = 0xfffffff0;
  if (lie == LIE_TERM_LENGTH) item.termLen = 0x7fffffff;
  if (lie == LIE_ITEMS_LENGTH) report.itemsLen = 0x00ffffff;
  if (lie == LIE_ITEMS_OVERFLOW) report.itemsLen = 0x20000001; // Times 72 is 72 in 32 bits.
  if (lie == LIE_ITEMS_MISALIGNED) report.itemsPtr += 4;
  if (lie == LIE_ITEMS_POINTER) report.itemsPtr = 0xfffffff8;
  if (lie == LIE_OPTION) changetype<Sentence>(<usize>report.sentencesPtr).eventIdSome = 2;
  if (lie == LIE_AMPLIFY) amplify(report);
  return changetype<usize>(report);
}

/** Four bytes that are no UTF-8. */
export function badText(lie: u32): usize {
  const text = alloc(8, 1);
  store<u32>(text, 0x20202020);
  if (lie == LIE_TERM_UTF8) store<u8>(text, 0xff);
  if (lie == LIE_TERM_OVERLONG) store<u16>(text, 0xafc0); // C0 AF: an overlong "/".
  if (lie == LIE_TERM_SURROGATE) store<u32>(text, 0x2080a0ed); // ED A0 80: half a pair.
  if (lie == LIE_TERM_CUT) store<u32>(text, 0x9f20f020); // F0 9F at the end: half an emoji.
  if (lie == LIE_TERM_CUT) store<u16>(text + 2, 0x9ff0);
  return text;
}

function amplify(report: TrendingReport): void {
  const count: u32 = 128;
  const items = alloc(count * offsetof<TrendItem>(), 8);
  for (let index: u32 = 0; index < count; index++) {
    const item = changetype<TrendItem>(items + index * offsetof<TrendItem>());
    item.samplePtr = 65536 + 12288;
    item.sampleLen = 48 * 1024;
  }
  report.itemsPtr = <u32>items;
  report.itemsLen = count;
}
