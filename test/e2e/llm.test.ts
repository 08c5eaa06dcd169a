// A language model as a new user meets it: what stands in for one and the server, each as a process
// of its own, and what is seen of them from outside.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LlmSchema, TenantLlmSchema } from "#model/llm-schemas.ts";
import { Value } from "typebox/value";

const BIN = fileURLToPath(new URL("../../bin/nexuscore.mjs", import.meta.url));
/** Ends a command that hangs; a machine may be slow, and busy. */
const HANG_MS = 300_000;
const KEY = "sk-e2e-0123456789";
const TEASE = "you absolute idiot, lol";

type Variables = Readonly<Record<string, string>>;
type Child = { readonly child: ChildProcess; readonly url: string; readonly said: () => string };
type Upstream = { readonly outcome: string; readonly model: string; readonly detail?: string };
type Judged = {
  readonly action: string;
  readonly scores: Readonly<Record<string, number>>;
  readonly reason: string;
  readonly degraded: boolean;
  readonly upstream?: Upstream;
};

async function start(
  t: TestContext,
  args: readonly string[],
  variables: Variables,
): Promise<Child> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, ...variables },
    cwd: tmpdir(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(async () => stop(child));
  const seen: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => seen.push(chunk.toString("utf8")));
  for await (const line of createInterface({ input: child.stdout })) {
    seen.push(line);
    const url = /"url":"(http:[^"]+)"/.exec(line)?.[1];
    if (url === undefined) continue;
    // Whoever waits for a line no longer reads the rest, and it goes on being written.
    child.stdout.on("data", (chunk: Buffer) => seen.push(chunk.toString("utf8"))).resume();
    return { child, url, said: () => seen.join("\n") };
  }
  return assert.fail(`it ended: ${seen.join("\n")}`);
}

/** Not SIGKILL: the launcher could not pass it on, and would leave the server behind. */
async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function standIn(t: TestContext, ...args: string[]): Promise<Child> {
  const all = ["stand-in", "--port", "0", "--latency", "5", ...args];
  return start(t, all, { NEXUSCORE_STAND_IN_API_KEY: KEY });
}

function settingsOf(baseUrl: string, apiKey: string): Variables {
  return {
    NEXUSCORE_LLM_BASE_URL: baseUrl,
    NEXUSCORE_LLM_MODEL: "stand-in",
    NEXUSCORE_LLM_API_KEY: apiKey,
  };
}

function serve(t: TestContext, variables: Variables): Promise<Child> {
  const own = {
    NEXUSCORE_SHARD_COUNT: "1",
    NEXUSCORE_DATA_DIR: ":memory:",
    NEXUSCORE_UDP_PORT: "0",
  };
  return start(t, ["serve", "--http-port", "0"], { ...own, ...variables });
}

async function send(url: string, body: unknown, method = "POST"): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, text);
  return JSON.parse(text);
}

