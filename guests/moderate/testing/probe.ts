/**
 * The features and scores of the moderator as a module of their own, bound to a classifier: for
 * tests and for training.
 */
import asc from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../..");
const ENTRY = "guests/moderate/assembly/probe.ts";
/** The guest's memory is four pages; the probe's own lists lie behind. */
const OPTIONS =
  "--runtime stub --use abort= -O3 --noAssert --converge --enable simd " +
  "--initialMemory 16 --maximumMemory 16";

export type ClassifierRows = {
  "message-row"(bucket: number): bigint;
  "reply-row"(bucket: number, half: number): bigint;
  parameter(index: number): number;
};

export type FeatureProbe = {
  readonly memory: WebAssembly.Memory;
  textAt(): number;
  listAt(): number;
  allowedAt(): number;
  spansAt(): number;
  tracesAt(): number;
  combinedInputs(): number;
  tokenAddress(index: number): number;
  freeStart(): number;
  read(bytes: number): number;
  tokenCount(): number;
  setAllowed(count: number): void;
  messageFeatureList(bytes: number): number;
  contextFeatureList(bytes: number): number;
  traceTo(slot: number, bytes: number): void;
  setRelation(slot: number, relation: number): void;
  replyFeatureList(bytes: number, count: number, flags: number): number;
  scoreMessage(bytes: number, wants: number): number;
  scoreReply(bytes: number, count: number, flags: number): number;
  spans(lane: number): number;
  repeat(bytes: number, wants: number, times: number): void;
  clearScratch(): void;
};

/** Weights of zero: every score is a half. */
export const NO_WEIGHTS: ClassifierRows = {
  "message-row": () => 0n,
  "reply-row": () => 0n,
  parameter: () => 0,
};

export async function openProbe(rows: ClassifierRows = NO_WEIGHTS): Promise<FeatureProbe> {
  const imports = { "nexuscore:tenant/classifier@0.1.0": rows };
  return new WebAssembly.Instance(await compileProbe(), imports).exports as unknown as FeatureProbe;
}

async function compileProbe(): Promise<WebAssembly.Module> {
  const hash = createHash("sha256").update(ENTRY).update(OPTIONS);
  const sources = ["guests/moderate/assembly/*.ts", "guests/sdk/assembly/**/*.ts"];
  for (const path of globSync(sources, { cwd: ROOT }).toSorted()) {
    hash.update(path).update(readFileSync(join(ROOT, path)));
  }
  const folder = join(ROOT, "build/test-guests");
  const cached = join(folder, `${hash.digest("hex").slice(0, 16)}.wasm`);
  if (!existsSync(cached)) {
    const binary = await compile();
    mkdirSync(folder, { recursive: true });
    writeFileSync(cached, binary);
  }
  return new WebAssembly.Module(readFileSync(cached));
}

async function compile(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const options = [ENTRY, ...OPTIONS.split(" "), "--outFile", "result.wasm", "--baseDir", ROOT];
  const { error } = await asc.main(options, {
    stdout: asc.createMemoryStream(),
    stderr,
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`${ENTRY} does not compile.\n${stderr.toString()}${error ?? ""}`);
  }
  return binary;
}
