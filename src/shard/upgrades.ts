/**
 * Moves the tenants of a shard that run an older component to today's, a few a step: those that a
 * start has brought back. Whoever does not move, because one of the two components does not do that
 * or refuses, goes on where it is, and is tried again in a later pass.
 */
import {
  COMPONENT_DIGITS,
  type ComponentStats,
  newUpgradeCounts,
  UPGRADE_RESULTS,
} from "#model/component.ts";
import type { Upgrade } from "#isolate/upgrade.ts";

/** Of the time since the step before, and for how long at once. */
const TIME_SHARE = 0.1;
const STEP_MS_MAX = 20;
/** Tenants that are looked at in one step, most of which run today's already. */
const LOOKED_MAX = 4096;
/** After a pass in which some stayed where they are. */
const PASS_REST_MS = 60_000;
/** How long what is told may be behind. */
const TELL_MS = 2000;

/** What it asks of a host. */
export type UpgradingHost = {
  readonly isOpen: (tenant: number) => boolean;
  readonly componentNumber: (tenant: number) => number;
  readonly componentCounts: () => readonly { readonly digest: string; readonly tenants: number }[];
  readonly upgrade: (tenant: number, component: number) => Upgrade;
  /** A pass is over. */
  readonly settle: () => void;
  readonly upgrades: Readonly<Record<(typeof UPGRADE_RESULTS)[number], number>>;
};

export type UpgradingWorld = {
  readonly world: ComponentStats["components"][number]["world"];
  readonly host: UpgradingHost;
  /** Number of today's component. */
  readonly component: number;
};

export type UpgradesParts = {
  readonly worlds: readonly UpgradingWorld[];
  readonly tenantCount: () => number;
  /** A tenant has moved: to be logged. */
  readonly moved: (tenant: number, world: UpgradingWorld["world"], component: number) => void;
  /** For the time that moves take, ms. */
  readonly clock?: () => number;
};

export class Upgrades {
  readonly #parts: UpgradesParts;
  readonly #clock: () => number;
  /** The next tenant to look at, and of the pass at hand how many stayed. */
  #next = 0;
  #stayed = 0;
  #restsUntil = 0;
  #steppedMs = 0;
  #dueMs = 0;
  #toldMs = -Infinity;
  #told = "";

  constructor(parts: UpgradesParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? (() => performance.now());
  }

  /** Whether there may be more to do. */
  get isOver(): boolean {
    return this.#restsUntil === Infinity;
  }

  /** Not within a slice. Moves as many as there is time for; `mayMove`: the log has room. */
  step(nowMs: number, mayMove: () => boolean): void {
    const elapsedMs = this.#steppedMs === 0 ? 0 : Math.max(0, nowMs - this.#steppedMs);
    this.#steppedMs = nowMs;
    if (nowMs < this.#restsUntil) return;
    this.#dueMs = Math.min(STEP_MS_MAX, this.#dueMs + elapsedMs * TIME_SHARE);
    const count = this.#parts.tenantCount();
    const startMs = this.#clock();
    for (let looked = 0; looked < LOOKED_MAX && this.#next < count; looked++) {
      if (this.#clock() - startMs >= this.#dueMs || !this.#look(this.#next, mayMove)) break;
      this.#next += 1;
    }
    this.#dueMs -= this.#clock() - startMs;
    if (this.#next < count) return;
    this.#restsUntil = this.#stayed === 0 ? Infinity : nowMs + PASS_REST_MS;
    for (const { host } of this.#parts.worlds) host.settle();
    this.#next = 0;
    this.#stayed = 0;
  }

  /** What is new since it was last asked; undefined: nothing, or it was asked just now. */
  news(nowMs: number): ComponentStats | undefined {
    if (nowMs - this.#toldMs < TELL_MS) return undefined;
    this.#toldMs = nowMs;
    const stats = this.#stats();
    const text = JSON.stringify(stats);
    if (text === this.#told) return undefined;
    this.#told = text;
    return stats;
  }

  /** False: it should move, and may not now. */
  #look(tenant: number, mayMove: () => boolean): boolean {
    for (const { world, host, component } of this.#parts.worlds) {
      if (!host.isOpen(tenant) || host.componentNumber(tenant) === component) continue;
      if (!mayMove()) return false;
      if (host.upgrade(tenant, component).result === "moved") {
        this.#parts.moved(tenant, world, component);
      } else this.#stayed += 1;
    }
    return true;
  }

  #stats(): ComponentStats {
    const upgrades = newUpgradeCounts();
    const components = this.#parts.worlds.flatMap(({ world, host }) => {
      for (const result of UPGRADE_RESULTS) upgrades[result] += host.upgrades[result];
      return host.componentCounts().map(({ digest, tenants }) => ({
        world,
        component: digest.slice(0, COMPONENT_DIGITS),
        tenants,
      }));
    });
    return { components, upgrades };
  }
}
