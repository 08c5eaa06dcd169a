/**
 * The machinery of a host, whatever the world of its tenants is: who runs where, what a turn's end
 * means, who is in quarantine. A world's host (host.ts, moderator-host.ts) adds the calls.
 *
 * A turn ends in exactly one Outcome, and only an `ok` turn has an effect: after any other the
 * tenant stands where it stood. What a tenant does never shows in another's answers.
 *
 * How it holds together: admission.ts lets only components in whose memory is their whole state;
 * images.ts keeps tenants at rest, slots.ts those in use, journal.ts what happened since; an
 * instance of the world calls and checks. Call the turns within `runSlice`, or an endless loop is
 * endless.
 *
 * Interruption. A guard ends a slice at any statement, so whatever is half done must not show.
 * Turns are published by the straight line at the end of `finish`, in which V8 cannot interrupt
 * (it does so at the entry of functions and in loops): a turn that counts is in the journal and in
 * `stats.turns`, and one that does not is in neither. A caller that was interrupted sees by
 * `stats.turns` whether its last turn counted, and finds its report where it asked for it.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { STRIKE_COUNT_MAX, TURN_MS_MAX } from "#model/limits.ts";
import type { UpgradeCounts } from "#model/component.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import type { AbiWorld } from "./abi-types.ts";
import { admitComponent, type AdmittedComponent } from "./admission.ts";
import { outcomeOf } from "./guest-instance.ts";
import { HostStats } from "./host-stats.ts";
import { Images } from "./images.ts";
import type { JournalSink } from "./journal.ts";
import { runGuarded } from "./slice-guard.ts";
import { type HostedInstance, NO_TENANT, type Slot } from "./slot.ts";
import { Slots } from "./slots.ts";
import { COMPONENT_NUMBER_MAX, TenantTable } from "./tenant-table.ts";
import { type Upgrade, Upgrades } from "./upgrade.ts";

export type TenantHostOptions = {
  /** Instances at most. */
  readonly slotCount: number;
  /** Bytes of all images at most. */
  readonly imageBytesMax: number;
  /** Tenants are numbered from 0 to below it. */
  readonly tenantCountMax: number;
  readonly turnMsMax?: number;
  readonly strikeCountMax?: number;
  /**
   * Whether slices run under a time guard, the default. Only a host that runs no component but our
   * own goes without: a guard costs 0.1 ms, which is most of the cost of a lone event.
   */
  readonly guarded?: boolean;
  /** A host of another world with which `imageBytesMax` is shared. */
  readonly sharesWith?: TenantHost<HostedInstance> | undefined;
  /** Is told every turn that counts, in order. */
  readonly sink?: JournalSink | undefined;
  /** CPU time of this thread in ms; for tests. */
  readonly threadCpuMs?: () => number;
};

export type Answer<Report> = {
  readonly outcome: Outcome;
  /** Undefined unless the outcome is `ok`. */
  readonly report: Report | undefined;
};

/** What a world's tenants run in. */
export type HostedWorld<Instance extends HostedInstance> = {
  readonly world: AbiWorld;
  readonly instantiate: (component: AdmittedComponent) => Instance;
};

/**
 * What names a component for as long as there are images of it: its SHA-256. `imports` names what
 * it is bound to, if that is not always the same: its memory is a function of that, too.
 */
export function componentDigest(component: Uint8Array, imports = ""): Buffer {
  const own = createHash("sha256").update(component).digest();
  return imports === "" ? own : createHash("sha256").update(own).update(imports).digest();
}

