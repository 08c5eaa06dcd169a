/**
 * The slots of a thread, as a cache of tenants: a bounded number of instances holds the tenants in
 * use, everyone else rests as an image.
 *
 *   hit    the tenant is in its slot: nothing to do
 *   miss   a tenant that is not used leaves its slot (victims.ts says who): its image is
 *          committed, its memory compared with the base and scrubbed until it equals the base in
 *          every byte, and the image of the tenant to come is written over it
 *
 * Between tenants a slot keeps its instance, never between components.
 *
 * While a slot's memory is in motion (a swap, a turn, a restore) it is `torn`. The guard of the
 * host may end a slice at any statement; `recover` then trusts the images, the journals and
 * `slot.tenant`, and makes the torn slot anew.
 */
import assert from "node:assert/strict";
import { IMAGE_BYTES_MAX, IMAGE_PAGE_BYTES } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import type { AdmittedComponent } from "./admission.ts";
import { type GuestInstance, outcomeOf } from "./guest-instance.ts";
import type { HostStats } from "./host-stats.ts";
import { NO_BLOCK, pageCountOf, type Images } from "./images.ts";
import { packedBytes } from "./scanner.ts";
import { BasePages, type HostedInstance, NO_TENANT, Slot } from "./slot.ts";
import { NO_SLOT, type TenantTable } from "./tenant-table.ts";
import { NEWCOMERS_MAX, Victims } from "./victims.ts";

/** Slots tried before a miss is refused because images of evicted tenants find no room. */
const VICTIMS_MAX = 4;

export type SlotsOptions<Instance extends HostedInstance = GuestInstance> = {
  readonly slotCount: number;
  readonly tenants: TenantTable;
  readonly images: Images;
  readonly stats: HostStats;
  readonly instantiate: (component: AdmittedComponent) => Instance;
  /** A tenant's memory outgrew IMAGE_BYTES_MAX: it is back at its last image. */
  readonly onOversize: (tenant: number) => void;
};

export class Slots<Instance extends HostedInstance = GuestInstance> {
  /** The slot whose memory is in motion. */
  torn: Slot<Instance> | undefined;
  /** Why `enter` gave no slot. */
  refusal: Outcome = "ok";
  readonly #options: SlotsOptions<Instance>;
  readonly #slots: Slot<Instance>[] = [];
  readonly #bases: BasePages<Instance>[] = [];
  readonly #victims = new Victims<Instance>(this.#slots);
  #passing = false;

  constructor(options: SlotsOptions<Instance>) {
    assert(options.slotCount > 0);
    this.#options = options;
  }

  /** All of them, for tests that look into their memories. */
  get all(): readonly Slot<Instance>[] {
    return this.#slots;
  }

  /** Numbers components from 0, in order. */
  addComponent(component: AdmittedComponent): void {
    this.#bases.push(new BasePages(component, this.#options.instantiate));
    this.#victims.addComponent();
  }

  isPortable(component: number): boolean {
    return this.#bases[component]!.component.isPortable;
  }

