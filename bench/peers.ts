/**
 * The systems that `same-work` is held against. They are no dependency of the product: packages
 * live in bench/peers with a lock of their own, and redis-server comes with the operating system.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(new URL("peers/package.json", import.meta.url));

/** A package of bench/peers. */
export function requirePeer<Package>(name: string): Package {
  return require(name) as Package;
}

/** The lock of bench/peers holds native parts for nothing else. */
const PLATFORM = "linux-x64";

/** What to do so that the package is there, or undefined. */
export function packageMissing(name: string): string | undefined {
  if (`${process.platform}-${process.arch}` !== PLATFORM) return `only on ${PLATFORM}`;
  try {
    require.resolve(name);
    return undefined;
  } catch {
    return "npm ci --prefix bench/peers";
  }
}

/** What to do so that there is a redis-server, or undefined. */
export function redisMissing(): string | undefined {
  const { status } = spawnSync("redis-server", ["--version"], { stdio: "ignore" });
  return status === 0 ? undefined : "apt-get install redis-server";
}
