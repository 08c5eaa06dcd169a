/**
 * The work of scenarios/same-work.ts in a Redis server of its own, over a Unix socket. There are no
 * quantile sketches in it, so latencies are counted in the bins of a DDSketch, made here.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { termName, userName } from "../grouping.ts";
import { type Columns, drawColumns } from "../same-work-events.ts";
import { type Answer, peakMb, type SameWorkFigures, type SameWorkSettings } from "../same-work.ts";
import { serveMeasurement } from "./isolates.ts";

/** Events whose commands are sent before their replies are waited for. */
const PIPELINE_EVENTS = 500;
const CONNECT_TRIES_MAX = 200;
const CONNECT_PAUSE_MS = 25;
/** Of 2^14 cells, as its documentation has it. */
const DISTINCT_ERROR = 0.0081;
/** Bins of relative width 2 %: every value is within 1 % of its bin's middle. */
const GAMMA = 1.01 / 0.99;
const ERROR_SIGN = 45;

serveMeasurement(async (settings: SameWorkSettings): Promise<SameWorkFigures> => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-redis-"));
  const path = join(folder, "socket");
  const flags = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"];
  const server = spawn("redis-server", [...flags, "--dir", folder], { stdio: "ignore" });
  const stop = (): void => void server.kill("SIGKILL");
  process.once("exit", stop);
  process.once("SIGTERM", () => process.exit(1));
  try {
    return await work(settings, server, path);
  } finally {
    const ended = once(server, "exit");
    stop();
    await ended;
    process.off("exit", stop);
    rmSync(folder, { recursive: true, force: true });
  }
});

async function work(
  settings: SameWorkSettings,
  server: ChildProcess,
  path: string,
): Promise<SameWorkFigures> {
  const columns = drawColumns(settings);
  const client = await Client.open(path);
  const before = await cpuSeconds(client);
  for (let first = 0; first < settings.events; first += PIPELINE_EVENTS) {
    await client.send(commandsOf(columns, first, first + PIPELINE_EVENTS));
  }
  const after = await cpuSeconds(client);
  const residentMb = peakMb(server.pid!);
  const answers: Answer[] = [];
  for (const tenant of settings.asked) answers.push(await answerOf(client, tenant));
  client.close();
  return { cpuSeconds: after - before, residentMb, answers, answerCpuSeconds: 0 };
}

/** Five commands an event; the count is the sum of the bins. */
function commandsOf(columns: Columns, first: number, end: number): string[][] {
  const commands: string[][] = [];
  for (let event = first; event < Math.min(end, columns.tenants.length); event++) {
    const tenant = columns.tenants[event]!;
    const latency = columns.latencies[event]!;
    const bin = Math.ceil(Math.log(latency) / Math.log(GAMMA));
    commands.push(
      ["ZINCRBY", `t${tenant}`, "1", termName(columns.terms[event]!)],
      ["PFADD", `u${tenant}`, userName(columns.users[event]!)],
      ["HINCRBY", `l${tenant}`, String(bin), "1"],
      ["HINCRBYFLOAT", `m${tenant}`, "s", String(latency)],
      ["HINCRBYFLOAT", `m${tenant}`, "q", String(latency * latency)],
    );
  }
  return commands;
}

async function cpuSeconds(client: Client): Promise<number> {
  const text = (await client.send([["INFO", "cpu"]])).join("\n");
  const seconds = (name: string): number => {
    return Number(new RegExp(`^${name}:([0-9.]+)`, "m").exec(text)?.[1]);
  };
  return seconds("used_cpu_user") + seconds("used_cpu_sys");
}

async function answerOf(client: Client, tenant: number): Promise<Answer> {
  const [terms, users, bins, sums] = [
    values(await client.send([["ZREVRANGE", `t${tenant}`, "0", "9"]])),
    await client.send([["PFCOUNT", `u${tenant}`]]),
    values(await client.send([["HGETALL", `l${tenant}`]])),
    values(await client.send([["HMGET", `m${tenant}`, "s", "q"]])).map(Number),
  ];
  const counts = new Map<number, number>();
  for (let at = 0; at < bins.length; at += 2) counts.set(Number(bins[at]), Number(bins[at + 1]));
  const count = [...counts.values()].reduce((sum, value) => sum + value, 0);
  return {
    tenant,
    count,
    terms,
    distinct: Number(users[0]!.slice(1)),
    distinctError: DISTINCT_ERROR,
    p99: quantileOf(counts, 0.99 * (count - 1)),
    variance: sums[1]! / count - (sums[0]! / count) ** 2,
  };
}

function quantileOf(counts: ReadonlyMap<number, number>, rank: number): number {
  let seen = 0;
  for (const [bin, count] of [...counts].toSorted(([a], [b]) => a - b)) {
    seen += count;
    if (seen > rank) return (2 * GAMMA ** bin) / (GAMMA + 1);
  }
  return NaN;
}

/** The strings of a flat array. */
function values(lines: readonly string[]): string[] {
  return lines.filter((_, index) => index > 0 && index % 2 === 0);
}

/** Sends commands and waits for all their replies; knows no more of the protocol than that. */
class Client {
  readonly #socket: Socket;
  #text = "";
  #wanted = 0;
  #resolve: ((lines: string[]) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", (error) => this.#reject?.(error));
    socket.on("close", () => this.#reject?.(new Error("redis-server closed the connection")));
  }

  static async open(path: string): Promise<Client> {
    for (let attempt = 1; ; attempt++) {
      const socket = connect(path);
      try {
        await once(socket, "connect");
        return new Client(socket);
      } catch (error) {
        if (attempt === CONNECT_TRIES_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, CONNECT_PAUSE_MS));
      }
    }
  }

  /** Lines of all replies; an error among them rejects. */
  async send(commands: readonly (readonly string[])[]): Promise<string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    this.#resolve = resolve;
    this.#reject = reject;
    this.#wanted = commands.length;
    this.#text = "";
    const parts = commands.map((words) => {
      const bulks = words.map((word) => `$${word.length}\r\n${word}\r\n`);
      return `*${words.length}\r\n${bulks.join("")}`;
    });
    this.#socket.write(parts.join(""), "latin1");
    return promise;
  }

  close(): void {
    this.#reject = undefined;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    let at = 0;
    for (let reply = 0; reply < this.#wanted; reply++) {
      at = endOfReply(this.#text, at);
      if (at === -1) return;
    }
    const lines = this.#text.split("\r\n");
    const error = lines.find((line) => line.charCodeAt(0) === ERROR_SIGN && line.includes(" "));
    if (error === undefined) this.#resolve?.(lines);
    else this.#reject?.(new Error(`redis-server: ${error}`));
  }
}

/** Where the reply that begins at `at` ends, or -1. */
function endOfReply(text: string, at: number): number {
  const lineEnd = text.indexOf("\r\n", at);
  if (lineEnd === -1) return -1;
  const next = lineEnd + 2;
  const kind = text[at];
  const length = Number(text.slice(at + 1, lineEnd));
  if (kind === "$")
    return length < 0 ? next : text.length < next + length + 2 ? -1 : next + length + 2;
  if (kind !== "*") return next;
  let end = next;
  for (let element = 0; element < length && end !== -1; element++) end = endOfReply(text, end);
  return end;
}
