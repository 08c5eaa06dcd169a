/**
 * Tenants at rest: what each tenant's memory holds beyond its component's base, in 4 KiB pages.
 *
 *   heads    tenant -> first page of its image, or NO_PAGE: the memory equals the base
 *   masks    first page -> which pages of the memory the image holds, one bit each, in two words
 *   nexts    page -> the next page of the chain (of an image by ascending bit; or of the free list)
 *   chunks   the pages' bytes, 16 MiB at a time, allocated when the first page in them is needed
 *
 * A tenant costs 4 bytes here and its pages; there is no object a tenant.
 *
 * A new image is written to free pages and becomes the tenant's by ONE store into `heads`; then the
 * old pages are freed. Whoever is interrupted in between (the guard of the host ends a slice at any
 * statement) leaves either the old image or the new one, whole, and perhaps pages that nobody owns:
 * `recover` collects those from what `heads` says.
 */
import assert from "node:assert/strict";
import type { Hash } from "node:crypto";
import { IMAGE_BYTES_MAX, IMAGE_PAGE_BYTES } from "#model/limits.ts";

export const NO_PAGE = -1;

/** A mask is so many words of 32 bits, bit `page % 32` of word `page / 32`. */
export const MASK_WORDS = 2;
/** Pages of a memory that a mask can speak of. */
export const MASK_PAGES_MAX = MASK_WORDS * 32;

const NO_MASK = new Uint32Array(MASK_WORDS);

const IMAGE_PAGES_MAX = IMAGE_BYTES_MAX / IMAGE_PAGE_BYTES;

const CHUNK_PAGES_LOG2 = 12;
const CHUNK_PAGES = 2 ** CHUNK_PAGES_LOG2;

export class Images {
  readonly #heads: Int32Array;
  readonly #masks: Uint32Array;
  readonly #nexts: Int32Array;
  readonly #chunks: Buffer[] = [];
  readonly #pageCountMax: number;
  readonly #pageCountFull: number;
  #pageCount = 0;
  #freeHead = NO_PAGE;
  /** Pages from here on were never used. */
  #freshPage = 0;

  constructor(options: { tenantCountMax: number; imageBytesMax: number; slotCount: number }) {
    this.#pageCountFull = Math.floor(options.imageBytesMax / IMAGE_PAGE_BYTES);
    // Whoever is in a slot when all is full may still be put to rest.
    this.#pageCountMax = this.#pageCountFull + options.slotCount * IMAGE_PAGES_MAX;
    // While an image is replaced, both are there.
    const pageCapacity = this.#pageCountMax + MASK_PAGES_MAX;
    this.#heads = new Int32Array(options.tenantCountMax).fill(NO_PAGE);
    this.#masks = new Uint32Array(pageCapacity * MASK_WORDS);
    this.#nexts = new Int32Array(pageCapacity);
  }

  /** Bytes of all images. */
  get bytes(): number {
    return this.#pageCount * IMAGE_PAGE_BYTES;
  }

  /** No tenant may take more: nothing that adds to a state is done until some have shrunk. */
  get isFull(): boolean {
    return this.#pageCount >= this.#pageCountFull;
  }

  /** First page of the tenant's image: changes with every `store`, and only then. */
  head(tenant: number): number {
    return this.#heads[tenant]!;
  }

