/**
 * The real server as a process of its own, which can be killed: by its id, and without a word.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runtimeFlags } from "../../bench/child.ts";
import { freePort } from "../../bench/server.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const READY_MS_MAX = 120_000;
const STOP_MS_MAX = 60_000;
const POLL_MS = 25;
/** Of what it says, the end is kept for the message if it is not as it should be. */
const WORDS_MAX = 4_000;

export type ServeSettings = {
  readonly folder: string;
  readonly shardCount: number;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Of Node, before its own. */
  readonly flags?: readonly string[];
  /** Number of whom it runs as; only root may say another. */
  readonly user?: number;
};

export type Reply<Body = unknown> = {
  readonly status: number;
  readonly body: Body;
  readonly retryAfter: string | null;
};

export class Served {
  readonly url: string;
  readonly #child: ChildProcess;
  #words = "";

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#words = (this.#words + text).slice(-WORDS_MAX);
      });
    }
  }

  /** It has begun; whether it is ready is another thing. */
  static async begin(settings: ServeSettings): Promise<Served> {
    const port = await freePort();
    const { folder, shardCount, environment, flags = [], user } = settings;
    const args = [...flags, ...(await runtimeFlags()), MAIN, "serve"];
    const child = spawn(process.execPath, args, {
      env: {
        ...process.env,
        NODE_OPTIONS: "",
        NODE_TEST_CONTEXT: undefined,
        NEXUSCORE_HTTP_PORT: String(port),
        NEXUSCORE_UDP_PORT: "0",
        NEXUSCORE_DATA_DIR: folder,
        NEXUSCORE_SHARD_COUNT: String(shardCount),
        NEXUSCORE_LOG_LEVEL: "warn",
        // Nothing here is of the kernel's, and its tables would take a second of every life.
        NEXUSCORE_KERNEL_STAGE: "off",
        NEXUSCORE_KERNEL_TELEMETRY: "off",
        ...environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
      ...(user !== undefined && { uid: user, gid: user }),
    });
    return new Served(`http://127.0.0.1:${port}`, child);
  }

  static async start(settings: ServeSettings): Promise<Served> {
    const served = await Served.begin(settings);
    await served.untilReady();
    return served;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The end of what it said. */
  get words(): string {
    return this.#words;
  }

  async untilReady(): Promise<void> {
    await this.until("it is ready", async () => (await this.ask("/readyz")).status === 200);
  }

  /** Asks until it is so; fails if the process ends before. */
  async until(what: string, isSo: () => Promise<boolean>, msMax = READY_MS_MAX): Promise<void> {
    const endMs = performance.now() + msMax;
    for (;;) {
      if (await isSo().catch(() => false)) return;
      assert(!this.isGone, `the server ended before ${what}: ${this.#words}`);
      assert(!this.#words.includes("did not start"), this.#words);
      assert(performance.now() < endMs, `${msMax} ms, and not yet ${what}: ${this.#words}`);
      await sleep(POLL_MS);
    }
  }

  async ask<Body = unknown>(
    path: string,
    method = "GET",
    body?: unknown,
    contentType = "application/json",
  ): Promise<Reply<Body>> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const headers = { "content-type": contentType };
    const sent = body === undefined ? {} : { headers, body: text };
    const response = await fetch(this.url + path, { method, ...sent });
    const retryAfter = response.headers.get("retry-after");
    const answer = (await response.json().catch(() => undefined)) as Body;
    return { status: response.status, body: answer, retryAfter };
  }

  /** The answer of what must go well. */
  async get<Body>(path: string): Promise<Body> {
    const { status, body } = await this.ask<Body>(path);
    assert.equal(status, 200, `GET ${path}: ${JSON.stringify(body)}`);
    return body;
  }

  /** NDJSON, of a tenant or, if there is none, of those that each event names. */
  async send<Body>(
    tenant: string | undefined,
    events: readonly object[],
    query = "",
  ): Promise<Reply<Body>> {
    const path = tenant === undefined ? "/v1/events" : `/v1/tenants/${tenant}/events`;
    const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    return this.ask<Body>(path + query, "POST", lines, "application/x-ndjson");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** As an operator would; resolves to its exit code. */
  async stop(): Promise<number | null> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await this.#end("SIGTERM");
    clearTimeout(timer);
    return this.#child.exitCode;
  }

  /** Resolves to its exit code, if it ends by itself. */
  async ended(): Promise<number | null> {
    if (!this.isGone) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.isGone) return;
    const gone = once(this.#child, "exit");
    this.#child.kill(signal);
    await gone;
  }
}
