// The command as a person runs it: bin/nexuscore.mjs in a process of its own.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import OpenAI from "openai";

const BIN = fileURLToPath(new URL("../../bin/nexuscore.mjs", import.meta.url));
const HELP = fileURLToPath(new URL("help.golden.txt", import.meta.url));
const COLUMNS = 80;
/** Ends a command that hangs; a machine may be slow, and busy. */
const HANG_MS = 300_000;

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

async function run(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
  const env = {
    ...process.env,
    NEXUSCORE_SHARD_COUNT: "1",
    NEXUSCORE_DATA_DIR: ":memory:",
    ...environment,
  };
  const options = { env, cwd: tmpdir(), timeout: HANG_MS };
  try {
    const ended = await promisify(execFile)(process.execPath, [BIN, ...args], options);
    return { code: 0, ...ended };
  } catch (error) {
    const { code, stdout, stderr } = error as unknown as Ended;
    return { code, stdout, stderr };
  }
}

const COMMANDS = [
  "",
  "serve",
  "demo",
  "replay",
  "tap",
  "summary",
  "moderate",
  "reviews",
  "stand-in",
  "key",
  "key create",
  "key list",
  "key rotate",
  "key revoke",
  "key generate",
  "backup",
  "backup create",
  "backup list",
  "backup verify",
  "restore",
  "inspect",
  "doctor",
  "bench",
  "config",
  "config print",
  "config check",
  "config schema",
  "component",
  "component check",
];

test("cli: --help of every command, in 80 columns, as golden", async (t) => {
  const texts: string[] = [];
  for (const command of COMMANDS) {
    const { code, stdout, stderr } = await run([...command.split(" ").filter(Boolean), "--help"]);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    for (const line of stdout.split("\n")) assert.ok(line.length <= COLUMNS, line);
    const groups = ["backup", "config", "component"];
    if (!groups.includes(command)) assert.match(stdout, /^Examples?:\n {2}nexuscore /m, command);
    texts.push(`$ nexuscore ${command} --help\n\n${stdout}`);
  }
  t.assert.fileSnapshot(texts.join("\n"), HELP, { serializers: [String] });
});

for (const { args, environment, code, stderr } of [
  { args: ["fly"], code: 2, stderr: /no command "fly"; there are serve, demo, / },
  { args: ["serve", "--fast"], code: 2, stderr: /unknown option '--fast'/ },
  {
    args: ["serve", "--llm-api-key=sk-told-to-nobody"],
    code: 2,
    stderr: /^nexuscore: --llm-api-key: a key is never a flag, .* --llm-api-key-file\n$/,
  },
  { args: ["serve", "--http-port", "x"], code: 2, stderr: /--http-port: .* 0 to 65535/ },
  {
    args: ["serve"],
    environment: { NEXUSCORE_SHARD_COUNT: "0" },
    code: 2,
    stderr: /NEXUSCORE_SHARD_COUNT: /,
  },
  { args: ["serve", "--config", "/nonexistent.yaml"], code: 2, stderr: /configFileUnreadable/ },
  { args: ["replay"], code: 2, stderr: /missing required argument/ },
  {
    args: ["replay", "/nonexistent"],
    environment: { NEXUSCORE_HTTP_PORT: "0" },
    code: 1,
    stderr: /no such file/,
  },
  { args: ["replay", "--speed", "0", "x"], code: 2, stderr: /a number above 0, or max/ },
  { args: ["inspect"], code: 2, stderr: /name a tenant, or say --store/ },
  {
    args: ["inspect", "acme", "--url", "http://127.0.0.1:9"],
    code: 1,
    stderr: /no NexusCore at http:\/\/127\.0\.0\.1:9; without --url the files are used/,
  },
  { args: ["backup", "create", "--to", "/"], code: 1, stderr: /^nexuscore: \/ exists already/ },
  { args: ["backup", "verify", "/nonexistent"], code: 1, stderr: /manifest\.json is missing/ },
  { args: ["restore", "/nonexistent"], code: 1, stderr: /:memory: nothing is kept/ },
  { args: ["tap", "a b"], code: 2, stderr: /A-Z a-z 0-9/ },
  {
    args: ["tap", "acme", "--url", "http://127.0.0.1:9"],
    code: 1,
    stderr: /no NexusCore at http:\/\/127\.0\.0\.1:9/,
  },
  { args: ["moderate", "a b", "hello"], code: 2, stderr: /A-Z a-z 0-9/ },
  {
    args: ["moderate", "acme", "hello", "--url", "http://127.0.0.1:9"],
    code: 1,
    stderr: /no NexusCore at http:\/\/127\.0\.0\.1:9/,
  },
  { args: ["component", "check", "/nonexistent.wasm"], code: 1, stderr: /cannot be read/ },
  { args: ["bench", "no-such-scenario"], code: 2, stderr: /no scenario/ },
]) {
  test(`cli: ${args.join(" ")} -> ${code}`, async () => {
    const ended = await run(args, environment);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, stderr);
    assert.doesNotMatch(ended.stderr, /^ {4}at /m, "a stack trace");
    assert.equal(ended.stdout, "");
  });
}