  /** A place beside the slots, for a tenant that is about to be of this component. */
  spare(component: number): Slot<Instance> {
    return new Slot(this.#slots.length, component, this.#bases[component]!);
  }

  /** Back to the tenant's image, whatever its memory says now; its journal is empty. */
  reload(slot: Slot<Instance>): void {
    assert(slot.journal.isEmpty);
    this.torn = slot;
    slot.compare();
    slot.scrub();
    this.#options.images.load(slot.tenant, slot);
    this.torn = undefined;
  }

  /** A pass over about so many tenants, each once, begins; 0: it is over. */
  pass(tenantCount: number): void {
    this.#passing = tenantCount > this.#options.slotCount;
  }

  /**
   * Hot. The slot that holds the tenant, with room in its journal for a turn of so many bytes; it
   * is torn. Undefined: `refusal` says why, and nothing happened to the tenant but what it says.
   */
  enter(tenant: number, byteCount: number): Slot<Instance> | undefined {
    const { tenants, stats } = this.#options;
    const index = tenants.slots[tenant]!;
    if (index === NO_SLOT) return this.#miss(tenant);
    stats.slotHits += 1;
    const slot = this.#slots[index]!;
    slot.isReferenced = true;
    this.torn = slot;
    if (slot.journal.hasRoom(byteCount)) return slot;
    this.refusal = this.#commit(slot);
    if (this.refusal === "ok") return slot;
    this.torn = undefined;
    return undefined;
  }

  /** Writes the tenant's image if it is in a slot and had turns since. */
  commit(tenant: number): Outcome {
    const index = this.#options.tenants.slots[tenant]!;
    if (index === NO_SLOT) return "ok";
    this.torn = this.#slots[index]!;
    const outcome = this.#commit(this.torn);
    this.torn = undefined;
    return outcome;
  }

  commitAll(): void {
    for (const { tenant } of this.#slots) if (tenant !== NO_TENANT) this.commit(tenant);
  }

  /** Takes the tenant out of its slot without keeping anything of it. */
  vacate(tenant: number): void {
    const { slots } = this.#options.tenants;
    const index = slots[tenant]!;
    if (index === NO_SLOT) return;
    const slot = this.#slots[index]!;
    this.torn = slot;
    slot.tenant = NO_TENANT;
    slots[tenant] = NO_SLOT;
    slot.journal.clear();
    slot.compare();
    slot.scrub();
    this.#victims.vacate(slot);
    this.torn = undefined;
  }

  /** After a failed turn: a new instance, the tenant's last image, its journal. Stays torn. */
  restore(slot: Slot<Instance>): void {
    const { images, stats } = this.#options;
    stats.restores += 1;
    slot.reset(slot.componentNumber, slot.base);
    if (slot.tenant === NO_TENANT) return;
    images.load(slot.tenant, slot);
    if (slot.journalHead !== images.head(slot.tenant)) this.#beginJournal(slot);
    try {
      slot.journal.replay(slot.instance);
    } catch (error) {
      outcomeOf(error, slot.base.component.growOffsets); // Throws unless it was the guest.
      // These turns went well before. What differs is the stack that was left; the image is safe.
      stats.replayFailures += 1;
      this.#beginJournal(slot);
      slot.reset(slot.componentNumber, slot.base);
      images.load(slot.tenant, slot);
    }
  }

  /** After an interruption at any statement: everything consistent again. */
  recover(): void {
    const { images, tenants } = this.#options;
    images.recover((tenant) => tenants.isOpen(tenant));
    tenants.slots.fill(NO_SLOT);
    for (const slot of this.#slots) {
      if (slot.tenant !== NO_TENANT && !tenants.isOpen(slot.tenant)) {
        slot.tenant = NO_TENANT;
        this.torn = slot;
      }
      if (slot === this.torn) this.restore(slot);
      if (slot.tenant !== NO_TENANT) tenants.slots[slot.tenant] = slot.index;
    }
    this.#victims.recover();
    this.torn = undefined;
  }

  #miss(tenant: number): Slot<Instance> | undefined {
    const { tenants, images, stats } = this.#options;
    const isReturning = this.#isReturning(tenant);
    const slot = this.#claim(tenants.component(tenant), isReturning);
    if (slot === undefined) {
      this.refusal = "refused";
      return undefined;
    }
    stats.slotMisses += 1;
    this.torn = slot;
    images.load(tenant, slot);
    slot.journal.clear();
    slot.journalHead = images.head(tenant);
    slot.tenant = tenant;
    tenants.slots[tenant] = slot.index;
    this.#victims.came(slot, isReturning);
    return slot;
  }

  /** Whether so few tenants came since it left that, with a place of its own, it had stayed. */
  #isReturning(tenant: number): boolean {
    if (this.#passing) return false;
    const { tenants, stats, slotCount } = this.#options;
    return (stats.slotMisses - tenants.leftAt[tenant]!) >>> 0 < slotCount;
  }

  /** An empty slot with an instance of the component whose memory equals the base. */
  #claim(component: number, isReturning: boolean): Slot<Instance> | undefined {
    const base = this.#bases[component]!;
    const { slotCount } = this.#options;
    const vacant = this.#victims.vacant();
    if (vacant !== undefined) return this.#convert(vacant, component);
    if (this.#slots.length < (this.#passing ? Math.min(NEWCOMERS_MAX, slotCount) : slotCount)) {
      const slot = new Slot(this.#slots.length, component, base);
      this.#slots.push(slot);
      this.#victims.count(component, undefined);
      return slot;
    }
    for (let tries = 0; tries < VICTIMS_MAX; tries++) {
      const slot = this.#victims.next(component, isReturning);
      this.#victims.leave(slot);
      if (slot.tenant === NO_TENANT || this.#evict(slot)) return this.#convert(slot, component);
    }
    return undefined;
  }

  /** Never another component's code runs in an instance. */
  #convert(slot: Slot<Instance>, component: number): Slot<Instance> {
    if (slot.componentNumber === component) return slot;
    this.torn = slot;
    this.#victims.count(component, slot.componentNumber);
    slot.reset(component, this.#bases[component]!);
    return slot;
  }

  /** False: there is no room for the tenant's image, and it stays. */
  #evict(slot: Slot<Instance>): boolean {
    this.torn = slot;
    const { tenant } = slot;
    if (!this.#settle(slot)) {
      this.torn = undefined;
      return false;
    }
    slot.tenant = NO_TENANT;
    const { tenants, stats } = this.#options;
    tenants.slots[tenant] = NO_SLOT;
    tenants.leftAt[tenant] = stats.slotMisses;
    slot.scrub();
    stats.evictions += 1;
    return true;
  }

  /** `ok`, `refused` (no room, nothing changed), `exceededMemory` (back at the last image). */
  #commit(slot: Slot<Instance>): Outcome {
    const { images, stats } = this.#options;
    const strikesBefore = stats.outcomes.exceededMemory;
    if (!this.#settle(slot)) return "refused";
    if (stats.outcomes.exceededMemory === strikesBefore) return "ok";
    slot.scrub();
    images.load(slot.tenant, slot);
    return "exceededMemory";
  }

  /**
   * Makes the tenant's image say what its memory says, unless that is too much, which costs the
   * tenant its turns since. `slot.dirty` says which pages of the memory differ from the base.
   * False: there is no room for the image, and nothing changed.
   */
  #settle(slot: Slot<Instance>): boolean {
    const { images, stats, onOversize } = this.#options;
    slot.compare();
    if (slot.journal.isEmpty) return true;
    if (pageCountOf(slot.dirty) * IMAGE_PAGE_BYTES > IMAGE_BYTES_MAX) {
      this.#beginJournal(slot);
      onOversize(slot.tenant);
      return true;
    }
    if (!images.store(slot.tenant, packedBytes, slot.pack())) return false;
    this.#beginJournal(slot);
    stats.commits += 1;
    return true;
  }

  /** An empty journal behind the tenant's image. */
  #beginJournal(slot: Slot<Instance>): void {
    slot.journal.clear();
    slot.journalHead =
      slot.tenant === NO_TENANT ? NO_BLOCK : this.#options.images.head(slot.tenant);
  }
}
