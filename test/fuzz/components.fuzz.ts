/**
 * Components of strangers: what is admitted runs as any other, and whatever it does, the tenant
 * beside it, on a component of ours, has its answers.
 */
import { AdmissionError } from "#isolate/admission-error.ts";
import { admitComponent } from "#isolate/admission.ts";
import { IsolateHost } from "#isolate/host.ts";
import { ALL_SPANS } from "#model/window.ts";
import type { Random } from "#std/random.ts";
import { writeBatch } from "#testing/batch.ts";
import { SUMMARIZER } from "#isolate/world.gen.ts";
import { MODERATOR } from "#isolate/moderator-world.gen.ts";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const NAMES = ["hostile", "summarize", "hostile-moderator", "moderate"];
const NEIGHBOUR = 0;
const STRANGER = 1;
const BATCH = writeBatch([{ tsMs: 5, weight: 2, user: "ada", text: "the boss fight is on" }]);
/** Components that are admitted stay with their host. */
const ADMITTED_MAX = 32;
/** Longer than the product's: what takes long does so in every try. */
const TURN_MS_MAX = 200;

export const components: FuzzTarget = {
  sentence: "components, by their bytes and by their sections, through admission and a turn",
  caseCount: 150,
  open: (): FuzzSubject => {
    const files = NAMES.map((name) =>
      readFileSync(new URL(`../../guests/dist/${name}.component.wasm`, import.meta.url)),
    );
    const report = new Uint32Array(5);
    const fates = new Uint8Array(1024);
    const turn = (host: IsolateHost, tenant: number): string =>
      host.ingest(tenant, BATCH, 0, BATCH.length, report, fates);
    let host: IsolateHost;
    let admitted = ADMITTED_MAX;
    let wanted = "";
    const begin = (): void => {
      const options = { slotCount: 2, imageBytesMax: 16 << 20, tenantCountMax: 4 };
      host = new IsolateHost({ ...options, turnMsMax: TURN_MS_MAX });
      const number = host.admit(files[1]!);
      host.open(NEIGHBOUR, number, { clock: "wall", spans: ALL_SPANS });
      assert.equal(turn(host, NEIGHBOUR), "ok");
      wanted = host.stateHash(NEIGHBOUR);
      host.close(NEIGHBOUR);
      admitted = 0;
    };
    return {
      seeds: files,
      dictionary: [
        Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
        Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]),
        ..."memory cabi_realloc ingest wasi:clocks/wall-clock env memory.grow".split(" "),
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
        Buffer.from([0x80, 0x80, 0x80, 0x80, 0x00]),
        Buffer.from([0x40, 0x00]),
        Buffer.from([0xfc, 0x08]),
        Buffer.from([0xfd, 0x0c]),
        Buffer.from([0xfe, 0x10]),
        Buffer.from([0x03, 0x40, 0x0c, 0x00, 0x0b]),
      ],
      mutate: otherSections,
      check: (input) => {
        const world = refusalOf(() => admitComponent(input, SUMMARIZER));
        const other = refusalOf(() => admitComponent(input, MODERATOR));
        if (world !== undefined) return `${world} ${other ?? "a moderator"}`;
        if (admitted === ADMITTED_MAX) begin();
        admitted += 1;
        const number = host.admit(input);
        const outcome = guarded(host, () => {
          // A slice that nobody is to blame for may have ended after it.
          const isOpen = host.isOpen(STRANGER);
          const settings = { clock: "wall", spans: ALL_SPANS } as const;
          const opened = isOpen ? "ok" : host.open(STRANGER, number, settings);
          return opened === "ok" ? turn(host, STRANGER) : opened;
        });
        const ask = (): string => host.trending(STRANGER, 5, "count").outcome;
        const answer = outcome === "ok" ? guarded(host, ask) : outcome;
        host.open(NEIGHBOUR, 0, { clock: "wall", spans: ALL_SPANS });
        assert.equal(turn(host, NEIGHBOUR), "ok", "the next tenant is served");
        assert.equal(host.stateHash(NEIGHBOUR), wanted, "and nothing of another is in it");
        host.close(NEIGHBOUR);
        host.release(STRANGER);
        host.close(STRANGER);
        return `admitted ${outcome} ${answer}`;
      },
    };
  },
};

/** Again, where the thread got no CPU and nobody is to blame. */
function guarded(host: IsolateHost, call: () => string): string {
  for (;;) {
    let outcome = "exceededTime";
    if (host.runSlice(() => void (outcome = call())) === "done") return outcome;
    if (host.timedOutTenant === STRANGER) return "exceededTime";
  }
}

function refusalOf(admit: () => unknown): string | undefined {
  try {
    admit();
    return undefined;
  } catch (error) {
    if (!(error instanceof AdmissionError)) throw error;
    assert(error.message.length < 2_000, "a refusal has an end");
    return error.code;
  }
}

/** A section is lost, doubled, moved, cut or lied about; also those of the core module inside. */
function otherSections(random: Random, input: Uint8Array): Uint8Array {
  const sections = sectionsOf(input, 8);
  if (sections.length === 0) return input;
  const index = random.below(sections.length);
  const section = sections[index]!;
  const isNested = section.body.length > 8 && section.id === 1 && random.chance(3, 4);
  if (isNested) section.body = otherSections(random, section.body);
  else {
    const kind = random.below(6);
    if (kind === 0) sections.splice(index, 1);
    else if (kind === 1) sections.splice(random.below(sections.length), 0, section);
    else if (kind === 2) sections.push(...sections.splice(index, 1));
    else if (kind === 3) section.id = random.below(16);
    else if (kind === 4) section.lie = random.chance(1, 2) ? random.below(9) - 4 : random.u32();
    else section.body = flipped(random, section.body);
  }
  return Buffer.concat([input.subarray(0, 8), ...sections.map(sealed)]);
}

type Section = { id: number; body: Uint8Array; lie: number };

function sectionsOf(bytes: Uint8Array, from: number): Section[] {
  const sections: Section[] = [];
  for (let at = from; at < bytes.length;) {
    const id = bytes[at++]!;
    let length = 0;
    for (let shift = 0; shift < 35 && at < bytes.length; shift += 7) {
      const byte = bytes[at++]!;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    sections.push({ id, body: bytes.subarray(at, at + length), lie: 0 });
    at += length;
  }
  return sections;
}

function sealed({ id, body, lie }: Section): Uint8Array {
  const length: number[] = [];
  for (let rest = (body.length + lie) >>> 0; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from([id, ...length]), body]);
}

function flipped(random: Random, body: Uint8Array): Uint8Array {
  const copy = Buffer.from(body);
  const count = 1 + random.below(3);
  for (let i = 0; i < count && copy.length > 0; i++) {
    copy[random.below(copy.length)] = random.below(256);
  }
  return copy;
}
