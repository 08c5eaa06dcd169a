// `npm run build`: contract -> generated sources -> guests -> components, and the host's own core
// modules. Results are committed. `-- --check` builds into build/ and compares; `-- NAME…` builds
// some.
import { parse } from "@bytecodealliance/jco";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BuildError, buildComponent, compile } from "./component-build.ts";
import { generate } from "./generate.ts";
import { CORE_MODULES, GUESTS } from "./guests.ts";

const ROOT = resolve(import.meta.dirname, "..");

async function main(words: readonly string[]): Promise<void> {
  const check = words.includes("--check");
  const names = words.filter((word) => !word.startsWith("--"));
  const stale = generate({ check });
  for (const guest of GUESTS) {
    if (!wanted(guest.name, `${guest.folder}/${guest.author}.ts`, names)) continue;
    if (await put(`guests/dist/${guest.name}.component.wasm`, await buildComponent(guest), check)) {
      stale.push(`guests/dist/${guest.name}.component.wasm`);
    }
  }
  for (const { entryPath, configPath, outputPath } of CORE_MODULES) {
    if (!wanted(dirname(dirname(outputPath)), entryPath, names)) continue;
    const built =
      configPath === undefined
        ? await parse(readFileSync(join(ROOT, entryPath), "utf8"))
        : await compile([entryPath, "--config", configPath, "--target", "release"], []);
    if (await put(outputPath, built, check)) stale.push(outputPath);
  }
  if (!check || stale.length === 0) return;
  for (const path of stale) process.stderr.write(`${path} is out of date\n`);
  process.stderr.write("Run `npm run build` and commit what it writes.\n");
  process.exitCode = 1;
}

function wanted(name: string, sourcePath: string, names: readonly string[]): boolean {
  if (names.length > 0) return names.includes(name);
  if (existsSync(join(ROOT, sourcePath))) return true;
  throw new BuildError(`${sourcePath} is missing; it belongs to scripts/guests.ts.`);
}

/** Writes a result, or compares it. Returns whether it was out of date. */
async function put(path: string, bytes: Uint8Array, check: boolean): Promise<boolean> {
  const target = join(ROOT, path);
  const isSame = existsSync(target) && readFileSync(target).equals(bytes);
  process.stderr.write(`${path}: ${bytes.length} bytes${isSame ? "" : ", changed"}\n`);
  if (isSame) return false;
  const written = check ? join(ROOT, "build", path) : target;
  mkdirSync(dirname(written), { recursive: true });
  writeFileSync(written, bytes);
  return true;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof BuildError ? error.message : (error as Error).stack}\n`);
  process.exitCode = 1;
}
