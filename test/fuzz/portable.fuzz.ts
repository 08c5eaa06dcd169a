/**
 * Portable states, as a component hands them to its next version: taken in, or refused. What is
 * taken in is a tenant that answers every question and takes events.
 */
import { IsolateHost } from "#isolate/host.ts";
import { StateRefused } from "#isolate/portable-state.ts";
import { packedBytes } from "#isolate/scanner.ts";
import { SPANS } from "#model/summary.ts";
import { ALL_SPANS } from "#model/window.ts";
import { writeBatch } from "#testing/batch.ts";
import { TenantHistory } from "#testing/tenant-histories.ts";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const OWN = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);
const HISTORIES = 6;
const STEPS = 40;
const TENANT = HISTORIES;
const OVERTIME = "exceededTime";
/** Far more than a turn may take: what is over it would never end. */
const SLICE_MS_MAX = 1_000;
const SUM_AT = 8;
const SUM_FROM = 12;
const REASON_CHARACTERS = 60;
const BATCH = writeBatch([{ tsMs: 5, user: "ada", text: "the boss fight is on" }], 10);

const report = new Uint32Array(5);
const fates = new Uint8Array(1024);

class TakingHost extends IsolateHost {
  readonly component = this.admit(readFileSync(OWN));

  tell(tenant: number, batch: Uint8Array): string {
    return this.ingest(tenant, batch, 0, batch.length, report, fates);
  }

  /** Undefined: the tenant has the state; else why a new instance does not take it. */
  take(state: Buffer, tenant: number): string | undefined {
    const spare = this.slots.spare(this.component);
    try {
      spare.instance.portable!.importFrom(state, state.length);
    } catch (error) {
      if (error instanceof StateRefused) return error.message;
      // The host undoes it, and the tenant stays where it was.
      if (error instanceof WebAssembly.RuntimeError) return "trapped";
      throw error;
    }
    spare.compare();
    this.close(tenant);
    const packed = Buffer.from(packedBytes.subarray(0, spare.pack()));
    assert.equal(this.putImage(tenant, this.component, 0, packed, packed.length), "ok");
    return undefined;
  }

  /** How all that can be asked was answered. */
  answers(tenant: number): string[] {
    return [
      this.trending(tenant, 50, "trend").outcome,
      this.trending(tenant, 50, "count").outcome,
      ...SPANS.map((span) => this.summary(tenant, span, 50).outcome),
      ...SPANS.map((span) => this.sketch(tenant, span).outcome),
      this.conversations(tenant, 100).outcome,
    ];
  }
}

/** The sum of each part, made right again (guests/sdk/assembly/portable.ts). */
function reseal(state: Buffer): void {
  for (let at = 0; at + 4 <= state.length;) {
    const bytes = state.readUInt32LE(at);
    const end = at + 4 + bytes;
    if (end > state.length) return;
    if (bytes >= SUM_FROM) {
      const from = at + 4;
      let sum = Math.imul(0x811c9dc5 ^ state.readUInt32LE(from + 4), 0x01000193);
      for (let i = from + SUM_FROM; i < end; i++) sum = Math.imul(sum ^ state[i]!, 0x01000193);
      state.writeUInt32LE(sum >>> 0, from + SUM_AT);
    }
    at = end;
  }
}

export const portableStates: FuzzTarget = {
  sentence: "portable states: what a component takes in is a tenant that works",
  caseCount: 200,
  open: (): FuzzSubject => {
    const tenantCountMax = HISTORIES + 1;
    const options = { slotCount: 3, imageBytesMax: 64 << 20, tenantCountMax };
    const host = new TakingHost({ ...options, turnMsMax: SLICE_MS_MAX });
    const states = Array.from({ length: HISTORIES }, (_, tenant) => {
      host.open(tenant, host.component, { clock: "wall", spans: ALL_SPANS });
      const history = new TenantHistory(tenant);
      for (let step = 0; step < STEPS; step++) {
        const next = history.next();
        if ("nowMs" in next) host.advance(tenant, next.nowMs);
        else host.tell(tenant, next.batch);
      }
      return Buffer.from(host.exportState(tenant)!);
    });
    const neighbour = host.stateHash(0);
    return {
      seeds: states.flatMap((state) =>
        [0, 1].map((forged) => Buffer.concat([Buffer.from([forged]), state])),
      ),
      dictionary: [
        Buffer.alloc(8),
        Buffer.alloc(8, 0xff),
        Buffer.from([0, 0, 0, 0, 0, 0, 0xf0, 0x7f]),
        Buffer.from([0, 0, 0, 0, 0, 0, 0xf8, 0x7f]),
      ],
      check: (input) => {
        const state = Buffer.from(input.subarray(1));
        const isForged = (input[0] ?? 0) % 2 === 1;
        if (isForged) reseal(state);
        // As the host does it: a forged state may keep its component busy for ever.
        let refusal: string | undefined = OVERTIME;
        host.runSlice(() => (refusal = host.take(state, TENANT)));
        assert.equal(host.stateHash(0), neighbour, "nothing of it is in another tenant");
        if (refusal !== undefined) {
          return refusal.replaceAll(/\d+/g, "#").slice(0, REASON_CHARACTERS);
        }
        let outcomes = [OVERTIME];
        // What is whole has an end without a guard, also where the thread gets little CPU.
        if (isForged) host.runSlice(() => (outcomes = host.answers(TENANT)));
        else outcomes = host.answers(TENANT);
        // A forged state may break the tenant that it is of, and nobody else.
        if (isForged) {
          host.release(TENANT);
          return `forged, and taken: ${[...new Set(outcomes)].toSorted().join(" ")}`;
        }
        assert.deepEqual([...new Set(outcomes)], ["ok"], "every question has its answer");
        assert.equal(host.tell(TENANT, BATCH), "ok", "and it takes events");
        assert.equal(host.advance(TENANT, Date.parse("2030-01-01")), "ok");
        assert.equal(host.answers(TENANT)[0], "ok");
        return "taken";
      },
    };
  },
};