export class TenantHost<Instance extends HostedInstance> {
  readonly stats: HostStats;
  /** After a `timedOut` slice: whose turn it was; -1: nobody's, run the rest of the slice again. */
  timedOutTenant = NO_TENANT;
  protected readonly images: Images;
  protected readonly slots: Slots<Instance>;
  readonly #world: AbiWorld;
  readonly #tenants: TenantTable;
  readonly #components = new Map<string, number>();
  readonly #digests: Buffer[] = [];
  readonly #isFirstGuarded: boolean;
  #guarded: boolean;
  readonly #sink: JournalSink | undefined;
  readonly #turnMsMax: number;
  readonly #strikeCountMax: number;
  readonly #threadCpuMs: () => number;
  /** Whose turn it is, and since when. */
  #turnTenant = NO_TENANT;
  #turnStartMs = 0;
  /** Not open yet: its `configure` runs. */
  #openingTenant = NO_TENANT;
  /** Who was running when the guard struck while the thread had too little CPU to blame anyone. */
  #suspect = NO_TENANT;
  #suspectCpuMs = 0;
  readonly #upgrades: Upgrades<Instance>;

  constructor({ world, instantiate }: HostedWorld<Instance>, options: TenantHostOptions) {
    this.#world = world;
    this.#tenants = new TenantTable(options.tenantCountMax);
    this.images = new Images(options);
    if (options.sharesWith !== undefined) this.images.shareBound(options.sharesWith.images);
    this.stats = new HostStats(this.images);
    this.#isFirstGuarded = options.guarded ?? true;
    this.#guarded = this.#isFirstGuarded;
    this.#sink = options.sink;
    this.#turnMsMax = options.turnMsMax ?? TURN_MS_MAX;
    this.#strikeCountMax = options.strikeCountMax ?? STRIKE_COUNT_MAX;
    this.#threadCpuMs = options.threadCpuMs ?? threadCpuMs;
    this.slots = new Slots({
      slotCount: options.slotCount,
      tenants: this.#tenants,
      images: this.images,
      stats: this.stats,
      instantiate,
      onOversize: (tenant) => this.#strike(tenant, "exceededMemory"),
    });
    this.#upgrades = new Upgrades({
      slots: this.slots,
      images: this.images,
      tenants: this.#tenants,
      runApart: (tenant, run) => this.#apart(tenant, run),
    });
  }

  /**
   * Number of the component; the same bytes have the same number. With a second one the guard is
   * on, as only the first is known to be ours, until `settle`. `imports`: see componentDigest.
   * Throws AdmissionError.
   */
  admit(component: Uint8Array, imports = ""): number {
    const digest = componentDigest(component, imports);
    const name = digest.toString("hex");
    const known = this.#components.get(name);
    if (known !== undefined) return known;
    assert(this.#components.size <= COMPONENT_NUMBER_MAX, "too many components");
    const admitted = admitComponent(component, this.#world);
    const number = this.#components.size;
    if (number > 0) this.#guarded = true;
    this.slots.addComponent(admitted);
    this.#components.set(name, number);
    this.#digests.push(digest);
    return number;
  }

  /** Forgets the tenant: its state, its strikes. */
  close(tenant: number): void {
    this.#checkTenant(tenant);
    this.#forget(tenant);
    this.#tenants.strikes[tenant] = 0;
    this.#tenants.failures[tenant] = 0;
    if (this.#suspect === tenant) this.#suspect = NO_TENANT;
  }

  isOpen(tenant: number): boolean {
    return this.#tenants.isOpen(tenant);
  }

  /**
   * What follows is a pass over about so many tenants, each of them once, until 0 is said: it is
   * cheaper, and pushes few other tenants out of their slots.
   */
  pass(tenantCount: number): void {
    this.slots.pass(tenantCount);
  }

  /**
   * Runs turns under the guard. `timedOut`: the slice was ended, wherever it stood. Either a turn
   * took too long: `timedOutTenant` got a strike and stands where it stood before that turn. Or
   * nobody is to blame (-1): the thread was not scheduled, or many turns together took long.
   */
  runSlice(slice: () => void): "done" | "timedOut" {
    this.timedOutTenant = NO_TENANT;
    if (!this.#guarded) {
      slice();
      return "done";
    }
    const startCpuMs = this.#threadCpuMs();
    if (runGuarded(slice, this.#turnMsMax)) {
      this.#suspect = NO_TENANT;
      return "done";
    }
    this.#settleTimeout(this.#threadCpuMs() - startCpuMs);
    return "timedOut";
  }

  quarantined(tenant: number): boolean {
    return this.#tenants.strikes[tenant]! >= this.#strikeCountMax;
  }

  /** Ends a quarantine: the tenant goes on where it stood, without strikes. */
  release(tenant: number): void {
    this.#tenants.strikes[tenant] = 0;
  }

  strikeCount(tenant: number): number {
    return this.#tenants.strikes[tenant]!;
  }

  lastFailure(tenant: number): Outcome | undefined {
    return OUTCOMES[this.#tenants.failures[tenant]! - 1];
  }

  /** Bytes of the tenant's image as last written. */
  imageBytes(tenant: number): number {
    return this.images.bytesOf(tenant);
  }

  /** SHA-256 of all of the tenant's state. Writes its image first. */
  stateHash(tenant: number): string {
    assert(this.isOpen(tenant));
    this.slots.commit(tenant);
    const hash = createHash("sha256");
    this.images.hash(tenant, hash);
    return hash.digest("hex");
  }

  /** Of a component: see componentDigest. */
  digestAt(component: number): Uint8Array {
    return this.#digests[component]!;
  }

  /** Of the component that the tenant runs: see componentDigest. */
  digestOf(tenant: number): Uint8Array {
    return this.#digests[this.#tenants.component(tenant)]!;
  }

  /**
   * Copies the tenant's state as it is now to `packed`: the bytes of its image, 0 for the base. -1:
   * there is no room to write its image first, and it goes on as it is.
   */
  takeImage(tenant: number, packed: Buffer): number {
    assert(this.isOpen(tenant));
    const outcome = this.slots.commit(tenant);
    if (outcome === "refused") return -1;
    return this.images.read(tenant, packed);
  }

  /**
   * Opens a tenant with a state that `takeImage` gave of the same component. Its strikes are what
   * they were. `refused`: there is no room for it.
   */
  putImage(
    tenant: number,
    component: number,
    strikes: number,
    packed: Buffer,
    byteCount: number,
  ): Outcome {
    this.#checkTenant(tenant);
    assert(!this.#tenants.isOpen(tenant));
    assert(component >= 0 && component < this.#components.size);
    if (!this.images.store(tenant, packed, byteCount)) return "refused";
    this.#tenants.open(tenant, component);
    this.#tenants.strikes[tenant] = strikes;
    return "ok";
  }

  /**
   * Does a turn again that went well once, of a tenant that stands where it stood before it; its
   * first turn opens it. Strikes do not matter: it had none that mattered then.
   */
  replay(
    tenant: number,
    component: number,
    kind: number,
    first: number,
    second: number,
    time: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ): Outcome {
    const isOpening = !this.isOpen(tenant);
    const slot = isOpening ? this.beginOpening(tenant, component) : this.#begin(tenant, byteCount);
    if (slot === undefined) return this.decline();
    try {
      slot.instance.again(kind, first, second, time, source, byteOffset, byteCount);
    } catch (error) {
      return isOpening ? this.failOpening(slot, error) : this.fail(slot, error);
    }
    slot.journal.callWith(kind, first, second, source, byteOffset, byteCount);
    return isOpening ? this.finishOpening(slot) : this.finish(slot);
  }

  /** Tenants that were to move to another component, by what became of it. */
  get upgrades(): UpgradeCounts {
    return this.#upgrades.counts;
  }

  /** Number of the component, if there is one with this digest. */
  componentOf(digest: Uint8Array): number | undefined {
    const number = this.#digests.findIndex((each) => each.equals(digest));
    return number === -1 ? undefined : number;
  }

  /** Number of the tenant's component. */
  componentNumber(tenant: number): number {
    assert(this.isOpen(tenant));
    return this.#tenants.component(tenant);
  }

  /** Tenants have moved: if all of them run the first component, only that has to be guarded. */
  settle(): void {
    const others = this.#digests.slice(1);
    if (others.some((_, index) => this.#tenants.countOf(index + 1) > 0)) return;
    this.#guarded = this.#isFirstGuarded;
  }

  /** Digest of each component (componentDigest), hexadecimal, and how many tenants run it. */
  componentCounts(): readonly { readonly digest: string; readonly tenants: number }[] {
    return this.#digests.map((digest, number) => ({
      digest: digest.toString("hex"),
      tenants: this.#tenants.countOf(number),
    }));
  }

  /**
   * Moves a tenant to another component, with all that it knows: the one hands over, the other
   * takes in. Not within a slice: what guests do here has slices of its own. Unless it has moved,
   * the tenant stands where it stood, and has no strike for it. A tenant in quarantine moves, too,
   * and stays in quarantine.
   */
  upgrade(tenant: number, component: number): Upgrade {
    this.#checkTenant(tenant);
    assert(component >= 0 && component < this.#components.size);
    return this.#upgrades.move(tenant, component);
  }

  /**
   * The tenant's state as it is handed over, for who wants to look at it; a view that is good until
   * the next call. Undefined: there is none to be had.
   */
  exportState(tenant: number): Buffer | undefined {
    this.#checkTenant(tenant);
    return this.#upgrades.export(tenant);
  }

  /**
   * Runs guests for a tenant in a slice of their own, which is no turn. `exceededTime`: it was
   * ended, and is to blame for it; `refused`: it was ended, and nobody is.
   */
  #apart(tenant: number, run: () => void): Outcome {
    const end = this.runSlice(() => {
      this.#turnStartMs = performance.now();
      this.#turnTenant = tenant;
      run();
      this.#turnTenant = NO_TENANT;
    });
    if (end === "done") return "ok";
    // It is the component's failure, and no reason to put the tenant into quarantine.
    if (this.timedOutTenant !== tenant) return "refused";
    this.#tenants.strikes[tenant]! -= 1;
    return "exceededTime";
  }

  /** Writes the images of all tenants in slots. */
  commitAll(): void {
    this.slots.commitAll();
  }

  /**
   * Begins the turn with which a tenant begins. Undefined: it did not, and `decline` says why. End
   * it with `finishOpening` or `failOpening`.
   */
  protected beginOpening(tenant: number, component: number): Slot<Instance> | undefined {
    this.#checkTenant(tenant);
    assert(!this.#tenants.isOpen(tenant));
    assert(component >= 0 && component < this.#components.size);
    if (this.quarantined(tenant)) return this.#refuse("quarantined");
    if (this.images.isFull) return this.#refuse("refused");
    this.#openingTenant = tenant;
    this.#tenants.open(tenant, component);
    const slot = this.#begin(tenant, 0);
    if (slot === undefined) this.#abandonOpening();
    return slot;
  }

  protected finishOpening(slot: Slot<Instance>): Outcome {
    const sink = this.#sink;
    if (sink !== undefined) slot.journal.handOn(sink, slot.tenant);
    const cursor = sink?.cursor;
    slot.journal.publish(performance.now() - this.#turnStartMs, cursor);
    this.#openingTenant = NO_TENANT;
    this.#turnTenant = NO_TENANT;
    this.slots.torn = undefined;
    return "ok";
  }

  protected failOpening(slot: Slot<Instance>, error: unknown): Outcome {
    const outcome = this.fail(slot, error);
    this.#abandonOpening();
    return outcome;
  }

  protected begin(tenant: number, byteCount: number): Slot<Instance> | undefined {
    this.#checkTenant(tenant);
    assert(this.#tenants.isOpen(tenant));
    if (this.#tenants.strikes[tenant]! >= this.#strikeCountMax) {
      return this.#refuse("quarantined");
    }
    return this.#begin(tenant, byteCount);
  }

  #begin(tenant: number, byteCount: number): Slot<Instance> | undefined {
    this.#sink?.makeRoom(byteCount);
    const slot = this.slots.enter(tenant, byteCount);
    if (slot === undefined) return undefined;
    this.#turnStartMs = performance.now();
    this.#turnTenant = tenant;
    return slot;
  }

  /** The turn counts from here on. Nothing in its last five lines can be interrupted. */
  protected finish(slot: Slot<Instance>): Outcome {
    const sink = this.#sink;
    if (sink !== undefined) slot.journal.handOn(sink, slot.tenant);
    const cursor = sink?.cursor;
    const turnMs = performance.now() - this.#turnStartMs;
    const { stats } = this;
    const slots = this.slots;
    slot.journal.publish(turnMs, cursor);
    this.#turnTenant = NO_TENANT;
    slots.torn = undefined;
    stats.turns += 1;
    stats.outcomes.ok += 1;
    return "ok";
  }

  protected fail(slot: Slot<Instance>, error: unknown): Outcome {
    const outcome = outcomeOf(error, slot.base.component.growOffsets);
    const { tenant } = slot;
    this.slots.restore(slot);
    this.#strike(tenant, outcome);
    this.#turnTenant = NO_TENANT;
    this.slots.torn = undefined;
    return outcome;
  }

  #strike(tenant: number, outcome: Outcome): void {
    const { strikes, failures } = this.#tenants;
    strikes[tenant] = Math.min(strikes[tenant]! + 1, 255);
    failures[tenant] = OUTCOMES.indexOf(outcome) + 1;
    this.stats.outcomes[outcome] += 1;
  }

  /** A call that was not made. A strike has its entry in the books already. */
  protected decline(outcome = this.slots.refusal): Outcome {
    if (outcome === "quarantined" || outcome === "refused") this.stats.outcomes[outcome] += 1;
    return outcome;
  }

  #abandonOpening(): void {
    this.#forget(this.#openingTenant);
    this.#openingTenant = NO_TENANT;
  }

  /** In this order: once closed, what is left of it belongs to nobody and is found by `recover`. */
  #forget(tenant: number): void {
    this.#tenants.close(tenant);
    this.slots.vacate(tenant);
    this.images.free(tenant);
  }

  #settleTimeout(cpuMs: number): void {
    const tenant = this.#turnTenant;
    const ranMs = performance.now() - this.#turnStartMs;
    this.#turnTenant = NO_TENANT;
    if (this.#openingTenant !== NO_TENANT) {
      this.#tenants.close(this.#openingTenant);
      this.#openingTenant = NO_TENANT;
    }
    this.slots.recover();
    if (tenant !== NO_TENANT && this.#isToBlame(tenant, Math.min(cpuMs, ranMs), ranMs)) {
      this.#strike(tenant, "exceededTime");
      this.timedOutTenant = tenant;
      this.stats.timeouts += 1;
    } else this.stats.spuriousTimeouts += 1;
  }

  /**
   * Whether this turn took the time, and took it as CPU: half the limit, as slices are short beside
   * it.
   */
  #isToBlame(tenant: number, cpuMs: number, ranMs: number): boolean {
    const enoughMs = this.#turnMsMax / 2;
    if (ranMs < enoughMs) return false;
    if (this.#suspect !== tenant) this.#suspectCpuMs = 0;
    this.#suspect = tenant;
    this.#suspectCpuMs += cpuMs;
    if (this.#suspectCpuMs < enoughMs) return false;
    this.#suspect = NO_TENANT;
    return true;
  }

  #checkTenant(tenant: number): void {
    assert(tenant >= 0);
    assert(tenant < this.#tenants.tenantCountMax);
  }

  #refuse(outcome: Outcome): undefined {
    this.slots.refusal = outcome;
    return undefined;
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
