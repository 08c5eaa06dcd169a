/**
 * Compiles AssemblyScript for tests, with the options of the real build; results lie under build/.
 */
import asc from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../..");
const OPTIONS =
  "--runtime stub --use abort= -O3 --noAssert --converge " +
  "--initialMemory 3 --maximumMemory 3 --enable simd";

/** A module of the AssemblyScript file, named from the root of the project. */
export async function compileGuest(entryPath: string): Promise<WebAssembly.Module> {
  const hash = createHash("sha256").update(entryPath).update(OPTIONS);
  for (const path of globSync("guests/**/assembly/**/*.ts", { cwd: ROOT }).toSorted()) {
    hash.update(path).update(readFileSync(join(ROOT, path)));
  }
  const folder = join(ROOT, "build/test-guests");
  const cached = join(folder, `${hash.digest("hex").slice(0, 16)}.wasm`);
  if (!existsSync(cached)) {
    const binary = await compile(entryPath);
    mkdirSync(folder, { recursive: true });
    writeFileSync(cached, binary);
  }
  return new WebAssembly.Module(readFileSync(cached));
}

async function compile(entryPath: string): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const options = [entryPath, ...OPTIONS.split(" "), "--outFile", "result.wasm", "--baseDir", ROOT];
  const { error } = await asc.main(options, {
    stdout: asc.createMemoryStream(),
    stderr,
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`${entryPath} does not compile.\n${stderr.toString()}${error ?? ""}`);
  }
  return binary;
}
