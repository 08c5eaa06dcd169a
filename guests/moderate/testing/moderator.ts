/** Drives the moderator's core module as a host does, and reads what it returns. */
import asc from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { GuestMemory, compileLiftResult } from "#isolate/canonical-abi.ts";
import { EVENT_SUBTASK, ReviewTurn, SUBTASK_RETURNED } from "#isolate/review-turn.ts";
import {
  CONSULTATION_FAILURES,
  type ConsultationFailure,
  type Opinion,
} from "#model/consultation.ts";
import type { ModerationRequest, ModeratorUsage, Turn, VerdictReport } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import type { Policy } from "#model/policy.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { type PromptPart, readPromptParts } from "#model/prompt-parts.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import { loadWorld } from "../../../scripts/generate.ts";
import { checkStatics, GUESTS, guestOptions } from "../../../scripts/guests.ts";

export const STATE_ADDRESS = 0x22000;
const PAGE_BYTES = 4096;
const ROOT = resolve(import.meta.dirname, "../../..");
const FOLDER = "guests/moderate/assembly";
const CLASSIFIER = "nexuscore:tenant/classifier@0.1.0";

type Core = {
  readonly memory: WebAssembly.Memory;
  cabi_realloc(oldPtr: number, oldSize: number, align: number, newSize: number): number;
  configure(ptr: number, len: number): void;
  judge(ptr: number, len: number): number;
  review(ptr: number, len: number): number;
  reviewCallback(event: number, waitable: number, state: number): number;
  post_judge(result: number): void;
  conversation(ptr: number, len: number): number;
  post_conversation(result: number): void;
  forget(ptr: number, len: number): number;
  usage(): number;
  post_usage(result: number): void;
  advance(nowMs: number): void;
};

const guest = GUESTS.find(({ name }) => name === "moderate")!;
const world = loadWorld(guest.witPath, guest.world);
const resultOf = (name: string) =>
  compileLiftResult(world.abi.exports.find((each) => each.name === name)!.result!);
const lift = {
  judge: resultOf("judge"),
  conversation: resultOf("conversation"),
  usage: resultOf("usage"),
};

/** The judge with the real scoring, or with the stand-in by which messages say their scores. */
export async function compileModerator(scoring: "real" | "stand-in"): Promise<WebAssembly.Module> {
  const hash = createHash("sha256")
    .update(scoring)
    .update(JSON.stringify(guestOptions(guest)));
  for (const path of globSync("guests/{moderate,sdk}/assembly/**/*.ts", { cwd: ROOT }).toSorted()) {
    hash.update(path).update(readFileSync(join(ROOT, path)));
  }
  const folder = join(ROOT, "build/test-guests");
  const cached = join(folder, `moderate-${hash.digest("hex").slice(0, 16)}.wasm`);
  if (!existsSync(cached)) {
    const binary = await compile(scoring === "real" ? "score.ts" : "stand-in.ts");
    mkdirSync(folder, { recursive: true });
    writeFileSync(cached, binary);
  }
  return new WebAssembly.Module(readFileSync(cached));
}

async function compile(scoring: string): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const options = [`${FOLDER}/world.gen.ts`, ...guestOptions(guest), "--outFile", "result.wasm"];
  const { error } = await asc.main(options, {
    stdout: asc.createMemoryStream(),
    stderr,
    readFile: (path: string) => {
      const read = path === `${FOLDER}/score.ts` ? `${FOLDER}/${scoring}` : path;
      const found = join(ROOT, read);
      return existsSync(found) ? readFileSync(found, "utf8") : null;
    },
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`The moderator does not compile.\n${stderr.toString()}${error ?? ""}`);
  }
  checkStatics(guest, binary);
  return binary;
}

export type ClassifierFunctions = Readonly<
  Record<"message-row" | "reply-row" | "parameter", (...values: number[]) => number | bigint>
>;

/** The functions of the classifier, with weights that are all zero. */
export const NO_WEIGHTS: ClassifierFunctions = {
  "message-row": () => 0n,
  "reply-row": () => 0n,
  parameter: () => 0,
};

/** What a review asks; or undefined, and it has ended with the opinion. */
export type Begun = {
  readonly prompt: Buffer | undefined;
  readonly opinion: Opinion | undefined;
};

/** One tenant. Every call checks that the low pages are the component's own again. */
export class Moderator {
  readonly core: Core;
  readonly #memory: GuestMemory;
  readonly #base: Uint8Array;
  readonly #requests = new RequestBytes();
  readonly #turn = new ReviewTurn();
  /** Where each call that waits wants its answer. */
  readonly #results = new Map<number, number>();

