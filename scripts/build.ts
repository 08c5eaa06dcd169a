// `npm run build`: contract -> generated sources -> guests -> components, and the host's own core
// modules. Results are committed. `-- --check` builds into build/ and compares; `-- NAME…` builds
// some.
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco";
import asc from "assemblyscript/asc";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { guestExportNames } from "./generate-guest.ts";
import { generate, loadWorld } from "./generate.ts";
import { renameExports } from "./guest-transform.mjs";
import {
  checkStatics,
  CORE_MODULES,
  ENTRY_NAME,
  GUESTS,
  guestOptions,
  type Guest,
} from "./guests.ts";

const ROOT = resolve(import.meta.dirname, "..");

class BuildError extends Error {
  override name = "BuildError";
}

async function main(words: readonly string[]): Promise<void> {
  const check = words.includes("--check");
  const names = words.filter((word) => !word.startsWith("--"));
  const stale = generate({ check });
  for (const guest of GUESTS) {
    if (!wanted(guest.name, `${guest.folder}/${guest.author}.ts`, names)) continue;
    if (await put(`guests/dist/${guest.name}.component.wasm`, await component(guest), check)) {
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

async function component(guest: Guest): Promise<Uint8Array> {
  const world = loadWorld(guest.witPath, guest.world);
  const entry = `${guest.folder}/${ENTRY_NAME}`;
  const transforms = [renameExports(guestExportNames(world))];
  const binary = await compile([entry, ...guestOptions(guest)], transforms);
  checkStatics(guest, binary);
  const embedded = await componentEmbed({
    binary,
    witSource: readFileSync(join(ROOT, guest.witPath), "utf8"),
    world: guest.world,
    stringEncoding: "utf8",
    metadata: [],
  });
  return componentNew(embedded, []);
}

async function compile(options: readonly string[], transforms: object[]): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main([...options, "--outFile", "result.wasm", "--baseDir", ROOT], {
    stdout: asc.createMemoryStream(),
    stderr,
    transforms: transforms as never[],
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new BuildError(`${options[0]} does not compile.\n${stderr.toString()}${error ?? ""}`);
  }
  return binary;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof BuildError ? error.message : (error as Error).stack}\n`);
  process.exitCode = 1;
}
