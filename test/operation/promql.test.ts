// Every PromQL expression of the board and of the alert rules, asked of a real Prometheus that
// scrapes a real server under some load. It is started here, on loopback, with a folder of its own.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { freePort } from "../../bench/server.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const BIN = join(ROOT, "bin/nexuscore.mjs");
const RULES = join(ROOT, "deploy/prometheus/alerts.yml");
const CASES = ["alerts.test.yml", "alerts-of-days.test.yml"].map((name) =>
  join(ROOT, "deploy/prometheus", name),
);
const BOARD = join(ROOT, "deploy/grafana/nexuscore.json");
const SCRAPES_MIN = 5;
const WAIT_MS_MAX = 90_000;
const TRIES_MAX = 30;
/** True of a machine that is slow or busy, too, with nothing wrong: of these the form is tested. */
const OF_PACE = [
  "NexusCoreDown",
  "NexusCoreDiskRefusesEvents",
  "NexusCoreCommitsSlow",
  "NexusCoreEventLoopLate",
  "NexusCoreModelDown",
];
const LIMIT = { timeout: 240_000 };

/** Only there where the kernel tells, which wants privileges. */
const OF_KERNEL = ["nexuscore_socket_drops_total"];
/** Empty until the server has been asked long enough, or while nothing is wrong. */
const EMPTY_WHEN_WELL = [
  // No call of a job has ended in most of the ways.
  /^sum by \(job, outcome\)/,
  // Nobody used a rotated secret and so on: no series of these statuses yet.
  /status=~"429\|503\|507"/,
  // No tenant moved to another component, no backup was made.
  /nexuscore_component_upgrades_total/,
  /^time\(\) - max\(nexuscore_backup_newest_seconds/,
  // The annotation of starts.
  /^changes\(/,
];

type Rule = { readonly alert: string; readonly expr: string };

function rules(): Rule[] {
  const { groups } = parse(readFileSync(RULES, "utf8")) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
}

type Target = { readonly expr: string };
type BoardFile = {
  readonly panels: readonly { title: string; targets?: readonly Target[] }[];
  readonly annotations: { readonly list: readonly Target[] };
};

function boardExpressions(): string[] {
  const { panels, annotations } = JSON.parse(readFileSync(BOARD, "utf8")) as BoardFile;
  const all = [...panels.flatMap(({ targets = [] }) => targets), ...annotations.list];
  return all.map(({ expr }) =>
    expr
      .replaceAll("$job", "nexuscore")
      .replaceAll("$instance", ".*")
      .replaceAll("$__rate_interval", "20s"),
  );
}

function metricsIn(expression: string): string[] {
  const names = expression.replaceAll(/"[^"]*"/g, "").match(/\b(nexuscore|process|nodejs)_\w+/g);
  return [...new Set(names ?? [])];
}

const hasPrometheus = spawnSync("prometheus", ["--version"]).error === undefined;
const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;

test("alerts: promtool finds the rules right, and each fires when it should and not else", (t) => {
  if (!hasPromtool) return t.skip("promtool is not installed");
  for (const args of [
    ["check", "rules", RULES],
    ["test", "rules", ...CASES],
  ]) {
    const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  }
  const cases = CASES.map((path) => readFileSync(path, "utf8")).join("\n");
  for (const { alert } of rules()) assert(cases.includes(`alertname: ${alert}\n`), alert);
  return undefined;
});

test("alerts: each says how bad it is, what is wrong, and what to do", () => {
  const { groups } = parse(readFileSync(RULES, "utf8")) as {
    groups: { rules: { labels: object; annotations: { summary: string; fix: string } }[] }[];
  };
  for (const rule of groups.flatMap((group) => group.rules)) {
    assert.match(JSON.stringify(rule.labels), /"severity":"(page|ticket)"/);
    assert(rule.annotations.summary.includes("{{ $labels.instance }}"));
    assert(rule.annotations.fix.length > 20);
  }
});

test("Prometheus: takes every expression of board and rules, and has data", LIMIT, async (t) => {
  if (!hasPrometheus) return t.skip("prometheus is not installed");
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-promql-"));
  const ends: End[] = [async () => rmSync(folder, { recursive: true, force: true })];
  // Whoever asks ends before who is asked.
  t.after(async () => {
    for (const end of ends.toReversed()) await end();
  });
  const url = await serveUnderLoad(ends, folder);
  const prometheus = await startPrometheus(ends, folder, new URL(url).host);

  const metrics = await (await fetch(`${url}/metrics`)).text();
  const known = new Set([...metrics.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name!));
  const ask = async (query: string): Promise<unknown[]> => {
    const answer = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { status, error, data } = (await answer.json()) as Answer;
    assert.equal(status, "success", `${query}: ${error}`);
    return data?.result ?? [];
  };
  // A scrape that took too long leaves nothing until the next one.
  const find = async (query: string): Promise<unknown[]> => {
    let found = await ask(query);
    for (let tries = 0; found.length === 0 && tries < TRIES_MAX; tries++) {
      await sleep(500);
      found = await ask(query);
    }
    return found;
  };
  const empty: string[] = [];
  const boards = boardExpressions();
  for (const expression of boards) {
    const isKernels = OF_KERNEL.some((name) => expression.includes(name) && !known.has(name));
    const mayBeEmpty = isKernels || EMPTY_WHEN_WELL.some((pattern) => pattern.test(expression));
    const result = await (mayBeEmpty ? ask(expression) : find(expression));
    if (result.length === 0 && !mayBeEmpty) empty.push(expression);
  }
  assert.deepEqual(empty, []);
  for (const { expr, alert } of rules()) {
    const found = await ask(expr);
    if (!OF_PACE.includes(alert)) assert.deepEqual(found, [], `${alert} while all is well`);
    for (const name of metricsIn(expr)) {
      if (OF_KERNEL.includes(name) && !known.has(name)) continue;
      assert.notEqual((await find(name)).length, 0, `${alert}: ${name} has no series`);
    }
  }
  assert(boards.length > 50 && rules().length > 15);
  return undefined;
});

type Answer = {
  readonly status: string;
  readonly error?: string;
  readonly data?: { readonly result: unknown[] };
};

type End = () => Promise<void>;

/** A server with all that the board shows: a disk, keys unset, a language model, some events. */
async function serveUnderLoad(ends: End[], folder: string): Promise<string> {
  const model = await startOf(ends, ["stand-in", "--port", "0", "--latency", "10"], {});
  const url = await startOf(ends, ["serve", "--http-port", "0", "--udp-port", "0"], {
    NEXUSCORE_SHARD_COUNT: "1",
    NEXUSCORE_DATA_DIR: join(folder, "data"),
    NEXUSCORE_LLM_BASE_URL: `${model}/v1`,
    NEXUSCORE_LLM_MODEL: "stand-in",
    NEXUSCORE_CONFIG: "",
  });
  const headers = { "content-type": "application/json" };
  const post = async (path: string, body: unknown): Promise<void> => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    await answer.arrayBuffer();
    assert(answer.ok, `${path}: ${answer.status}`);
  };
  let ended = false;
  const load = (async () => {
    for (let i = 0; !ended; i++) {
      await post(`/v1/tenants/t${i % 5}/events`, [{ user: "ada", text: `the boss fight ${i}` }]);
      await post("/v1/tenants/t0/moderate", { text: `you are an idiot ${i}` });
      await sleep(50);
    }
  })();
  ends.push(async () => {
    ended = true;
    await load;
  });
  return url;
}

async function startOf(
  ends: End[],
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  endAfter(ends, child);
  const seen: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    seen.push(line);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url === undefined) continue;
    child.stdout.resume();
    return url;
  }
  return assert.fail(`${args[0]} ended: ${seen.join("\n")}`);
}

