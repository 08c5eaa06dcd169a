#!/usr/bin/env node
// Runs a command line on the Node 26 that came with the install, whatever Node started us.
// Plain JavaScript: this file must run on any Node from 20 on.
// Used directly it passes its arguments on: `node bin/runtime.mjs --test a.test.ts`.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export const NODE_MAJOR_MIN = 26;

/** sysexits.h EX_CONFIG: the installation is incomplete. */
const EXIT_CONFIG = 78;

/**
 * V8 flags that make thousands of Wasm memories affordable; why and how much: docs/isolates.md.
 * They cannot be set once the process runs, hence the second process.
 */
export const RUNTIME_FLAGS = [
  "--disable-wasm-trap-handler",
  "--external-memory-accounted-in-global-limit",
  "--disable-warning=ExperimentalWarning",
];

/** Path of a Node binary of at least NODE_MAJOR_MIN, or undefined. */
export function findRuntime() {
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) return process.execPath;
  const require = createRequire(import.meta.url);
  const windows = process.platform === "win32";
  const platform = windows ? "win" : process.platform;
  for (const prefix of ["node-", "node-bin-"]) {
    try {
      const manifest = require.resolve(`${prefix}${platform}-${process.arch}/package.json`);
      return manifest.replace(/package\.json$/, windows ? "bin/node.exe" : "bin/node");
    } catch {
      // Not installed under this name: try the next.
    }
  }
  return undefined;
}

/** Runs `node FLAGS ...args` on the found runtime; forwards signals, ends as the child ends. */
export function runOnRuntime(args) {
  const runtime = findRuntime();
  if (runtime === undefined) {
    console.error(
      `NexusCore needs Node ${NODE_MAJOR_MIN} or newer; found ${process.version} and no bundled runtime. ` +
        "Install with optional dependencies (npm ci, without --omit=optional) or use a newer Node.",
    );
    process.exit(EXIT_CONFIG);
  }
  // The channel carries nothing. It closes when this process is gone, however it went: a child that
  // listens for `disconnect` ends too, instead of living on as an orphan.
  const child = spawn(runtime, [...RUNTIME_FLAGS, ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    console.error(`NexusCore could not start ${runtime}: ${error.message}`);
    process.exit(EXIT_CONFIG);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal); // Otherwise our own forwarder swallows it.
    process.kill(process.pid, signal);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  runOnRuntime(process.argv.slice(2));
