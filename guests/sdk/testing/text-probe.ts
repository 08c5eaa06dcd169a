// Drives the tokenizer of guests/sdk/assembly/text, compiled alone, and checks on every call what
// it promises of memory.
import assert from "node:assert/strict";
import { resolve } from "node:path";
import asc from "assemblyscript/asc";

const ROOT = resolve(import.meta.dirname, "../../..");
const OPTIONS =
  "--initialMemory 2 --maximumMemory 2 --runtime stub --use abort= -O3 --noAssert".split(" ");

type Probe = {
  memory: WebAssembly.Memory;
  tokenize(ptr: number, len: number, out: number, max: number, scratch: number): number;
  fingerprint(): bigint;
  similar(a: bigint, b: bigint): number;
  forgetText(): void;
  hash32(ptr: number, len: number): number;
  hash64(ptr: number, len: number): bigint;
  scratchBytes(len: number, max: number): number;
  freeStart(): number;
};
export type Term = { readonly text: string; readonly kind: number; readonly hash: number };

const RECORD_BYTES = 16;
const TERM_BYTES_MAX = 40;
const CANARY = 0xa5;
const [HASHTAG, MENTION, URL, EMOJI, CJK, BIGRAM] = [1, 2, 3, 4, 5, 6];

const module = await compile("guests/sdk/assembly/text/probe.ts");
export const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
export const memory = new Uint8Array(probe.memory.buffer);
const view = new DataView(probe.memory.buffer);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** First byte that tests may write. */
export const outStart = (probe.freeStart() + 15) & ~15;

/** Terms of a text, in order. The text lies right before its scratch, and canaries behind both. */
export function terms(text: string | Uint8Array, max = 512): Term[] {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const textStart = outStart + max * RECORD_BYTES;
  const scratch = textStart + bytes.length;
  const scratchBytes = probe.scratchBytes(bytes.length, max);
  assert(scratchBytes <= 4 * bytes.length + 1024, "the promise about scratch");
  assert(scratch + scratchBytes + 64 <= memory.length, "the test's text fits");
  memory.fill(CANARY, outStart, textStart);
  memory.set(bytes, textStart);
  memory.fill(CANARY, scratch, scratch + scratchBytes + 64);
  const count = probe.tokenize(textStart, bytes.length, outStart, max, scratch);
  assert(count <= max);
  assert.deepEqual(
    memory.subarray(textStart, scratch),
    Uint8Array.from(bytes),
    "text is read only",
  );
  for (let at = outStart + count * RECORD_BYTES; at < textStart; at++) {
    assert.equal(memory[at], CANARY, "no record is written beyond the count");
  }
  for (let at = 0; at < 64; at++) {
    assert.equal(memory[scratch + scratchBytes + at], CANARY, "scratch is kept");
  }
  return Array.from({ length: count }, (_, index) => {
    const record = outStart + index * RECORD_BYTES;
    const start = view.getUint32(record, true);
    const length = view.getUint32(record + 4, true);
    assert(start >= scratch && start + length <= scratch + scratchBytes, "terms lie in scratch");
    assert(length >= 1 && length <= TERM_BYTES_MAX, `a term of ${length} bytes`);
    const hash = view.getUint32(record + 8, true);
    assert.equal(hash, probe.hash32(start, length) >>> 0, "the record's hash is the term's");
    const termText = decoder.decode(memory.subarray(start, start + length));
    return { text: termText, kind: view.getUint32(record + 12, true), hash };
  });
}

/** word  #tag  @nick  <link>  {emoji}  [cjk pair]  "a bigram" */
export function shown(text: string): string {
  return terms(text)
    .map(({ text: term, kind }) => {
      if (kind === HASHTAG) assert(term.startsWith("#"));
      if (kind === MENTION) assert(term.startsWith("@"));
      if (kind === URL) return `<${term}>`;
      if (kind === EMOJI) return `{${term}}`;
      if (kind === CJK) return `[${term}]`;
      return kind === BIGRAM ? `"${term}"` : term;
    })
    .join(" ");
}

export function words(text: string): string {
  return terms(text)
    .filter(({ kind }) => kind !== BIGRAM)
    .map((term) => term.text)
    .join(" ");
}

export function print(text: string): bigint {
  terms(text);
  return BigInt.asUintN(64, probe.fingerprint());
}

async function compile(entryPath: string): Promise<WebAssembly.Module> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const stderr = asc.createMemoryStream();
  const options = [entryPath, ...OPTIONS, "--outFile", "result.wasm", "--baseDir", ROOT];
  const { error } = await asc.main(options, {
    stdout: asc.createMemoryStream(),
    stderr,
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = Uint8Array.from(contents);
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`${entryPath} does not compile.\n${stderr.toString()}${error ?? ""}`);
  }
  return new WebAssembly.Module(binary);
}
