import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { Random } from "#std/random.ts";
import { bindClassifier, classifierOf, loadClassifier } from "./classifier.ts";

const module = readFileSync(new URL("../../classifier/dist/classifier.wasm", import.meta.url));
const MESSAGE_ROWS_AT = 16 + 512 * 8;
const REPLY_ROWS_AT = MESSAGE_ROWS_AT + 2 ** 19 * 8;
const WEIGHTS_BYTES = REPLY_ROWS_AT + 2 ** 17 * 16;

type Row = (bucket: number, half?: number) => bigint;
type Parameter = (index: number) => number;

/** A file without any weight. */
function emptyWeights(): Buffer {
  const weights = Buffer.alloc(WEIGHTS_BYTES);
  weights.write("NXW1");
  for (const [index, value] of [19, 17, 512].entries()) weights.writeUInt32LE(value, 4 + 4 * index);
  return weights;
}

test("rows and parameters are those of the file, whatever is asked for", () => {
  const random = new Random(7);
  const weights = emptyWeights();
  for (let at = MESSAGE_ROWS_AT; at < WEIGHTS_BYTES; at += 4) {
    weights.writeUInt32LE(random.below(2 ** 32), at);
  }
  for (let index = 0; index < 512; index++)
    weights.writeDoubleLE(random.unit() - 0.5, 16 + 8 * index);
  const classifier = bindClassifier(classifierOf(module, weights));
  const { messageRow, replyRow } = classifier as unknown as { messageRow: Row; replyRow: Row };
  const parameter = classifier.parameter as unknown as Parameter;
  const unsigned = (row: bigint): bigint => BigInt.asUintN(64, row);
  for (let round = 0; round < 2000; round++) {
    const bucket = round < 4 ? [0, 1, 2 ** 17 - 1, 2 ** 19 - 1][round]! : random.below(2 ** 32);
    const half = random.below(2);
    const message = MESSAGE_ROWS_AT + 8 * (bucket % 2 ** 19);
    const reply = REPLY_ROWS_AT + 16 * (bucket % 2 ** 17) + 8 * half;
    assert.equal(unsigned(messageRow(bucket)), weights.readBigUInt64LE(message));
    assert.equal(unsigned(replyRow(bucket, half)), weights.readBigUInt64LE(reply));
  }
  for (let index = 0; index < 512; index++) {
    assert.equal(parameter(index), weights.readDoubleLE(16 + 8 * index));
  }
  assert.deepEqual([parameter(512), parameter(2 ** 32 - 1)], [0, 0]);
});

test("the model's name says which weights they are", async () => {
  const weights = emptyWeights();
  const digits = (bytes: Buffer): string =>
    createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  assert.equal(classifierOf(module, weights).model, `nexuscore-embedded-1+${digits(weights)}`);
  const path = new URL("../../classifier/dist/weights.bin", import.meta.url);
  assert.equal(
    (await loadClassifier()).model,
    `nexuscore-embedded-1+${digits(readFileSync(path))}`,
  );
});

test("weights of another form are refused, and said to be", () => {
  const wrong = [
    Buffer.alloc(0),
    emptyWeights().subarray(0, -1),
    Buffer.concat([emptyWeights(), Buffer.alloc(1)]),
    emptyWeights().fill(0, 0, 4),
    emptyWeights().fill(18, 4, 5),
  ];
  for (const weights of wrong) {
    assert.throws(() => classifierOf(module, weights), /are not those of this version/);
  }
});

test("all threads read the same memory", async () => {
  const weights = emptyWeights();
  weights.writeDoubleLE(0.25, 16);
  const handle = classifierOf(module, weights);
  const source = `const { parentPort, workerData } = require("node:worker_threads");
    const { module, memory } = workerData;
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    parentPort.postMessage([exports.parameter(0), memory.buffer instanceof SharedArrayBuffer]);`;
  const worker = new Worker(source, { eval: true, workerData: handle });
  const answer = await new Promise((resolve, reject) => {
    worker.once("message", resolve).once("error", reject);
  });
  assert.deepEqual(answer, [0.25, true]);
  await worker.terminate();
});
