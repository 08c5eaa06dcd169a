/**
 * How a tenant moves from one component to another: the one hands over its state, a spare instance
 * of the other takes it in, and what its memory then says is the tenant's image.
 *
 * Both calls are guarded like turns. What counts is written by the host alone, after them and in no
 * slice, so an end in between leaves the tenant where it was: its image is committed before the
 * first call, and what that call does to its memory is undone.
 */
import assert from "node:assert/strict";
import { newUpgradeCounts, type UpgradeResult } from "#model/component.ts";
import { IMAGE_BYTES_MAX, IMAGE_PAGE_BYTES, PORTABLE_BYTES_MAX } from "#model/limits.ts";
import type { Outcome } from "#model/outcome.ts";
import { outcomeOf } from "./guest-instance.ts";
import { pageCountOf, type Images } from "./images.ts";
import { StateRefused } from "./portable-state.ts";
import { packedBytes } from "./scanner.ts";
import type { HostedInstance, Slot } from "./slot.ts";
import type { Slots } from "./slots.ts";
import type { TenantTable } from "./tenant-table.ts";

export type Upgrade = {
  readonly result: UpgradeResult;
  /** What a person should read; of a guest's words as many as may be. */
  readonly reason: string;
  /** Of the state that was handed over. */
  readonly bytes: number;
};

export type UpgradesParts<Instance extends HostedInstance> = {
  readonly slots: Slots<Instance>;
  readonly images: Images;
  readonly tenants: TenantTable;
  /** Runs guests for a tenant in a slice of their own; how that ended, see TenantHost. */
  readonly runApart: (tenant: number, run: () => void) => Outcome;
};

export class Upgrades<Instance extends HostedInstance> {
  readonly counts = newUpgradeCounts();
  readonly #parts: UpgradesParts<Instance>;
  /** Where tenants that move take in their state, and that state. Made when first needed. */
  #spare: Slot<Instance> | undefined;
  #state: Buffer | undefined;

  constructor(parts: UpgradesParts<Instance>) {
    this.#parts = parts;
  }

  /** Of a tenant that is open and runs another component. */
  move(tenant: number, component: number): Upgrade {
    const { tenants } = this.#parts;
    assert(tenants.isOpen(tenant) && tenants.component(tenant) !== component);
    const upgrade = this.#move(tenant, component);
    this.counts[upgrade.result] += 1;
    return upgrade;
  }

  /** A view of the tenant's state as it is handed over; undefined: there is none to be had. */
  export(tenant: number): Buffer | undefined {
    const { slots, tenants } = this.#parts;
    assert(tenants.isOpen(tenant));
    if (!slots.isPortable(tenants.component(tenant))) return undefined;
    const { result, bytes } = this.#export(tenant);
    return result === "moved" ? this.#state!.subarray(0, bytes) : undefined;
  }

  #move(tenant: number, component: number): Upgrade {
    const { slots, tenants } = this.#parts;
    if (!slots.isPortable(tenants.component(tenant)) || !slots.isPortable(component)) {
      return ended("notPortable", "one of the two components has no portable states");
    }
    const exported = this.#export(tenant);
    if (exported.result !== "moved") return exported;
    const { bytes } = exported;
    const state = this.#state!;
    let taken: Slot<Instance> | undefined;
    const failure = this.#run(tenant, "importFailed", () => {
      const spare = this.#takeSpare(component);
      spare.instance.portable!.importFrom(state, bytes);
      taken = spare;
    });
    if (failure !== undefined) return { ...failure, bytes };
    const spare = taken!;
    spare.compare();
    const isLarge = pageCountOf(spare.dirty) * IMAGE_PAGE_BYTES > IMAGE_BYTES_MAX;
    const result = isLarge ? "tooLarge" : this.#swap(tenant, component, spare);
    spare.scrub();
    this.#spare = spare;
    return { result, reason: result === "moved" ? "" : "its image finds no room", bytes };
  }

  /** Whoever takes it and does not put it back has spoilt it. */
  #takeSpare(component: number): Slot<Instance> {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare?.componentNumber === component ? spare : this.#parts.slots.spare(component);
  }

  /** In no slice, so nothing here is interrupted. */
  #swap(tenant: number, component: number, spare: Slot<Instance>): UpgradeResult {
    const { slots, images, tenants } = this.#parts;
    const imageBytes = spare.pack();
    slots.vacate(tenant);
    if (!images.store(tenant, packedBytes, imageBytes)) return "noRoom";
    tenants.open(tenant, component);
    return "moved";
  }

  /** The state into `#state`. */
  #export(tenant: number): Upgrade {
    const { slots } = this.#parts;
    if (slots.commit(tenant) === "refused") return ended("noRoom", "its image finds no room");
    const target = (this.#state ??= Buffer.alloc(PORTABLE_BYTES_MAX));
    let bytes = -1;
    const failure = this.#run(tenant, "exportFailed", () => {
      const slot = slots.enter(tenant, 0);
      if (slot === undefined) return;
      try {
        bytes = slot.instance.portable!.exportTo(target);
      } finally {
        slots.reload(slot);
      }
    });
    if (failure !== undefined) return failure;
    if (bytes === -1) return ended("noRoom", "no slot is free for it");
    return { result: "moved", reason: "", bytes };
  }

  /** How guests failed, if they did. */
  #run(tenant: number, result: UpgradeResult, run: () => void): Upgrade | undefined {
    let failure: Upgrade | undefined;
    let outcome: Outcome = "refused";
    for (let tries = 0; tries < TRIES_MAX && outcome === "refused"; tries++) {
      outcome = this.#parts.runApart(tenant, () => {
        try {
          run();
        } catch (error) {
          if (error instanceof StateRefused) failure = ended("importRefused", error.message);
          else failure = ended(result, outcomeOf(error, NO_OFFSETS));
        }
      });
    }
    return outcome === "ok" ? failure : ended(result, outcome);
  }
}

/** On a machine so busy that the thread was not scheduled. */
const TRIES_MAX = 3;
const NO_OFFSETS: ReadonlySet<number> = new Set();

function ended(result: UpgradeResult, reason: string): Upgrade {
  return { result, reason, bytes: 0 };
}