function endAfter(ends: End[], child: ChildProcess): void {
  const exit = once(child, "exit");
  ends.push(async () => {
    child.kill("SIGTERM");
    await exit;
  });
}

/** With the configuration that is shipped, but for the target, the key and the pace. */
async function startPrometheus(ends: End[], folder: string, target: string): Promise<string> {
  const shipped = readFileSync(join(ROOT, "deploy/prometheus/prometheus.yml"), "utf8");
  const config = shipped
    .replaceAll("15s", "1s")
    .replace("- alerts.yml", `- ${RULES}`)
    .replace(/ {4}authorization:\n.*credentials_file.*\n/, "")
    .replace("127.0.0.1:7070", target);
  assert.notEqual(config, shipped);
  const file = join(folder, "prometheus.yml");
  writeFileSync(file, config);
  const checked = spawnSync("promtool", ["check", "config", file], { encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const port = await freePort();
  const log: string[] = [];
  const child = spawn(
    "prometheus",
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "prometheus")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  child.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString("utf8")));
  endAfter(ends, child);
  const url = `http://127.0.0.1:${port}`;
  const scrapes = `${url}/api/v1/query?query=sum_over_time(up{job="nexuscore"}[1m])`;
  const endMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    assert(performance.now() < endMs && child.exitCode === null, log.join(""));
    const count = await scrapeCount(scrapes);
    if (count >= SCRAPES_MIN) return url;
    await sleep(200);
  }
}

async function scrapeCount(url: string): Promise<number> {
  try {
    const { data } = (await (await fetch(url)).json()) as {
      data: { result: { value: [number, string] }[] };
    };
    return Number(data.result[0]?.value[1] ?? 0);
  } catch {
    return 0; // It does not listen yet.
  }
}
