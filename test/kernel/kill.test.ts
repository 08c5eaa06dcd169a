/** What is left of the kernel stage after `kill -9`: nothing. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { openEventSocket } from "#ingest/event-socket.ts";
import { type Way, wayMissing } from "#testing/stage.ts";

const OWNER = fileURLToPath(new URL("../../src/testing/stage-owner.ts", import.meta.url));

for (const way of ["kernel", "recvmmsg"] as const satisfies readonly Way[]) {
  test(`${way}: kill -9 frees the port and the filter`, { skip: wayMissing(way) }, async () => {
    const path = way === "kernel" ? "kernel" : "user";
    const owner = spawn(process.execPath, [...process.execArgv.filter(isFlag), OWNER, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(owner.stdout.setEncoding("utf8"), "data")) as [string];
    const port = Number(line);
    assert.throws(() => open(port), /EADDRINUSE/, "the owner has it");
    const exited = once(owner, "exit");
    owner.kill("SIGKILL");
    await exited;
    // A filter that had stayed would hold its socket, and the socket its port.
    open(port).close();
  });
}

function open(port: number) {
  return openEventSocket({ host: "127.0.0.1", port, programFd: undefined });
}

/** The test runner's own flags are not the owner's. */
function isFlag(flag: string): boolean {
  return !flag.startsWith("--test");
}
