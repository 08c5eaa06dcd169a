/** What ran, and on what: without it a figure means nothing. */
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, release } from "node:os";
import { fileURLToPath } from "node:url";

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
};

export const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
  };
}

/**
 * Commit of the sources, with `-dirty` when tracked files differ from it; `unknown` outside git.
 */
export function commit(): string {
  try {
    const hash = git("rev-parse", "--short=12", "HEAD");
    return git("status", "--porcelain", "--untracked-files=no") === "" ? hash : `${hash}-dirty`;
  } catch {
    return "unknown";
  }
}

function git(...args: string[]): string {
  const output = execFileSync("git", args, {
    cwd: REPOSITORY,
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
  });
  return output.trim();
}
