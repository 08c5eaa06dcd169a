/**
 * Where a host's turns go that outlive the process: what it put into a slot's journal, once more
 * into the log of its stream. Questions are left out: they change nothing of a component that keeps
 * the contract.
 */
import { DirtyTenants } from "./dirty-tenants.ts";
import { ENTRY_HEADER_BYTES, type TurnLog } from "./turn-log.ts";

/** Kind, bytes, and two numbers: of an entry of a journal (isolate/journal.ts), before its body. */
const JOURNAL_HEADER_BYTES = 16;

export type TurnSinkParts = {
  readonly log: TurnLog;
  /** Shared by the worlds: they are snapshotted together. */
  readonly dirty: DirtyTenants;
  readonly world: number;
  /** Whether turns of this kind change anything. */
  readonly changes: (kind: number) => boolean;
  /**
   * Whether they are logged now. What is not makes its tenant dirty all the same: it is kept with
   * the next snapshot, and a replay before that does without it.
   */
  readonly isLogged: (kind: number) => boolean;
  readonly nameOf: (tenant: number) => string;
  /** Stream and number of the tenant's newest snapshot. */
  readonly reachOf: (tenant: number) => readonly [stream: number, number: number];
  /** Numbers of the components that it runs: see turn-log.ts. */
  readonly componentsOf: (tenant: number) => number;
  /** The log has no room for a turn: hand its block on. */
  readonly seal: () => void;
};

export class TurnSink {
  /** Turns are made again that are in the log already. */
  isReplaying = false;
  readonly #parts: TurnSinkParts;
  constructor(parts: TurnSinkParts) {
    this.#parts = parts;
  }

  /** What is appended counts once this was moved on: the journal does it as it publishes. */
  get cursor(): Float64Array {
    return this.#parts.log.cursor;
  }

  /** Before a turn of so many bytes. */
  makeRoom(byteCount: number): void {
    const { log, seal } = this.#parts;
    if (!log.hasRoom(byteCount + ENTRY_HEADER_BYTES + 128)) seal();
  }

  /** Hot. The entry of a turn that is about to count, as it stands in a journal. */
  append(tenant: number, journal: Buffer, view: DataView, from: number): void {
    const { log, dirty, world, changes, isLogged } = this.#parts;
    const kind = view.getUint32(from, true);
    if (this.isReplaying || !changes(kind)) {
      log.drop();
      return;
    }
    if (!isLogged(kind)) {
      log.drop();
      dirty.mark(tenant, log.number);
      return;
    }
    this.name(tenant);
    const bytes = view.getUint32(from + 4, true);
    const first = view.getUint32(from + 8, true);
    const second = view.getUint32(from + 12, true);
    log.append(world, kind, tenant, first, second, journal, from + JOURNAL_HEADER_BYTES, bytes);
  }

  /** Before an entry of the tenant's. */
  name(tenant: number): void {
    const { log, dirty, nameOf, reachOf, componentsOf } = this.#parts;
    if (!dirty.isNamed(tenant)) {
      // In this order: if the guard ends it in between, the tenant is named twice, not never.
      const [stream, number] = reachOf(tenant);
      log.appendName(tenant, nameOf(tenant), stream, number, componentsOf(tenant));
      dirty.setNamed(tenant, true);
    }
    dirty.mark(tenant, log.number);
  }
}
