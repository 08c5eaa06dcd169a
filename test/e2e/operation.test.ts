// What an operator does to a running server: reload, drain, cut, with real processes and signals.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";

const ROOT = resolve(import.meta.dirname, "../..");
const BIN = join(ROOT, "bin/nexuscore.mjs");
const RUNTIME = join(ROOT, "bin/runtime.mjs");

type Line = Readonly<Record<string, unknown>>;

type Running = {
  readonly child: ChildProcess;
  readonly lines: readonly Line[];
  /** The next line, or one that was there already, whose message begins so. */
  readonly line: (message: string) => Promise<Line>;
  readonly exit: Promise<number | null>;
};

function start(t: TestContext, args: readonly string[], environment: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [...args], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit").then(([code]) => code as number | null);
  t.after(async () => {
    child.kill("SIGTERM");
    await exit;
  });
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (text) => {
    lines.push(JSON.parse(text) as Line);
    for (const look of waiting) look();
  });
  const line = async (message: string): Promise<Line> => {
    const { promise, resolve: found, reject } = Promise.withResolvers<Line>();
    const look = (): void => {
      const first = lines.find((each) => String(each["message"]).startsWith(message));
      if (first !== undefined) found(first);
    };
    waiting.add(look);
    reader.once("close", () => reject(new Error(`it ended without: ${message}`)));
    look();
    return promise.finally(() => waiting.delete(look));
  };
  return { child, lines, line, exit };
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-operation-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function serve(t: TestContext, folder: string, yaml: string): Running & { file: string } {
  const file = join(folder, "nexuscore.yaml");
  writeFileSync(file, yaml);
  const environment = { NEXUSCORE_CONFIG: file, NEXUSCORE_SHARD_COUNT: "1" };
  return { ...start(t, [BIN, "serve", "--udp-port", "0"], environment), file };
}

test("SIGHUP: levels change at once, ports are named, mistakes change nothing", async (t) => {
  const folder = folderOf(t);
  const head = "httpPort: 0\ndataDir: ':memory:'\n";
  const { child, line, lines, file } = serve(t, folder, `${head}slowRequestMs: 60000\n`);
  const { url } = (await line("serving")) as { url: string };

  writeFileSync(file, `${head}slowRequestMs: 1\nlogLevel: debug\nslotCount: 7\n`);
  child.kill("SIGHUP");
  const taken = await line("options read again; some need a restart");
  assert.deepEqual(taken["changed"], ["slowRequestMs", "logLevel"]);
  assert.deepEqual(taken["needRestart"], ["slotCount"]);

  writeFileSync(file, `${head}slowRequestMs: 60000\nlogLevel: loud\nhttpPrt: 1\n`);
  child.kill("SIGHUP");
  const { mistakes } = (await line("options not read again")) as { mistakes: string[] };
  assert.deepEqual(
    mistakes.map((mistake) => mistake.replace(file, "f").split(";")[0]),
    ["f:5:1: httpPrt is no option", 'f:4:11: logLevel is "loud"'],
  );
  assert.equal((await fetch(`${url}/readyz`)).status, 200, "it goes on");
  assert.equal(lines.filter(({ message }) => message === "serving").length, 1);
});