async function read(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

const judge = async (url: string, text: string): Promise<Judged> =>
  (await send(`${url}/v1/tenants/acme/moderate`, { user: "eve", text })) as Judged;
const consultAlways = async (url: string): Promise<unknown> =>
  send(`${url}/v1/tenants/acme/policy`, { consult: { mode: "all" } }, "PUT");

test("llm: a verdict that a language model was asked for, and what is seen of it", async (t) => {
  const model = await standIn(t);
  const server = await serve(t, settingsOf(model.url, KEY));
  const { url } = server;
  assert.match(
    server.said(),
    /"languageModel":"stand-in at http:\/\/127[^"]+ for moderation, tldr, r/,
  );
  await send(`${url}/v1/tenants/acme/policy`, { consult: { mode: "never" } }, "PUT");
  const embedded = await judge(url, TEASE);
  assert.equal(embedded.upstream, undefined, "it is not asked if the policy does not want it");
  assert.equal(embedded.degraded, false);

  await consultAlways(url);
  const asked = await judge(url, TEASE);
  assert.equal(asked.degraded, false);
  assert.equal(asked.upstream?.outcome, "answered");
  assert.equal(asked.upstream.model, "stand-in");
  assert(
    asked.scores["insult"]! < embedded.scores["insult"]! - 0.2,
    "a jest is told from an insult",
  );
  assert.match(asked.reason, /By word lists, not by a model: an insult, in jest\./);
  assert.equal((await judge(url, TEASE)).upstream?.outcome, "cached");

  const stats = (await read(`${url}/v1/llm`)) as {
    jobs: { job: string; answered: number; cached: number }[];
    traces: { outcome: string; tenant: string }[];
  };
  assert.deepEqual([...Value.Errors(LlmSchema, stats)], [], "as the reference says");
  const usage = await read(`${url}/v1/tenants/acme/llm`);
  assert.deepEqual([...Value.Errors(TenantLlmSchema, usage)], []);
  const [moderation] = stats.jobs;
  assert.deepEqual(
    [moderation?.job, moderation?.answered, moderation?.cached],
    ["moderation", 1, 1],
  );
  assert.deepEqual(
    stats.traces.map(({ outcome }) => outcome),
    ["cached", "answered"],
  );
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^nexuscore_llm_calls_total\{job="moderation",outcome="answered"\} 1$/m);
  assert.match(metrics, /^nexuscore_moderation_reviews_total\{shard="0",outcome="answered"\} 2$/m);

  const zero = { limits: { callsPerMinute: 0 } };
  await send(`${url}/v1/tenants/acme/llm`, zero, "PUT");
  const poor = await judge(url, "what an idiot he is, haha");
  assert.equal(poor.degraded, true);
  assert.equal(poor.upstream?.outcome, "overBudget");
  const other = (await read(`${url}/v1/tenants/other/llm`)) as { source: string };
  assert.equal(other.source, "default", "the budget of one is not another's");
  assert(!server.said().includes(KEY), "the key is in no log");
});

test("llm: a wrong key degrades verdicts, says so, and stops nothing", async (t) => {
  const model = await standIn(t);
  const { url } = await serve(t, settingsOf(model.url, "sk-wrong"));
  await consultAlways(url);
  const verdict = await judge(url, TEASE);
  assert.equal(verdict.action, "flag", "the embedded verdict stands");
  assert.equal(verdict.degraded, true);
  assert.equal(verdict.upstream?.outcome, "refused");
  assert.match(verdict.upstream.detail ?? "", /401/);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^nexuscore_llm_calls_total\{job="moderation",outcome="refused"\} 1$/m);
});

test("llm: an upstream that is gone costs its answers and nothing else", async (t) => {
  const model = await standIn(t);
  const { url } = await serve(t, settingsOf(model.url, KEY));
  await consultAlways(url);
  assert.equal((await judge(url, TEASE)).upstream?.outcome, "answered");
  await stop(model.child);
  const verdict = await judge(url, "what an idiot he is, haha");
  assert.equal(verdict.degraded, true);
  assert.equal(verdict.upstream?.outcome, "unavailable");
  assert.equal(verdict.action, "flag");
});

test("llm: a TL;DR in the model's words, with the record's numbers", async (t) => {
  const model = await standIn(t);
  const { url } = await serve(t, settingsOf(model.url, KEY));
  const said = ["the boss fight is on", "boss fight now", "what a boss fight"];
  const events = said.map((text, index) => ({ id: `m${index}`, user: `u${index}`, text }));
  await send(`${url}/v1/tenants/acme/events`, events);
  const { tldr } = (await read(`${url}/v1/tenants/acme/trending?tldrWaitMs=8000`)) as {
    tldr: { text: string; generatedBy: string; degraded: boolean };
  };
  assert.equal(tldr.generatedBy, "stand-in", JSON.stringify(tldr));
  assert.match(tldr.text, /“boss fight”: 3 mentions by 3 people/);
  assert.equal(tldr.degraded, false);
});

