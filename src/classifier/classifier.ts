/**
 * The weights of the embedded classifier: once in a process, read by all threads. The file lies in
 * a shared memory, and classifier/dist/classifier.wasm reads it: pure functions that tenants'
 * moderators import, Wasm to Wasm. The model's name says which weights they are.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CLASSIFIER_BYTES_MAX } from "#model/limits.ts";

/** What a thread needs to bind the functions; it can be posted to another one. */
export type ClassifierHandle = {
  /** `nexuscore-embedded-1+` and the first 12 digits of the SHA-256 of the weights. */
  readonly model: string;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
};

/** The exports, by the names that the module gives them. */
export type ClassifierFunctions = {
  readonly messageRow: Function;
  readonly replyRow: Function;
  readonly parameter: Function;
};

const MODULE = new URL("../../classifier/dist/classifier.wasm", import.meta.url);
const WEIGHTS = new URL("../../classifier/dist/weights.bin", import.meta.url);
const MODEL_NAME = "nexuscore-embedded-1";
const HASH_DIGITS = 12;

const MAGIC = 0x3157_584e; // "NXW1"
const MESSAGE_BUCKETS_LOG2 = 19;
const REPLY_BUCKETS_LOG2 = 17;
const PARAMETER_COUNT = 512;
const HEAD_BYTES = 16;
const WEIGHTS_BYTES =
  HEAD_BYTES + PARAMETER_COUNT * 8 + 2 ** MESSAGE_BUCKETS_LOG2 * 8 + 2 ** REPLY_BUCKETS_LOG2 * 16;
const WASM_PAGE_BYTES = 65_536;

assert(WEIGHTS_BYTES <= CLASSIFIER_BYTES_MAX);

/** Of the files that are built in. */
export async function loadClassifier(): Promise<ClassifierHandle> {
  const [module, weights] = await Promise.all([readFile(MODULE), readFile(WEIGHTS)]);
  return classifierOf(module, weights);
}

/** Throws where the weights are not what the module reads. */
export function classifierOf(moduleBytes: Uint8Array, weights: Uint8Array): ClassifierHandle {
  checkWeights(weights);
  const pageCount = Math.ceil(WEIGHTS_BYTES / WASM_PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pageCount, maximum: pageCount, shared: true });
  new Uint8Array(memory.buffer).set(weights);
  const sha256 = createHash("sha256").update(weights).digest("hex");
  return {
    model: `${MODEL_NAME}+${sha256.slice(0, HASH_DIGITS)}`,
    module: new WebAssembly.Module(new Uint8Array(moduleBytes)),
    memory,
  };
}

/** The functions, on this thread. */
export function bindClassifier({ module, memory }: ClassifierHandle): ClassifierFunctions {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { messageRow, replyRow, parameter } = exports;
  assert(typeof messageRow === "function" && typeof replyRow === "function");
  assert(typeof parameter === "function");
  return { messageRow, replyRow, parameter };
}

function checkWeights(weights: Uint8Array): void {
  const wanted = [MAGIC, MESSAGE_BUCKETS_LOG2, REPLY_BUCKETS_LOG2, PARAMETER_COUNT];
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
  const isWhole = weights.length === WEIGHTS_BYTES;
  if (isWhole && wanted.every((value, index) => view.getUint32(4 * index, true) === value)) return;
  throw new Error(
    `The weights of the classifier (${weights.length} bytes) are not those of this version, ` +
      `which are ${WEIGHTS_BYTES} bytes and begin with NXW1.`,
  );
}
