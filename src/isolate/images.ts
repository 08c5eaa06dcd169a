/**
 * Tenants at rest: what each tenant's memory holds beyond its component's base, packed (scanner.wat
 * says how): pages that equal the base are left out, and of the others the lines of 64 bytes that
 * are zero. Here it is so many bytes that begin with their number.
 *
 *   heads    tenant -> first block of its image, or NO_BLOCK: the memory equals the base
 *   nexts    block -> the next of the chain (of an image from its first byte on; or of those free)
 *   chunks   the blocks' bytes, 16 MiB at a time, allocated when the first block in them is needed
 *
 * A tenant costs 4 bytes here and its blocks; there is no object a tenant. Blocks are small, so
 * that little is wasted behind an image's end, and a chain is taken from and given back to the free
 * ones as it is: what once lay side by side mostly does so again, and is copied in one go.
 *
 * A new image is written to free blocks and becomes the tenant's by ONE store into `heads`; then
 * the old blocks are freed. Whoever is interrupted in between (the guard of the host ends a slice
 * at any statement) leaves either the old image or the new one, whole, and perhaps blocks that
 * nobody owns: `recover` collects those from what `heads` says.
 */
import assert from "node:assert/strict";
import type { Hash } from "node:crypto";
import { IMAGE_BYTES_MAX, IMAGE_PAGE_BYTES } from "#model/limits.ts";
import { packedBytes, packedBytesMax } from "./scanner.ts";

export const NO_BLOCK = -1;

/** A mask is so many words of 32 bits, bit `page % 32` of word `page / 32`. */
export const MASK_WORDS = 2;
/** Pages of a memory that a mask can speak of. */
export const MASK_PAGES_MAX = MASK_WORDS * 32;

const BLOCK_BYTES_LOG2 = 8;
export const BLOCK_BYTES = 2 ** BLOCK_BYTES_LOG2;
const CHUNK_BLOCKS_LOG2 = 24 - BLOCK_BYTES_LOG2;
const CHUNK_BLOCKS = 2 ** CHUNK_BLOCKS_LOG2;

const IMAGE_BLOCKS_MAX = blocksOf(packedBytesMax(IMAGE_BYTES_MAX / IMAGE_PAGE_BYTES));

/** A memory that equals its base, over which what lies packed can be written. */
export type Unpacker = { readonly unpack: () => void };

export class Images {
  readonly #heads: Int32Array;
  readonly #nexts: Int32Array;
  readonly #chunks: Buffer[] = [];
  readonly #blockCountMax: number;
  readonly #blockCountFull: number;
  readonly #reserve: number;
  #blockCount = 0;
  /** Images of another world under the same bound. */
  #sibling: Images | undefined;
  #freeHead = NO_BLOCK;
  /** Blocks from here on were never used. */
  #freshBlock = 0;

  constructor(options: { tenantCountMax: number; imageBytesMax: number; slotCount: number }) {
    this.#blockCountFull = Math.floor(options.imageBytesMax / BLOCK_BYTES);
    // Whoever is in a slot when all is full may still be put to rest.
    this.#reserve = options.slotCount * IMAGE_BLOCKS_MAX;
    this.#blockCountMax = this.#blockCountFull + this.#reserve;
    // While an image is replaced, both are there.
    const blockCapacity = this.#blockCountMax + IMAGE_BLOCKS_MAX;
    this.#heads = new Int32Array(options.tenantCountMax).fill(NO_BLOCK);
    this.#nexts = new Int32Array(blockCapacity);
  }

  /** What both take counts for both; the bound is that of either. */
  shareBound(other: Images): void {
    this.#sibling = other;
    other.#sibling = this;
  }

  /** Bytes of all images. */
  get bytes(): number {
    return this.#blockCount * BLOCK_BYTES;
  }

  /** No tenant may take more: nothing that adds to a state is done until some have shrunk. */
  get isFull(): boolean {
    const others = this.#sibling === undefined ? 0 : this.#sibling.#blockCount;
    return this.#blockCount + others >= this.#blockCountFull;
  }

  /** First block of the tenant's image: changes with every `store`, and only then. */
  head(tenant: number): number {
    return this.#heads[tenant]!;
  }

  /** Bytes that the tenant's image takes here. */
  bytesOf(tenant: number): number {
    return this.#blockCountOf(this.#heads[tenant]!) * BLOCK_BYTES;
  }