test("cli: config print --default can be read back", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-cli-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const { stdout } = await run(["config", "print", "--default"]);
  writeFileSync(join(folder, "n.yaml"), stdout);
  const { code, stdout: printed } = await run([
    "config",
    "print",
    "--config",
    join(folder, "n.yaml"),
  ]);
  assert.equal(code, 0);
  assert.match(printed, /^httpPort: 7070 # .*n\.yaml:\d+:\d+$/m);
  const check = await run(["config", "check", join(folder, "n.yaml")]);
  // What the environment of the tests sets counts, too.
  const setCount = (text: string): number =>
    Number(/ is fine; .* default: (\d+)\.$/m.exec(text)![1]);
  writeFileSync(join(folder, "m.yaml"), "httpPort: 7070\nlogLevel: warn\n");
  const other = await run(["config", "check", join(folder, "m.yaml")]);
  assert.equal(setCount(other.stdout), setCount(check.stdout) + 1);
});

test("cli: doctor --json", async () => {
  const { stdout } = await run(["doctor", "--json", "--http-port", "0"]);
  const { ok, checks } = JSON.parse(stdout) as {
    ok: boolean;
    checks: { name: string; status: string; detail: string; fix?: string }[];
  };
  assert.equal(typeof ok, "boolean");
  assert.deepEqual(
    checks.map(({ name }) => name),
    [
      "runtime",
      "V8 flags",
      "memory",
      "memory maps",
      "huge pages",
      "open files",
      "clock",
      "data folder",
      "HTTP port",
      "keys",
      "datagrams",
      "component",
      "language model",
    ],
  );
  for (const { name, status, detail, fix } of checks) {
    assert.ok(["ok", "warn", "fail"].includes(status), name);
    assert.ok(detail.length > 0, name);
    assert.equal(status === "ok", fix === undefined, `${name}: a fix where one is needed`);
  }
});