test("SIGTERM: says that it drains, answers what runs, keeps it, ends with 0", async (t) => {
  const folder = folderOf(t);
  const yaml = `httpPort: 0\ndataDir: ${join(folder, "data")}\n`;
  const first = serve(t, folder, yaml);
  const { url } = (await first.line("serving")) as { url: string };
  const events = `${url}/v1/tenants/acme/events`;
  const headers = { "content-type": "application/json" };
  const one = { method: "POST", headers, body: '{"user":"ada","text":"before the stop"}' };
  assert.equal((await fetch(events, one)).status, 202);
  const live = await fetch(`${url}/v1/tenants/acme/live`);
  const upload = await beginUpload(url, '{"user":"bo","text":"sent while it stops"}');

  first.child.kill("SIGTERM");
  await first.line("stopping");
  const ready = await fetch(`${url}/readyz`);
  assert.equal(ready.status, 503, "asked over a new connection");
  assert.equal(((await ready.json()) as { code: string }).code, "draining");
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  const refused = await fetch(events, one);
  assert.equal(refused.status, 503);
  assert.equal(((await refused.json()) as { code: string }).code, "stopping");
  assert.match(await upload.finish(), /^HTTP\/1\.1 202 /, "it had begun before");
  assert.match(await live.text(), /\nevent: stopping\ndata: \{"code":"stopping"/);
  assert.equal(await first.exit, 0);
  assert.equal(first.lines.at(-1)!["message"], "stopped");

  const second = serve(t, folder, yaml);
  const { url: again } = (await second.line("serving")) as { url: string };
  const kept = await fetch(`${again}/v1/tenants/acme/summary?window=all`);
  assert.equal(((await kept.json()) as { eventCount: number }).eventCount, 2);

  writeFileSync(second.file, `${yaml}ack: memory\n`);
  second.child.kill("SIGHUP");
  await second.line("options read again");
  const sent = await fetch(`${again}/v1/tenants/acme/events`, one);
  assert.equal(((await sent.json()) as { ack: string }).ack, "memory");
});

/** A request whose body does not come until it is told to. */
async function beginUpload(
  url: string,
  body: string,
): Promise<{ finish: () => Promise<string>; socket: Socket }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(
    `POST /v1/tenants/acme/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Expect: 100-continue\r\n\r\n`,
  );
  // Then the server has the head.
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.match(answer.toString("utf8"), /^HTTP\/1\.1 100 /);
  const finish = async (): Promise<string> => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = once(socket, "close");
    socket.write(body);
    await ended;
    return Buffer.concat(chunks).toString("utf8");
  };
  return { finish, socket };
}

test("SIGTERM: an upload that never comes holds up the stop for a while only", async (t) => {
  const folder = folderOf(t);
  const yaml = "httpPort: 0\ndataDir: ':memory:'\ndrainMsMax: 60000\n";
  const { child, line, exit } = serve(t, folder, yaml);
  const { url } = (await line("serving")) as { url: string };
  const { socket } = await beginUpload(url, "{}".padEnd(100));
  socket.on("error", () => undefined);
  child.kill("SIGTERM");
  assert.equal(await exit, 0);
});

/** An application whose stop never ends, in a process of its own. */
const STUCK = `
import { LiveConfig } from "#config/live.ts";
import { loadConfig } from "#config/load.ts";
import { untilStopped } from "#cli/serve.ts";
import { openLog } from "#observe/log.ts";
const { config } = loadConfig({ file: undefined, environment: process.env, flags: {} });
const log = openLog("info", process.stdout);
setInterval(() => undefined, 60_000);
void untilStopped({ live: new LiveConfig(config), stop: () => new Promise(() => undefined) }, log);
log.info("running");
`;

function stuck(t: TestContext, drainMsMax: number): Running {
  const args = [RUNTIME, "--input-type=module-typescript", "--eval", STUCK];
  return start(t, args, { NEXUSCORE_DRAIN_MS_MAX: String(drainMsMax) });
}

test("SIGTERM: a stop that takes longer than drainMsMax is cut and says so", async (t) => {
  const { child, line, lines, exit } = stuck(t, 300);
  await line("running");
  child.kill("SIGTERM");
  assert.equal(await exit, 1);
  const last = lines.at(-1)!;
  assert.equal(last["level"], "error");
  assert.equal(last["code"], "drainTooLong");
  assert.equal(last["drainMsMax"], 300);
});

test("SIGTERM: a second one ends at once", async (t) => {
  const { child, line, lines, exit } = stuck(t, 600_000);
  await line("running");
  child.kill("SIGTERM");
  await line("stopping");
  // Sent until it counts: for half a second the same wish is one wish.
  const timer = setInterval(() => child.kill("SIGTERM"), 200);
  t.after(() => clearInterval(timer));
  assert.equal(await exit, 1);
  clearInterval(timer);
  assert.match(String(lines.at(-1)!["message"]), /ends at once/);
});