  constructor(module: WebAssembly.Module, classifier: ClassifierFunctions = NO_WEIGHTS) {
    const imports = { [CLASSIFIER]: classifier, ...this.#turn.imports };
    const instance = new WebAssembly.Instance(module, imports);
    this.core = instance.exports as unknown as Core;
    this.#memory = new GuestMemory(this.core.memory);
    this.#base = this.bytes.slice();
  }

  /** What differs from the default policy; nothing: the default itself. */
  configure(policy?: Partial<Policy>, version = 1): void {
    if (policy === undefined) return this.configureBytes(new Uint8Array());
    const bytes = policyBytes({
      version,
      setAtMs: 0,
      note: undefined,
      policy: { ...POLICY_DEFAULT, ...policy },
    });
    if (bytes === undefined) throw new Error("the policy takes too many bytes");
    this.configureBytes(bytes);
  }

  configureBytes(bytes: Uint8Array): void {
    this.core.configure(this.#put(bytes), bytes.byteLength);
    this.#check();
  }

  judge(request: ModerationRequest): VerdictReport {
    return this.judgeBytes(this.encode(request));
  }

  encode(request: ModerationRequest): Uint8Array {
    const length = this.#requests.write(request, 0);
    if (typeof length === "string") throw new Error(`${length} is too long`);
    return this.#requests.bytes.slice(0, length);
  }

  judgeBytes(bytes: Uint8Array): VerdictReport {
    const result = this.core.judge(this.#put(bytes), bytes.byteLength);
    const report = lift.judge(this.#memory, result) as VerdictReport;
    this.core.post_judge(result);
    this.#check();
    return report;
  }

  /** Begins the review of what was judged last; `call`: a number that no open one has. */
  beginReview(call: number, request: ModerationRequest): Begun {
    return this.beginReviewBytes(call, this.encode(request));
  }

  beginReviewBytes(call: number, bytes: Uint8Array): Begun {
    const turn = this.#turn;
    turn.begin(this.#memory, call, false);
    try {
      turn.check(this.core.review(this.#put(bytes), bytes.byteLength));
    } finally {
      turn.close();
    }
    this.#check();
    const { prompt, promptBytes, resultAt, opinion } = turn;
    if (promptBytes < 0) return { prompt: undefined, opinion };
    this.#results.set(call, resultAt);
    return { prompt: Buffer.from(prompt.subarray(0, promptBytes)), opinion };
  }

  /** Tells the review how its call ended. */
  endReview(call: number, end: Uint8Array | ConsultationFailure): Opinion {
    const turn = this.#turn;
    const resultAt = this.#results.get(call)!;
    turn.answer(this.#memory, call, false);
    try {
      if (typeof end === "string") {
        ReviewTurn.writeFailure(this.#memory, resultAt, CONSULTATION_FAILURES.indexOf(end));
      } else {
        ReviewTurn.writeAnswer(this.#memory, resultAt, this.#put(end), end.byteLength);
      }
      turn.check(this.core.reviewCallback(EVENT_SUBTASK, turn.subtask, SUBTASK_RETURNED));
    } finally {
      turn.close();
    }
    this.#check();
    this.#results.delete(call);
    return turn.opinion!;
  }

  /** Judges a message and begins its review: what the upstream is told of it. */
  ask(call: number, request: ModerationRequest): readonly PromptPart[] {
    const { consult } = this.judge(request);
    if (!consult) throw new Error(`nobody is asked about ${JSON.stringify(request.text)}`);
    const parts = readPromptParts(this.beginReview(call, request).prompt ?? Buffer.alloc(0));
    if (parts === undefined) throw new Error("what is asked is no parts");
    return parts;
  }

  conversation(id: string): readonly Turn[] {
    const bytes = Buffer.from(id);
    const result = this.core.conversation(this.#put(bytes), bytes.byteLength);
    const turns = lift.conversation(this.#memory, result) as readonly Turn[];
    this.core.post_conversation(result);
    this.#check();
    return turns;
  }

  forget(id: string): boolean {
    const bytes = Buffer.from(id);
    const found = this.core.forget(this.#put(bytes), bytes.byteLength) === 1;
    this.#check();
    return found;
  }

  usage(): ModeratorUsage {
    const result = this.core.usage();
    const usage = lift.usage(this.#memory, result) as ModeratorUsage;
    this.core.post_usage(result);
    this.#check();
    return usage;
  }

  advance(nowMs: number): void {
    this.core.advance(nowMs);
    this.#check();
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.core.memory.buffer);
  }

  /** The tenant's state. */
  get image(): Uint8Array {
    return this.bytes.subarray(STATE_ADDRESS);
  }

  /** 4 KiB pages that differ from the base: what a host keeps. */
  get imagePages(): number {
    const bytes = this.bytes;
    let count = 0;
    for (let start = 0; start < bytes.byteLength; start += PAGE_BYTES) {
      const end = start + PAGE_BYTES;
      if (!Buffer.from(bytes.subarray(start, end)).equals(this.#base.subarray(start, end))) count++;
    }
    return count;
  }

  #put(bytes: Uint8Array): number {
    const pointer = this.core.cabi_realloc(0, 0, 1, bytes.byteLength);
    this.bytes.set(bytes, pointer);
    return pointer;
  }

  #check(): void {
    const low = Buffer.from(this.bytes.buffer, 0, STATE_ADDRESS);
    const base = this.#base.subarray(0, STATE_ADDRESS);
    if (low.equals(base)) return;
    const at = low.findIndex((byte, index) => byte !== base[index]);
    throw new Error(`the low pages differ from the base at 0x${at.toString(16)} after a call`);
  }
}