test("llm: limits of a tenant outlive the process, and so does what it spent", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-llm-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const model = await standIn(t);
  const variables = {
    ...settingsOf(model.url, KEY),
    NEXUSCORE_DATA_DIR: folder,
    NEXUSCORE_LLM_PROMPT_PRICE: "1000",
    NEXUSCORE_LLM_COMPLETION_PRICE: "1000",
  };
  type Usage = {
    source: string;
    limits: { microsPerDay: number | null };
    runningMax: number;
    left: { micros: number };
  };
  const first = await serve(t, variables);
  await consultAlways(first.url);
  const own = { limits: { microsPerDay: 5_000_000 }, runningMax: 2 };
  await send(`${first.url}/v1/tenants/acme/llm`, own, "PUT");
  assert.equal((await judge(first.url, TEASE)).upstream?.outcome, "answered");
  const before = (await read(`${first.url}/v1/tenants/acme/llm`)) as Usage;
  assert(before.left.micros < 5_000_000, "it cost something");
  await stop(first.child);

  const second = await serve(t, variables);
  const after = (await read(`${second.url}/v1/tenants/acme/llm`)) as Usage;
  assert.deepEqual(
    [after.source, after.limits.microsPerDay, after.runningMax],
    ["tenant", 5_000_000, 2],
  );
  // Some of it came back meanwhile: a day's worth in a day.
  const spent = 5_000_000 - before.left.micros;
  const backAtMost = (5_000_000 * HANG_MS) / 86_400_000;
  assert(after.left.micros < 5_000_000 - spent + backAtMost, `${after.left.micros} of ${spent}`);
  assert(after.left.micros < 5_000_000);
});

test("llm: doctor asks the upstream, and says what is wrong with it", async (t) => {
  const model = await standIn(t);
  const doctor = async (variables: Variables): Promise<{ code: number; stdout: string }> => {
    const options = { env: { ...process.env, ...variables }, cwd: tmpdir(), timeout: HANG_MS };
    const args = [BIN, "doctor", "--http-port", "0", "--data-dir", ":memory:"];
    // Whatever it has folded is one line again.
    const unfolded = (stdout: string): string => stdout.replaceAll(/\n {10,}/g, " ");
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args, options);
      return { code: 0, stdout: unfolded(stdout) };
    } catch (error) {
      const { code, stdout } = error as unknown as { code: number; stdout: string };
      return { code, stdout: unfolded(stdout) };
    }
  };
  const well = await doctor(settingsOf(model.url, KEY));
  for (const job of ["moderation", "tldr", "rolling"]) {
    assert.match(
      well.stdout,
      new RegExp(`^ok +model: ${job} +stand-in at .+ answers in \\d+ ms`, "m"),
    );
  }
  const wrong = await doctor(settingsOf(model.url, "sk-wrong"));
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /^fail +model: tldr +stand-in at .+: refused, .+401/m);
  assert.match(wrong.stdout, /It does not take the key: see NEXUSCORE_LLM_API_KEY/);
  assert(!wrong.stdout.includes("sk-wrong"));
  const unknown = { ...settingsOf(model.url, KEY), NEXUSCORE_LLM_MODEL: "large" };
  assert.match((await doctor(unknown)).stdout, /It has no such model; .+ to one of: stand-in\./);
});

for (const { name, variables, stderr } of [
  {
    name: "an address without a model",
    variables: { NEXUSCORE_LLM_BASE_URL: "http://127.0.0.1:1/v1" },
    stderr: /an address for moderation, but no model: set NEXUSCORE_LLM_MODEL/,
  },
  {
    name: "a key that is none",
    variables: settingsOf("http://127.0.0.1:1/v1", "two words"),
    stderr: /The key in NEXUSCORE_LLM_API_KEY has spaces.+\(configKey\)/,
  },
]) {
  test(`llm: ${name}: serve says so in one line`, async () => {
    const env = { ...process.env, NEXUSCORE_DATA_DIR: ":memory:", ...variables };
    const args = [BIN, "serve", "--http-port", "0", "--udp-port", "0"];
    await assert.rejects(
      promisify(execFile)(process.execPath, args, { env, cwd: tmpdir(), timeout: HANG_MS }),
      (error: unknown) => {
        const ended = error as { code: number; stderr: string };
        assert.equal(ended.code, 2);
        assert.match(ended.stderr, stderr);
        assert.equal(ended.stderr.trim().split("\n").length, 1);
        assert(!ended.stderr.includes("two words"));
        return true;
      },
    );
  });
}