  /** Pages of the tenant's image. */
  pageCount(tenant: number): number {
    const head = this.#heads[tenant]!;
    if (head === NO_PAGE) return 0;
    const at = head * MASK_WORDS;
    return bitCount(this.#masks[at]!) + bitCount(this.#masks[at + 1]!);
  }

  /**
   * Replaces the tenant's image by the pages of `memory` in `mask`. False: no room, nothing
   * changed.
   */
  store(tenant: number, mask: Uint32Array, pages: readonly Uint8Array[]): boolean {
    const oldHead = this.#heads[tenant]!;
    const addedCount = pageCountOf(mask) - this.pageCount(tenant);
    if (this.#pageCount + addedCount > this.#pageCountMax) return false;
    let head = NO_PAGE;
    for (let word = MASK_WORDS - 1; word >= 0; word--) {
      for (let bits = mask[word]!; bits !== 0;) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        const page = this.#take();
        this.#chunk(page).set(pages[word * 32 + bit]!, offsetOf(page));
        this.#nexts[page] = head;
        head = page;
      }
    }
    if (head !== NO_PAGE) this.#masks.set(mask, head * MASK_WORDS);
    this.#heads[tenant] = head; // From here on the new image is the tenant's.
    this.#pageCount += addedCount;
    this.#freeChain(oldHead);
    return true;
  }

  /** Writes the tenant's image over a memory that equals the base. */
  load(tenant: number, memory: Uint8Array): void {
    let page = this.#heads[tenant]!;
    if (page === NO_PAGE) return;
    const maskAt = page * MASK_WORDS;
    for (let word = 0; word < MASK_WORDS; word++) {
      for (let bits = this.#masks[maskAt + word]!; bits !== 0; bits &= bits - 1) {
        const target = (word * 32 + 31 - Math.clz32(bits & -bits)) * IMAGE_PAGE_BYTES;
        const offset = offsetOf(page);
        this.#chunk(page).copy(memory, target, offset, offset + IMAGE_PAGE_BYTES);
        page = this.#nexts[page]!;
      }
    }
    assert(page === NO_PAGE);
  }

  free(tenant: number): void {
    const head = this.#heads[tenant]!;
    const count = this.pageCount(tenant);
    this.#heads[tenant] = NO_PAGE;
    this.#pageCount -= count;
    this.#freeChain(head);
  }

  /** Feeds the tenant's image to a hash: its mask, then its pages in order. */
  hash(tenant: number, hash: Hash): void {
    const head = this.#heads[tenant]!;
    const maskAt = head * MASK_WORDS;
    hash.update(head === NO_PAGE ? NO_MASK : this.#masks.subarray(maskAt, maskAt + MASK_WORDS));
    for (let page = head; page !== NO_PAGE; page = this.#nexts[page]!) {
      const offset = offsetOf(page);
      hash.update(this.#chunk(page).subarray(offset, offset + IMAGE_PAGE_BYTES));
    }
  }

  /** After an interruption: only `heads` is believed, everything else follows from it. */
  recover(isOpen: (tenant: number) => boolean): void {
    const isOwned = new Uint8Array(this.#freshPage);
    this.#pageCount = 0;
    for (let tenant = 0; tenant < this.#heads.length; tenant++) {
      if (this.#heads[tenant] === NO_PAGE) continue;
      if (!isOpen(tenant)) {
        this.#heads[tenant] = NO_PAGE;
        continue;
      }
      for (let page = this.#heads[tenant]!; page !== NO_PAGE; page = this.#nexts[page]!) {
        assert(isOwned[page] === 0);
        isOwned[page] = 1;
        this.#pageCount += 1;
      }
    }
    this.#freeHead = NO_PAGE;
    for (let page = this.#freshPage - 1; page >= 0; page--) {
      if (isOwned[page] === 0) this.#freeOne(page);
    }
  }

  #take(): number {
    const page = this.#freeHead;
    if (page !== NO_PAGE) {
      this.#freeHead = this.#nexts[page]!;
      return page;
    }
    assert(this.#freshPage < this.#nexts.length);
    return this.#freshPage++;
  }

  #freeChain(head: number): void {
    let page = head;
    while (page !== NO_PAGE) {
      const next = this.#nexts[page]!;
      this.#freeOne(page);
      page = next;
    }
  }

  #freeOne(page: number): void {
    this.#nexts[page] = this.#freeHead;
    this.#freeHead = page;
  }

  #chunk(page: number): Buffer {
    const index = page >>> CHUNK_PAGES_LOG2;
    const chunk = this.#chunks[index];
    if (chunk !== undefined) return chunk;
    const pageCount = Math.min(CHUNK_PAGES, this.#nexts.length - index * CHUNK_PAGES);
    // Zeroed memory comes from the system untouched: its pages cost nothing until they are written.
    return (this.#chunks[index] = Buffer.from(new ArrayBuffer(pageCount * IMAGE_PAGE_BYTES)));
  }
}

/** Pages in a mask. */
export function pageCountOf(mask: Uint32Array): number {
  return bitCount(mask[0]!) + bitCount(mask[1]!);
}

/** Bits set in a word. */
export function bitCount(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Of a page within its chunk. */
function offsetOf(page: number): number {
  return (page & (CHUNK_PAGES - 1)) * IMAGE_PAGE_BYTES;
}
