/** From AssemblyScript to a component. `npm run build` makes those that are committed. */
import { componentEmbed, componentNew } from "@bytecodealliance/jco";
import asc from "assemblyscript/asc";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { guestExportNames } from "./generate-guest.ts";
import { loadWorld } from "./generate.ts";
import { renameExports } from "./guest-transform.mjs";
import { checkStatics, ENTRY_NAME, guestOptions, type Guest } from "./guests.ts";

const ROOT = resolve(import.meta.dirname, "..");

export class BuildError extends Error {
  override name = "BuildError";
}

/** The bytes of the component. Throws BuildError. */
export async function buildComponent(guest: Guest): Promise<Uint8Array> {
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

export async function compile(
  options: readonly string[],
  transforms: object[],
): Promise<Uint8Array> {
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
