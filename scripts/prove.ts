// `npm run prove -- NAME [--parameter number]…`: the long form of the proofs whose short form the
// tests are. Without a name it lists them. Each draws everything from its seed, and prints it.
//
//     npm run prove -- crash --kills 300 --seed 7
import { parseArgs } from "node:util";
import type { Proof } from "./proof.ts";

/** Loaded when they are asked for: some need what others do without. */
const PROOFS: Readonly<Record<string, () => Promise<Proof>>> = {
  crash: async () => (await import("../test/durability/crash-proof.ts")).crashProof,
  soak: async () => (await import("../test/soak/soak-proof.ts")).soakProof,
  faults: async () => (await import("../test/durability/faults-proof.ts")).faultsProof,
};

/** sysexits.h EX_USAGE. */
const EXIT_USAGE = 64;

async function main([name, ...words]: readonly string[]): Promise<number> {
  if (name === "fuzz") return (await import("../test/fuzz/prove-fuzz.ts")).fuzz(words, say);
  const load = name === undefined ? undefined : PROOFS[name];
  if (load === undefined) {
    for (const [known, loadOne] of Object.entries(PROOFS)) describe(known, await loadOne());
    if (name === undefined) say((await import("../test/fuzz/prove-fuzz.ts")).FUZZ_USAGE);
    return name === undefined ? 0 : EXIT_USAGE;
  }
  const proof = await load();
  let values: Record<string, number>;
  try {
    values = valuesOf(proof, words);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    describe(name!, proof);
    return EXIT_USAGE;
  }
  const said = Object.entries(values).map(([key, value]) => `--${key} ${value}`);
  say(`npm run prove -- ${name} ${said.join(" ")}`);
  const startMs = performance.now();
  await proof.run(values, say);
  say(`${name}: holds, after ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  return 0;
}

function valuesOf({ parameters }: Proof, words: readonly string[]): Record<string, number> {
  const options = Object.keys(parameters).map((key) => [key, { type: "string" }] as const);
  const { values } = parseArgs({ args: [...words], options: Object.fromEntries(options) });
  const entries = Object.entries(parameters).map(([key, { value }]) => {
    const said = values[key];
    const number = said === undefined ? value : Number(said);
    if (Number.isSafeInteger(number) && number >= 0) return [key, number] as const;
    throw new Error(`--${key} is ${JSON.stringify(said)}; use a whole number.`);
  });
  return Object.fromEntries(entries);
}

function describe(name: string, { sentence, parameters }: Proof): void {
  say(`${name}: ${sentence}`);
  for (const [key, { value, sentence: meaning }] of Object.entries(parameters)) {
    say(`  --${key} ${value}  ${meaning}`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main(process.argv.slice(2));
