/**
 * Another build of a guest, for upgrades: its state lies 64 KiB higher, so every address in it is
 * another. Results lie under build/.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildComponent } from "../../../scripts/component-build.ts";
import { GUESTS } from "../../../scripts/guests.ts";

const ROOT = resolve(import.meta.dirname, "../../..");

/** Of the guest of that name; `up`: how many bytes higher its state lies. */
export async function variantOf(name: string, up: number): Promise<Uint8Array> {
  const guest = GUESTS.find((each) => each.name === name)!;
  const moved = {
    ...guest,
    memoryPages: guest.memoryPages + Math.floor(up / 65_536),
    stateStart: guest.stateStart + up,
  };
  const hash = createHash("sha256").update(JSON.stringify(moved));
  for (const path of globSync("guests/**/assembly/**/*.ts", { cwd: ROOT }).toSorted()) {
    hash.update(path).update(readFileSync(join(ROOT, path)));
  }
  const folder = join(ROOT, "build/test-guests");
  const cached = join(folder, `${hash.digest("hex").slice(0, 16)}.component.wasm`);
  if (!existsSync(cached)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(cached, await buildComponent(moved));
  }
  return readFileSync(cached);
}
