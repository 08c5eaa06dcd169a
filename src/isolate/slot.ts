/** One place where a tenant runs: an instance, the tenant in it, and its journal. */
import assert from "node:assert/strict";
import { IMAGE_PAGE_BYTES } from "#model/limits.ts";
import type { AdmittedComponent } from "./admission.ts";
import type { GuestInstance } from "./guest-instance.ts";
import type { GuestMemory } from "./canonical-abi.ts";
import { MASK_PAGES_MAX, MASK_WORDS, NO_BLOCK } from "./images.ts";
import type { PortableCalls } from "./portable-state.ts";
import { Journal, type Replayable } from "./journal.ts";
import { scannerOf, type Scanner } from "./scanner.ts";

export const NO_TENANT = -1;

/** What a slot knows of an instance, whatever its world is. */
export type HostedInstance = Replayable & {
  readonly memory: GuestMemory;
  /** Undefined: its component hands over no states. */
  readonly portable: PortableCalls | undefined;
};

/** Pages that follow each other, none of them all zero in the base: compared in one call first. */
type DataRun = { readonly firstPage: number; readonly endPage: number; readonly bytes: Buffer };

/**
 * The base of a component, cut as slots need it. Shared by all slots. Nearly all of it is zero, and
 * whether a page still is needs no second page to compare with; the rest is the program's data.
 */
export class BasePages<Instance extends HostedInstance = GuestInstance> {
  readonly component: AdmittedComponent;
  readonly instantiate: (component: AdmittedComponent) => Instance;
  readonly pages: readonly Buffer[];
  /** Pages that are all zero; signed, so that a word of it is no object when it is handed on. */
  readonly zeros = new Int32Array(MASK_WORDS);
  readonly dataRuns: readonly DataRun[];

  constructor(
    component: AdmittedComponent,
    instantiate: (component: AdmittedComponent) => Instance,
  ) {
    this.component = component;
    this.instantiate = instantiate;
    this.pages = cut(component.base);
    assert(this.pages.length <= MASK_PAGES_MAX);
    const runs: DataRun[] = [];
    let firstPage = 0;
    for (let page = 0; page <= this.pages.length; page++) {
      const bytes = this.pages[page];
      if (bytes?.some((byte) => byte !== 0)) continue;
      if (bytes !== undefined) this.zeros[page >>> 5]! |= 1 << (page & 31);
      if (firstPage < page) runs.push(runOf(component.base, firstPage, page));
      firstPage = page + 1;
    }
    this.dataRuns = runs;
  }
}

export class Slot<Instance extends HostedInstance = GuestInstance> {
  /** Its place among the slots. */
  readonly index: number;
  /** Number of its component: never another one's code runs in this instance. */
  componentNumber: number;
  base: BasePages<Instance>;
  instance: Instance;
  tenant = NO_TENANT;
  readonly journal = new Journal();
  /** The journal continues the image that begins with this block. */
  journalHead = NO_BLOCK;
  /** Used since the hand of the clock came by. */
  isReferenced = false;
  /** Its tenant is one of those that came last; see victims.ts. */
  isNewcomer = false;
  /** What `compare` found. */
  readonly dirty = new Uint32Array(MASK_WORDS);
  #pages: readonly Buffer[] = [];
  /** The pages of `base.dataRuns` in this memory. */
  #dataRuns: readonly DataRun[] = [];
  #scanner!: Scanner;

  constructor(index: number, componentNumber: number, base: BasePages<Instance>) {
    this.index = index;
    this.componentNumber = componentNumber;
    this.base = base;
    this.instance = this.#renew();
  }

  get isEmpty(): boolean {
    return this.tenant === NO_TENANT;
  }

  /** Throws the instance away and starts a new one; its memory equals the base. */
  reset(componentNumber: number, base: BasePages<Instance>): void {
    this.componentNumber = componentNumber;
    this.base = base;
    this.instance = this.#renew();
  }

  /** Which pages differ from the base, as a mask in `dirty`. Every byte is looked at. */
  compare(): void {
    const { dirty, base } = this;
    for (let word = 0; word < MASK_WORDS; word++) {
      dirty[word] = this.#scanner.nonZeroPages(word * 32, base.zeros[word]!);
    }
    for (let run = 0; run < this.#dataRuns.length; run++) {
      const { bytes, firstPage, endPage } = this.#dataRuns[run]!;
      if (bytes.equals(base.dataRuns[run]!.bytes)) continue;
      for (let page = firstPage; page < endPage; page++) {
        if (this.#pages[page]!.equals(base.pages[page]!)) continue;
        dirty[page >>> 5]! |= 1 << (page & 31);
      }
    }
  }

  /**
   * Packs the pages of `dirty`: of those that are zero in the base the lines that are not, of the
   * program's data all. Returns the bytes, 0 if there is no such page.
   */
  pack(): number {
    const { dirty } = this;
    const { zeros } = this.base;
    const low = dirty[0]! | 0;
    const high = dirty[1]! | 0;
    if ((low | high) === 0) return 0;
    return this.#scanner.pack(low, high, low & ~zeros[0]!, high & ~zeros[1]!);
  }

  /** Writes what lies packed over the memory, which equals the base. */
  unpack(): void {
    this.#scanner.unpack();
  }

  /** Makes the pages of `dirty` equal the base again. */
  scrub(): void {
    const { dirty, base } = this;
    const { bytes } = this.instance.memory;
    this.#scanner.clear(dirty[0]! & base.zeros[0]!, dirty[1]! & base.zeros[1]!);
    for (let word = 0; word < MASK_WORDS; word++) {
      for (let bits = dirty[word]! & ~base.zeros[word]!; bits !== 0; bits &= bits - 1) {
        const page = word * 32 + 31 - Math.clz32(bits & -bits);
        bytes.set(base.pages[page]!, page * IMAGE_PAGE_BYTES);
      }
    }
  }

  #renew(): Instance {
    const instance = this.base.instantiate(this.base.component);
    const { bytes } = instance.memory;
    assert(bytes.length === this.base.component.base.length);
    this.#pages = cut(bytes);
    this.#dataRuns = this.base.dataRuns.map((run) => runOf(bytes, run.firstPage, run.endPage));
    this.#scanner = scannerOf(instance.memory.memory);
    return instance;
  }
}

function cut(bytes: Buffer): Buffer[] {
  const count = Math.ceil(bytes.length / IMAGE_PAGE_BYTES);
  return Array.from({ length: count }, (_, page) => runOf(bytes, page, page + 1).bytes);
}

function runOf(memory: Buffer, firstPage: number, endPage: number): DataRun {
  const bytes = memory.subarray(firstPage * IMAGE_PAGE_BYTES, endPage * IMAGE_PAGE_BYTES);
  return { firstPage, endPage, bytes };
}