test("cli: doctor names a port that another program holds, and exits with 1", async (t) => {
  const other = createServer((socket) => socket.resume().end("220 mail\r\n"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const { code, stdout } = await run(["doctor", "--http-port", String(port)]);
  assert.equal(code, 1);
  assert.match(
    stdout,
    new RegExp(`^fail +HTTP port +127\\.0\\.0\\.1:${port} is taken by another`, "m"),
  );
  const served = await run(["serve", "--http-port", String(port)]);
  assert.equal(served.code, 1);
  assert.match(served.stderr, /is taken by another program; stop it, or choose another port/);
  // What stands in for a language model was listening by then, and must not keep it alive.
  const demo = await run(["demo", "--llm", "stand-in", "--http-port", String(port)]);
  assert.equal(demo.code, 1);
  assert.match(demo.stderr, /is taken by another program; stop it, or choose another port/);
  assert.equal(served.stderr.trim().split("\n").length, 1);
});

async function serve(t: TestContext, command = "serve", ...args: string[]) {
  const child = spawn(process.execPath, [BIN, command, "--http-port", "0", ...args], {
    env: { ...process.env, NEXUSCORE_SHARD_COUNT: "1", NEXUSCORE_DATA_DIR: ":memory:" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Not SIGKILL: the launcher could not pass it on, and would leave the server behind.
  t.after(async () => {
    child.kill("SIGTERM");
    await ended(child);
  });
  const lines = createInterface({ input: child.stdout });
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString("utf8")));
  const seen: string[] = [];
  for await (const line of lines) {
    seen.push(line);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url !== undefined) return { child, url, line, errors };
  }
  return assert.fail(`the server ended: ${seen.join("\n")}${errors.join("")}`);
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

test("cli: serve says so in one JSON line, answers, and ends with 0 on SIGTERM", async (t) => {
  const { child, url, line } = await serve(t);
  assert.equal((JSON.parse(line) as { message: string }).message, "serving");
  const post = async (text: string): Promise<Response> =>
    fetch(`${url}/v1/tenants/acme/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: "ada", text }),
    });
  const posted = await post("the boss fight is on");
  assert.equal(posted.status, 202);
  assert.equal(((await posted.json()) as { accepted: number }).accepted, 1);
  const trending = await fetch(`${url}/v1/tenants/acme/trending`);
  const { eventCount, items } = (await trending.json()) as { eventCount: number; items: object[] };
  assert.equal(eventCount, 1);
  assert.ok(items.length > 0);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  // A listener must not hold up the stop.
  const live = await fetch(`${url}/v1/tenants/acme/live`);
  const { code, stdout } = await run(["tap", "acme", "--url", url, "--limit", "1", "--json"]);
  assert.equal(code, 0);
  assert.equal((JSON.parse(stdout) as { eventCount: number }).eventCount, 1);
  const unknown = await run(["tap", "nobody", "--url", url]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /tenantUnknown/);
  const judged = await run([
    "moderate",
    "acme",
    "--url",
    url,
    "--json",
    "you",
    "are",
    "an",
    "idiot",
  ]);
  assert.equal((JSON.parse(judged.stdout) as { action: string }).action, "flag", judged.stderr);
  const openai = new OpenAI({ apiKey: "any", baseURL: `${url}/v1`, maxRetries: 0 });
  const { results } = await openai.moderations.create({ input: "you are an idiot" });
  assert.equal(results[0]?.flagged, true, "OpenAI's own client, by its base URL alone");
  const second = await run(["serve", "--http-port", new URL(url).port]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /is taken by a running NexusCore/);
  child.kill("SIGTERM");
  await live.text();
  assert.equal(await ended(child), 0);
});

const LOG = `[10:00] <ada> quiet here
[10:01] <ada> the boss fight is on
[10:01] <bo> boss fight!! everybody come
[10:01] <cy> what a boss fight
[10:01] <di> boss fight now
[10:02] <ada> later
`;

const FULL_DISK = "/dev/full";

test("cli: a full disk behind stdout is one line", { skip: !existsSync(FULL_DISK) }, async () => {
  const disk = openSync(FULL_DISK, "w");
  const args = [BIN, "config", "print", "--default"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", disk, "pipe"] });
  closeSync(disk);
  const ended = once(child, "close") as Promise<[number]>;
  assert.match(await text(child.stderr!), /^nexuscore: the output cannot be written: .+\n$/);
  assert.equal((await ended)[0], 1);
});

test("cli: replay runs a server of its own, shows the log's minutes and ends", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-cli-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "2008-12-11-#games.txt");
  writeFileSync(file, LOG);
  const environment = { NEXUSCORE_HTTP_PORT: "0" };
  const people = await run(["replay", file, "--every", "60s"], environment);
  assert.equal(people.code, 0, people.stderr);
  assert.match(people.stdout, /^games · 2008-12-11 10:01 ─+ 4 messages, 4 people$/m);
  assert.match(people.stdout, /^Replayed 6 events of tenant games$/m);
  const { code, stdout } = await run(["replay", file, "--every", "60s", "--json"], environment);
  assert.equal(code, 0);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; accepted?: number });
  assert.deepEqual(
    lines.map(({ kind }) => kind),
    ["look", "look", "look", "summary"],
  );
  assert.equal(lines.at(-1)?.accepted, 6);
});

test("cli: demo is alive within seconds", async (t) => {
  const { child, url } = await serve(t, "demo", "--seed", "7");
  const response = await fetch(`${url}/v1/tenants`);
  const { total } = (await response.json()) as { total: number };
  assert.equal(total, 4);
  const trending = await fetch(`${url}/v1/tenants/match-derby/trending`);
  const { eventCount, tldr } = (await trending.json()) as {
    eventCount: number;
    tldr: { text: string };
  };
  assert.ok(eventCount > 100, String(eventCount));
  assert.ok(tldr.text.length > 0);
  child.kill("SIGINT");
  assert.equal(await ended(child), 0);
});
