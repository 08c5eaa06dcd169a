/** One place where a tenant runs: an instance, the tenant in it, and its journal. */
import assert from "node:assert/strict";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import type { AdmittedComponent } from "./admission.ts";
import { GuestInstance } from "./guest-instance.ts";
import { MASK_PAGES_MAX, MASK_WORDS, NO_PAGE } from "./images.ts";
import { Journal } from "./journal.ts";

export const NO_TENANT = -1;

/** A range of the memory, compared in one call before its pages are looked at one by one. */
const RANGE_PAGES = 16;

/** The base of a component, cut as slots need it. Shared by all slots. */
export class BasePages {
  readonly component: AdmittedComponent;
  readonly ranges: readonly Buffer[];
  readonly pages: readonly Buffer[];

  constructor(component: AdmittedComponent) {
    this.component = component;
    this.ranges = cut(component.base, RANGE_PAGES * IMAGE_PAGE_BYTES);
    this.pages = cut(component.base, IMAGE_PAGE_BYTES);
    assert(this.pages.length <= MASK_PAGES_MAX);
  }
}

export class Slot {
  /** Its place among the slots. */
  readonly index: number;
  /** Number of its component: never another one's code runs in this instance. */
  componentNumber: number;
  base: BasePages;
  instance: GuestInstance;
  tenant = NO_TENANT;
  readonly journal = new Journal();
  /** The journal continues the image that begins with this page. */
  journalHead = NO_PAGE;
  /** Used since the hand of the clock came by. */
  isReferenced = false;
  /** What `compare` found. */
  readonly dirty = new Uint32Array(MASK_WORDS);
  #ranges: readonly Buffer[] = [];
  #pages: readonly Buffer[] = [];

  constructor(index: number, componentNumber: number, base: BasePages) {
    this.index = index;
    this.componentNumber = componentNumber;
    this.base = base;
    this.instance = this.#renew();
  }

  get pages(): readonly Buffer[] {
    return this.#pages;
  }

  /** Throws the instance away and starts a new one; its memory equals the base. */
  reset(componentNumber: number, base: BasePages): void {
    this.componentNumber = componentNumber;
    this.base = base;
    this.instance = this.#renew();
  }

  /** Which pages differ from the base, as a mask in `dirty`. Every byte is compared. */
  compare(): void {
    const { dirty } = this;
    dirty.fill(0);
    for (let range = 0; range < this.#ranges.length; range++) {
      if (this.#ranges[range]!.equals(this.base.ranges[range]!)) continue;
      const end = Math.min((range + 1) * RANGE_PAGES, this.#pages.length);
      for (let page = range * RANGE_PAGES; page < end; page++) {
        if (this.#pages[page]!.equals(this.base.pages[page]!)) continue;
        dirty[page >>> 5]! |= 1 << (page & 31);
      }
    }
  }

  /** Makes the pages of `dirty` equal the base again. */
  scrub(): void {
    const { bytes } = this.instance.memory;
    for (let word = 0; word < MASK_WORDS; word++) {
      for (let bits = this.dirty[word]!; bits !== 0; bits &= bits - 1) {
        const page = word * 32 + 31 - Math.clz32(bits & -bits);
        bytes.set(this.base.pages[page]!, page * IMAGE_PAGE_BYTES);
      }
    }
  }

  #renew(): GuestInstance {
    const instance = new GuestInstance(this.base.component);
    const { bytes } = instance.memory;
    assert(bytes.length === this.base.component.base.length);
    this.#ranges = cut(bytes, RANGE_PAGES * IMAGE_PAGE_BYTES);
    this.#pages = cut(bytes, IMAGE_PAGE_BYTES);
    return instance;
  }
}

function cut(bytes: Buffer, partBytes: number): Buffer[] {
  const count = Math.ceil(bytes.length / partBytes);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * partBytes, (index + 1) * partBytes),
  );
}
