/**
 * Keys as an operator meets them, with the real program: from no key to a server that others reach,
 * and nothing that anybody sent or holds in any line of its log.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";

const BIN = resolve(import.meta.dirname, "../../bin/nexuscore.mjs");
const HANG_MS = 120_000;

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-keys-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const environment = (more: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...process.env,
  NEXUSCORE_SHARD_COUNT: "1",
  NEXUSCORE_HTTP_PORT: "0",
  ...more,
});

async function run(cwd: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const { promise, resolve: ended } = Promise.withResolvers<Ended>();
  const options = { cwd, env: environment(more), timeout: HANG_MS };
  execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
    ended({ code: error === null ? 0 : Number(error.code), stdout, stderr });
  });
  return promise;
}

type Server = {
  readonly url: string;
  readonly lines: string[];
  readonly stop: () => Promise<void>;
};

async function serve(
  t: TestContext,
  cwd: string,
  args: readonly string[] = [],
  more: NodeJS.ProcessEnv = {},
): Promise<Server> {
  const child: ChildProcess = spawn(process.execPath, [BIN, "serve", ...args], {
    cwd,
    env: environment(more),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await exit;
  };
  t.after(stop);
  const lines: string[] = [];
  const { promise, resolve: found, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stderr! }).on("line", (line) => lines.push(line));
  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(line);
    const { message, url } = JSON.parse(line) as { message?: string; url?: string };
    if (message === "serving") found(url!);
  });
  void exit.then(() => reject(new Error(lines.join("\n"))));
  return { url: await promise, lines, stop };
}

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

test("keys: from none to a server that others reach, by what each message says", async (t) => {
  const cwd = folderOf(t);
  const open = ["--http-host", "0.0.0.0", "--data-dir", "data"];
  const refused = await run(cwd, ["serve", ...open]);
  assert.equal(refused.code, 2);
  const [, command = ""] = /^ {2}nexuscore (.*)$/m.exec(refused.stderr) ?? [];
  assert.equal(command, "key create --role admin --tenants '*' --data-dir data");
  assert.equal(existsSync(join(cwd, "data", "state.db")), false, "nothing was begun");

  const made = await run(cwd, command.replaceAll("'", "").split(" "));
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^nxc_\w{62}\n$/, "stdout has the key and nothing else");
  const admin = made.stdout.trim();
  assert.equal(made.stderr.includes(admin), false);

  const { url, stop } = await serve(t, cwd, open);
  const local = url.replace("0.0.0.0", "127.0.0.1");
  assert.equal((await fetch(`${local}/v1/tenants`)).status, 401);
  assert.equal((await fetch(`${local}/readyz`)).status, 200);
  const ready = async (headers: Record<string, string>) => {
    const answer = await fetch(`${local}/readyz`, { headers });
    type Facts = { shards?: object[]; datagrams?: { status: string; reason: string } };
    return (await answer.json()) as Facts;
  };
  const { datagrams } = await ready(bearer(admin));
  assert.equal(datagrams?.status, "off");
  assert.match(datagrams.reason, /carry no key/);
  // Whoever has no key learns that it runs, and not what.
  const known = await ready({});
  assert.deepEqual([known.shards, known.datagrams], [undefined, undefined]);

  const withKey = { NEXUSCORE_URL: local, NEXUSCORE_KEY: admin };
  const bare = await run(cwd, ["key", "list"], { NEXUSCORE_URL: local });
  assert.equal(bare.code, 1);
  assert.match(bare.stderr, /401 unauthorized.*\nSet NEXUSCORE_KEY/);
  const args = ["--role", "tenantWrite,tenantRead", "--tenants", "acme", "--expires", "90d"];
  const writer = await run(cwd, ["key", "create", ...args, "--json"], withKey);
  assert.equal(writer.code, 0, writer.stderr);
  const { id, key } = JSON.parse(writer.stdout) as { id: string; key: string };
  const list = await run(cwd, ["key", "list"], withKey);
  assert.match(list.stdout, new RegExp(`^${id} +open +tenantWrite,tenantRead +acme +0 d`, "m"));
  assert.equal(list.stdout.includes(key), false);

  const send = async (tenant: string, by: string): Promise<number> =>
    (
      await fetch(`${local}/v1/tenants/${tenant}/events`, {
        method: "POST",
        headers: { ...bearer(by), "content-type": "application/json" },
        body: '{"user":"ada","text":"the boss fight is on"}',
      })
    ).status;
  assert.deepEqual([await send("acme", key), await send("other", key)], [202, 403]);
  const asked = { NEXUSCORE_URL: local, NEXUSCORE_KEY: key };
  assert.equal((await run(cwd, ["summary", "acme"], asked)).code, 0);
  const other = await run(cwd, ["summary", "other"], asked);
  assert.match(other.stderr, /403 forbidden.*\nThe key in NEXUSCORE_KEY is for something else/);

  const rotated = await run(cwd, ["key", "rotate", id, "--overlap", "1h"], withKey);
  const next = rotated.stdout.trim();
  const former = await fetch(`${local}/v1/tenants/acme`, { headers: bearer(key) });
  assert.equal(former.status, 200);
  assert.match(former.headers.get("warning") ?? "", /^299 - /);
  assert.equal(await send("acme", next), 202);

  // What goes on is cut once its key opens nothing.
  const live = await fetch(`${local}/v1/tenants/acme/live`, { headers: bearer(next) });
  assert.equal(live.status, 200);
  assert.equal((await run(cwd, ["key", "revoke", id], withKey)).code, 0);
  assert.equal(await send("acme", next), 401);
  await assert.rejects(async () => {
    for await (const _chunk of live.body!) continue;
  });
  // The file is the server's while it runs.
  const held = await run(cwd, ["key", "list", "--data-dir", "data", "--http-port", "1"]);
  assert.match(held.stderr, /in use by another process.*--url/);
  await stop();
});

test("keys: the first one closes a server at once, and a mounted file makes it", async (t) => {
  const cwd = folderOf(t);
  const first = await serve(t, cwd, ["--data-dir", ":memory:", "--udp-port", "0"]);
  const status = async (url: string, key?: string): Promise<number> =>
    (await fetch(`${url}/v1/tenants`, { headers: key === undefined ? {} : bearer(key) })).status;
  assert.equal(await status(first.url), 200);
  const create = ["key", "create", "--tenants", "*", "--role"];
  const small = await run(cwd, [...create, "monitor"], { NEXUSCORE_URL: first.url });
  assert.match(small.stderr, /The first key closes the server/);
  const made = await run(cwd, [...create, "admin"], { NEXUSCORE_URL: first.url });
  assert.equal(await status(first.url), 401);
  assert.equal(await status(first.url, made.stdout.trim()), 200);
  await first.stop();

  const generated = await run(cwd, ["key", "generate"]);
  const file = join(cwd, "bootstrap-key");
  writeFileSync(file, generated.stdout);
  const mounted = { NEXUSCORE_BOOTSTRAP_KEY_FILE: file, NEXUSCORE_DATA_DIR: "data" };
  const second = await serve(t, cwd, ["--http-host", "0.0.0.0"], mounted);
  const local = second.url.replace("0.0.0.0", "127.0.0.1");
  assert.equal(await status(local), 401);
  assert.equal(await status(local, generated.stdout.trim()), 200);
  await second.stop();
  // Once there are keys the file may be taken away; one with something else in it is refused.
  writeFileSync(file, "hunter2-is-not-a-key");
  const wrong = await run(cwd, ["serve"], mounted);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /nexuscore key generate/);
  assert.equal(wrong.stderr.includes("hunter2"), false);
  rmSync(file);
  const third = await serve(t, cwd, ["--http-host", "0.0.0.0"], mounted);
  const again = third.url.replace("0.0.0.0", "127.0.0.1");
  assert.equal(await status(again, generated.stdout.trim()), 200);
});

test("keys: nothing that anybody sent or holds is in a log, at any level", async (t) => {
  const cwd = folderOf(t);
  const folder = join(cwd, "data");
  const made = await run(cwd, ["key", "create", "--role", "admin", "--tenants", "*"], {
    NEXUSCORE_DATA_DIR: folder,
  });
  const admin = made.stdout.trim();
  const more = { NEXUSCORE_DATA_DIR: folder, NEXUSCORE_LOG_LEVEL: "debug" };
  const slow = { ...more, NEXUSCORE_SLOW_REQUEST_MS: "1" };
  const { url, lines, stop } = await serve(t, cwd, [], slow);
  const canary = (name: string): string => `canary${name}q7`;
  const secrets = [admin.slice(17)];
  const ask = async (path: string, init: RequestInit = {}): Promise<number> => {
    const own = init.headers as Record<string, string> | undefined;
    const headers = { ...bearer(admin), "content-type": "application/json", ...own };
    const response = await fetch(url + path, { ...init, headers });
    await response.text();
    return response.status;
  };
  const post = (value: object): RequestInit => ({ method: "POST", body: JSON.stringify(value) });
  const acme = "/v1/tenants/acme";
  const said = { user: canary("user"), text: `${canary("text")} i will kill you, idiot` };
  const whole = { id: canary("id"), conversation: canary("conversation"), ...said };
  assert.equal(await ask(`${acme}/events`, post(whole)), 202);
  assert.equal(await ask(`${acme}/events`, post({ ...whole, text: 7, odd: canary("odd") })), 400);
  const ndjson = `{"text":"${canary("broken")}\n{"user":"${canary("half")}`;
  await ask(`${acme}/events`, { method: "POST", body: ndjson });
  assert.equal(await ask(`${acme}/moderate`, post(whole)), 200);
  await ask("/v1/moderations", post({ input: canary("openai") }));
  await ask(`${acme}/reviews`, post({ text: canary("reported"), reason: canary("reason") }));
  await ask(`${acme}/policy`, { method: "PUT", body: `{"x":"${canary("policy")}"}` });
  await ask(`${acme}/trending?limit=${canary("query")}`);
  await ask(`/v1/nothing/${canary("path")}?key=${canary("pathkey")}`);
  const perspective = {
    comment: { text: canary("comment") },
    requestedAttributes: { TOXICITY: {} },
  };
  const analyze = "/v1alpha1/comments:analyze";
  const bare = { "content-type": "application/json" };
  for (const key of [admin, canary("querykey"), `nxc_${canary("formkey")}`]) {
    const init = { ...post(perspective), headers: bare };
    await (await fetch(`${url}${analyze}?key=${key}`, init)).text();
  }
  const basic = Buffer.from(`${canary("login")}:${canary("password")}`).toString("base64");
  const head = Buffer.from('{"alg":"none"}').toString("base64url");
  const tokens = [
    `Bearer ${canary("bearer")}`,
    `Bearer ${admin.slice(0, -1)}`,
    `Basic ${basic}`,
    canary("scheme"),
    `Bearer ${head}.${canary("claims")}.${canary("sign")}`,
  ];
  for (const authorization of tokens) {
    // Until the address has to wait, which is logged, too.
    for (let i = 0; i < 5; i++) await ask(acme, { headers: { authorization } });
  }
  const wished = post({ roles: ["monitor"], tenants: ["*"], note: canary("note") });
  const told = await fetch(`${url}/v1/keys`, {
    ...wished,
    headers: { ...bearer(admin), "content-type": "application/json" },
  });
  const { key } = (await told.json()) as { key: string };
  secrets.push(key.slice(17), basic);
  await stop();

  assert.ok(lines.length > 5);
  const log = lines.join("\n");
  assert.match(log, /not let in/, "debug lines are there");
  assert.match(log, /many keys that open nothing/);
  const found = lines.filter((line) => /canary\w+q7/i.test(line));
  assert.deepEqual(found, []);
  for (const secret of secrets) assert.equal(log.includes(secret), false);
  // Keys are in no file either.
  for (const name of readdirSync(folder)) {
    if (!name.includes(".db")) continue;
    const bytes = readFileSync(join(folder, name));
    for (const secret of secrets) assert.equal(bytes.includes(secret), false, name);
  }
});
