/**
 * Whose slot a tenant at rest gets: 2Q (Johnson and Shasha, 1994), for each component.
 *
 *   newcomers  the last few tenants that came, first in, first out. Most tenants that come do not
 *              come again soon, and their memories are still in the core's cache when they leave:
 *              a miss there costs half of one that finds a cold memory, measured
 *   residents  all the others. A tenant that comes back soon after it left the newcomers moves in
 *              here, in the place of whom the clock finds not to be used
 *
 * So a pass over any number of tenants leaves the residents where they are, and of chats that
 * follow Zipf's law (100,000 tenants, 1,024 slots) 40 of 100 turns miss instead of the clock's 50.
 *
 * Slots are shared fairly: a component takes one of another's only while it has less than its
 * share.
 */
import assert from "node:assert/strict";
import type { GuestInstance } from "./guest-instance.ts";
import type { HostedInstance, Slot } from "./slot.ts";

/** Newcomers: their memories, 768 KiB, fit a core's own cache; every miss reads all of one. */
export const NEWCOMERS_MAX = 4;
/** At most this share of a component's slots. */
const NEWCOMERS_SHARE = 1 / 8;

export class Victims<Instance extends HostedInstance = GuestInstance> {
  readonly #slots: readonly Slot<Instance>[];
  /** By component: how many slots run it. */
  readonly #slotCounts: number[] = [];
  /** By component. */
  readonly #newcomers: Newcomers<Instance>[] = [];
  /** Slots whose tenant was closed; some may have a tenant again. */
  #vacated: Slot<Instance>[] = [];
  #hand = 0;

  constructor(slots: readonly Slot<Instance>[]) {
    this.#slots = slots;
  }

  addComponent(): void {
    this.#slotCounts.push(0);
    this.#newcomers.push(new Newcomers());
  }

  /** A slot without a tenant, if there is one. */
  vacant(): Slot<Instance> | undefined {
    for (;;) {
      const slot = this.#vacated.pop();
      if (slot === undefined || slot.isEmpty) return slot;
    }
  }

  /** A slot of a tenant that may go, or an empty one. */
  next(component: number, isReturning: boolean): Slot<Instance> {
    const newcomers = this.#newcomers[component]!;
    const own = this.#slotCounts[component]!;
    const share = Math.floor(this.#slots.length / this.#componentsInUse(component));
    const takesOwn = own > 0 && own >= share;
    const takesNewcomer = !isReturning && newcomers.count >= newcomersMax(own);
    if (takesOwn && (takesNewcomer || newcomers.count === own)) return newcomers.first;
    const count = this.#slots.length;
    for (let step = 0; step < 2 * count; step++) {
      const slot = this.#slots[this.#hand]!;
      this.#hand = this.#hand + 1 < count ? this.#hand + 1 : 0;
      if (slot.isNewcomer) continue;
      const isOwn = slot.componentNumber === component;
      if (takesOwn ? !isOwn : !isOwn && this.#slotCounts[slot.componentNumber]! <= share) continue;
      if (!slot.isReferenced) return slot;
      slot.isReferenced = false;
    }
    return this.#slots[this.#hand]!; // More components than slots: anyone's.
  }

  /** The slot is no longer where it was; `came` follows, unless its tenant stays after all. */
  leave(slot: Slot<Instance>): void {
    if (!slot.isNewcomer) return;
    this.#newcomers[slot.componentNumber]!.remove(slot);
  }

  /** The slot is the component's from now on; `from`: whose it was, if anyone's. */
  count(component: number, from: number | undefined): void {
    if (from !== undefined) this.#slotCounts[from]! -= 1;
    this.#slotCounts[component]! += 1;
  }

  /** A tenant came to a slot that is among no newcomers. */
  came(slot: Slot<Instance>, isReturning: boolean): void {
    slot.isReferenced = false;
    if (isReturning) return;
    const newcomers = this.#newcomers[slot.componentNumber]!;
    const countMax = newcomersMax(this.#slotCounts[slot.componentNumber]!);
    while (newcomers.count >= countMax) newcomers.remove(newcomers.first);
    newcomers.add(slot);
  }

  /** The slot's tenant was closed. */
  vacate(slot: Slot<Instance>): void {
    this.leave(slot);
    slot.isReferenced = false;
    this.#vacated.push(slot);
  }

  /** After an interruption at any statement: everybody is a resident. */
  recover(): void {
    this.#slotCounts.fill(0);
    this.#vacated = [];
    for (const newcomers of this.#newcomers) newcomers.clear();
    for (const slot of this.#slots) {
      this.#slotCounts[slot.componentNumber]! += 1;
      slot.isNewcomer = false;
      if (slot.isEmpty) this.#vacated.push(slot);
    }
  }

  #componentsInUse(component: number): number {
    let count = 0;
    for (let other = 0; other < this.#slotCounts.length; other++) {
      if (other === component || this.#slotCounts[other]! > 0) count += 1;
    }
    return count;
  }
}

/** Slots in the order in which they came; makes no object as they come and go. */
class Newcomers<Instance extends HostedInstance> {
  readonly #slots: (Slot<Instance> | undefined)[] = Array.from({ length: NEWCOMERS_MAX });
  count = 0;

  get first(): Slot<Instance> {
    return this.#slots[0]!;
  }

  add(slot: Slot<Instance>): void {
    assert(this.count < NEWCOMERS_MAX);
    this.#slots[this.count] = slot;
    this.count += 1;
    slot.isNewcomer = true;
  }

  remove(slot: Slot<Instance>): void {
    let at = 0;
    while (this.#slots[at] !== slot) {
      at += 1;
      assert(at < this.count);
    }
    this.count -= 1;
    for (; at < this.count; at++) this.#slots[at] = this.#slots[at + 1];
    slot.isNewcomer = false;
  }

  clear(): void {
    this.count = 0;
  }
}

function newcomersMax(slotCount: number): number {
  return Math.min(NEWCOMERS_MAX, Math.ceil(slotCount * NEWCOMERS_SHARE));
}