  /** Replaces the tenant's image by so many bytes. False: there is no room, nothing changed. */
  store(tenant: number, packed: Buffer, byteCount: number): boolean {
    const oldHead = this.#heads[tenant]!;
    const blockCount = blocksOf(byteCount);
    assert(blockCount <= IMAGE_BLOCKS_MAX);
    const addedCount = blockCount - this.#blockCountOf(oldHead);
    if (addedCount > 0 && !this.#hasRoom(addedCount)) return false;
    let head = NO_BLOCK;
    if (blockCount > 0) {
      assert(packed.readUInt32LE(0) === byteCount);
      head = this.#take(blockCount);
      this.#write(head, packed, byteCount);
    }
    this.#heads[tenant] = head; // From here on the new image is the tenant's.
    this.#blockCount += addedCount;
    this.#freeChain(oldHead);
    return true;
  }

  /** Writes the tenant's image over a memory that equals the base. */
  load(tenant: number, memory: Unpacker): void {
    if (this.read(tenant, packedBytes) > 0) memory.unpack();
  }

  /** Copies the tenant's image; returns its bytes, 0 if the memory equals the base. */
  read(tenant: number, packed: Buffer): number {
    let block = this.#heads[tenant]!;
    if (block === NO_BLOCK) return 0;
    const byteCount = this.#byteCount(block);
    for (let at = 0; at < byteCount;) {
      const end = this.#runEnd(block);
      const from = offsetOf(block);
      const runBytes = Math.min((end - block) * BLOCK_BYTES, byteCount - at);
      this.#chunk(block).copy(packed, at, from, from + runBytes);
      at += runBytes;
      block = this.#nexts[end - 1]!;
    }
    assert(block === NO_BLOCK);
    return byteCount;
  }

  free(tenant: number): void {
    const head = this.#heads[tenant]!;
    const count = this.#blockCountOf(head);
    this.#heads[tenant] = NO_BLOCK;
    this.#blockCount -= count;
    this.#freeChain(head);
  }

  /** Feeds the tenant's image to a hash. */
  hash(tenant: number, hash: Hash): void {
    const byteCount = this.read(tenant, packedBytes);
    hash.update(packedBytes.subarray(0, byteCount));
  }

  /** After an interruption: only `heads` is believed, everything else follows from it. */
  recover(isOpen: (tenant: number) => boolean): void {
    const isOwned = new Uint8Array(this.#freshBlock);
    this.#blockCount = 0;
    for (let tenant = 0; tenant < this.#heads.length; tenant++) {
      if (this.#heads[tenant] === NO_BLOCK) continue;
      if (!isOpen(tenant)) {
        this.#heads[tenant] = NO_BLOCK;
        continue;
      }
      for (let block = this.#heads[tenant]!; block !== NO_BLOCK; block = this.#nexts[block]!) {
        assert(isOwned[block] === 0);
        isOwned[block] = 1;
        this.#blockCount += 1;
      }
    }
    this.#freeHead = NO_BLOCK;
    for (let block = this.#freshBlock - 1; block >= 0; block--) {
      if (isOwned[block] !== 0) continue;
      this.#nexts[block] = this.#freeHead;
      this.#freeHead = block;
    }
  }

  #hasRoom(addedCount: number): boolean {
    const blockCount = this.#blockCount + addedCount;
    if (blockCount > this.#blockCountMax) return false;
    const sibling = this.#sibling;
    if (sibling === undefined) return true;
    return blockCount + sibling.#blockCount <= this.#blockCountMax + sibling.#reserve;
  }

  /** A chain of free blocks, and of fresh ones where those do not reach. */
  #take(count: number): number {
    let head = this.#freeHead;
    let tail = head;
    let taken = 0;
    if (head !== NO_BLOCK) {
      for (taken = 1; taken < count && this.#nexts[tail] !== NO_BLOCK; taken++) {
        tail = this.#nexts[tail]!;
      }
      this.#freeHead = this.#nexts[tail]!;
    }
    if (taken < count) {
      const first = this.#freshBlock;
      const end = first + count - taken;
      assert(end <= this.#nexts.length);
      this.#freshBlock = end;
      for (let block = first; block < end; block++) this.#nexts[block] = block + 1;
      if (head === NO_BLOCK) head = first;
      else this.#nexts[tail] = first;
      tail = end - 1;
    }
    this.#nexts[tail] = NO_BLOCK;
    return head;
  }

  #write(head: number, packed: Buffer, byteCount: number): void {
    let block = head;
    for (let at = 0; at < byteCount;) {
      const end = this.#runEnd(block);
      const runBytes = Math.min((end - block) * BLOCK_BYTES, byteCount - at);
      packed.copy(this.#chunk(block), offsetOf(block), at, at + runBytes);
      at += runBytes;
      block = this.#nexts[end - 1]!;
    }
    assert(block === NO_BLOCK);
  }

  /** Behind the last block of those that lie, and follow each other, side by side in a chunk. */
  #runEnd(first: number): number {
    const chunkEnd = (first | (CHUNK_BLOCKS - 1)) + 1;
    let end = first + 1;
    while (end < chunkEnd && this.#nexts[end - 1] === end) end += 1;
    return end;
  }

  /** The chain goes back as it is. */
  #freeChain(head: number): void {
    if (head === NO_BLOCK) return;
    let tail = head;
    while (this.#nexts[tail] !== NO_BLOCK) tail = this.#nexts[tail]!;
    this.#nexts[tail] = this.#freeHead;
    this.#freeHead = head;
  }

  #blockCountOf(head: number): number {
    return head === NO_BLOCK ? 0 : blocksOf(this.#byteCount(head));
  }

  #byteCount(head: number): number {
    return this.#chunk(head).readUInt32LE(offsetOf(head));
  }

  #chunk(block: number): Buffer {
    const index = block >>> CHUNK_BLOCKS_LOG2;
    const chunk = this.#chunks[index];
    if (chunk !== undefined) return chunk;
    const blockCount = Math.min(CHUNK_BLOCKS, this.#nexts.length - index * CHUNK_BLOCKS);
    // Zeroed memory comes from the system untouched: its pages cost nothing until they are written.
    return (this.#chunks[index] = Buffer.from(new ArrayBuffer(blockCount * BLOCK_BYTES)));
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

/** Blocks that so many bytes take. */
function blocksOf(byteCount: number): number {
  return (byteCount + BLOCK_BYTES - 1) >>> BLOCK_BYTES_LOG2;
}

/** Of a block within its chunk. */
function offsetOf(block: number): number {
  return (block & (CHUNK_BLOCKS - 1)) << BLOCK_BYTES_LOG2;
}
