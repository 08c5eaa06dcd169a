import { BodyBudget } from "#model/body-budget.ts";
import { BODIES_BYTES_MAX, BODY_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { createGzip, gzipSync } from "node:zlib";
import { readBody, type BodyHeaders } from "./body.ts";

const NONE: BodyHeaders = { encoding: undefined, contentLength: undefined };
const GZIP: BodyHeaders = { encoding: "gzip", contentLength: undefined };

async function problemCode(body: Promise<unknown>): Promise<string> {
  const error: unknown = await body.then(
    () => assert.fail("no problem"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Problem, String(error));
  return error.code;
}

test("body: chunks are joined, and held until they are given back", async () => {
  const budget = new BodyBudget();
  const body = await readBody(Readable.from([Buffer.from("ab"), Buffer.from("c")]), NONE, budget);
  assert.equal(body.toString(), "abc");
  assert.equal(budget.bytes, 3);
});

test("body: exactly the limit passes, one byte more does not", async () => {
  const budget = new BodyBudget();
  const whole = Buffer.alloc(BODY_BYTES_MAX);
  assert.equal((await readBody(Readable.from([whole]), NONE, budget)).length, BODY_BYTES_MAX);
  budget.give(BODY_BYTES_MAX);
  const more = Readable.from([whole, Buffer.alloc(1)]);
  assert.equal(await problemCode(readBody(more, NONE, budget)), "bodyTooLarge");
  assert.equal(budget.bytes, 0);
});

test("body: a bomb is stopped early: the rest of it is not decompressed", async () => {
  const gzip = createGzip();
  const compressed: Buffer[] = [];
  gzip.on("data", (chunk: Buffer) => compressed.push(chunk));
  for (let mebibyte = 0; mebibyte < 128; mebibyte++) gzip.write(Buffer.alloc(1024 * 1024));
  await new Promise((resolve) => gzip.end(resolve));
  const bomb = Buffer.concat(compressed);
  assert.ok(bomb.length < BODY_BYTES_MAX / 16);
  const budget = new BodyBudget();
  const source = new PassThrough();
  const code = problemCode(readBody(source, GZIP, budget));
  source.write(bomb.subarray(0, bomb.length / 2));
  // The answer is there although the second half has not even been sent.
  assert.equal(await code, "bodyTooLarge");
  assert.equal(budget.bytes, 0);
  source.end(bomb.subarray(bomb.length / 2));
  await new Promise((resolve) => source.once("end", resolve));
});

test("body: a client that breaks off is no bug, and holds nothing", async () => {
  for (const headers of [NONE, GZIP]) {
    const budget = new BodyBudget();
    const source = new PassThrough();
    const code = problemCode(readBody(source, headers, budget));
    source.write(gzipSync("half of a body").subarray(0, 12));
    source.destroy();
    assert.equal(await code, "badRequest");
    assert.equal(budget.bytes, 0);
  }
});

test("body: the announced length alone refuses", async () => {
  const source = new PassThrough();
  const headers = { encoding: undefined, contentLength: String(BODY_BYTES_MAX + 1) };
  assert.equal(await problemCode(readBody(source, headers, new BodyBudget())), "bodyTooLarge");
});

test("body: all bodies together have a limit", async () => {
  const budget = new BodyBudget();
  assert.ok(budget.take(BODIES_BYTES_MAX - 2));
  const source = Readable.from([Buffer.from("abc")]);
  assert.equal(await problemCode(readBody(source, NONE, budget)), "busy");
  assert.equal(budget.bytes, BODIES_BYTES_MAX - 2);
});
