/**
 * `nexuscore doctor`: whether this machine and installation carry the product, and what to do if
 * not.
 */
import type { Config } from "#config/options.ts";
import { IN_MEMORY } from "#review/database.ts";
import { constants, readFileSync } from "node:fs";
import { access, readFile, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { availableMemory, execArgv, versions } from "node:process";
import { dirname, resolve } from "node:path";
import { Client } from "./client.ts";
import { checkLanguageModels } from "./doctor-llm.ts";
import { formatBytes, style } from "./terminal.ts";
import { urlHost } from "./url.ts";

export type Check = {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What to do about it; absent where nothing is needed. */
  readonly fix?: string;
};

const NODE_MAJOR_MIN = 26;
const FLAGS = ["--disable-wasm-trap-handler", "--external-memory-accounted-in-global-limit"];
const MAPS_MIN = 65_530;
const FILES_MIN = 4_096;
const DISK_BYTES_MIN = 1024 ** 3;
const MEMORY_BYTES_MIN = 1024 ** 3;
const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);

export async function examine(config: Config): Promise<Check[]> {
  return [
    checkRuntime(),
    checkFlags(),
    checkMemory(config),
    checkMaps(),
    checkHugePages(),
    checkOpenFiles(),
    await checkPort(config),
    await checkKernelStage(config),
    await checkDataDir(config.dataDir),
    await checkComponent(),
    ...(await checkLanguageModels(config, process.env)),
  ];
}

export function renderChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .map(({ name, status, detail, fix }) => {
      const color = status === "ok" ? "green" : status === "warn" ? "yellow" : "red";
      const line = `${style(color, status.padEnd(4))}  ${name.padEnd(width)}  ${detail}`;
      return fix === undefined ? line : `${line}\n${" ".repeat(width + 8)}${fix}`;
    })
    .join("\n");
}

function checkRuntime(): Check {
  const name = "runtime";
  const detail = `Node ${versions.node}, V8 ${versions.v8}`;
  if (Number(versions.node.split(".")[0]) >= NODE_MAJOR_MIN) return { name, status: "ok", detail };
  return { name, status: "fail", detail, fix: `Run npm ci: it brings Node ${NODE_MAJOR_MIN}.` };
}

function checkFlags(): Check {
  const name = "V8 flags";
  const missing = FLAGS.filter((flag) => !execArgv.includes(flag));
  if (missing.length === 0) return { name, status: "ok", detail: "for many Wasm memories: set" };
  const detail = `not set: ${missing.join(" ")}`;
  return { name, status: "fail", detail, fix: "Start with bin/nexuscore.mjs, which sets them." };
}

function checkMemory({ imageBytesMax }: Config): Check {
  const name = "memory";
  const free = availableMemory();
  const detail = `${formatBytes(free)} free, up to ${formatBytes(imageBytesMax)} for tenants`;
  if (free < MEMORY_BYTES_MIN) {
    return { name, status: "warn", detail, fix: "Free some, or lower --image-bytes-max." };
  }
  if (free >= imageBytesMax) return { name, status: "ok", detail };
  const fix = `Lower --image-bytes-max below ${formatBytes(free)} if you expect many tenants.`;
  return { name, status: "warn", detail, fix };
}

function checkMaps(): Check {
  const name = "memory maps";
  const count = Number(readKernel("/proc/sys/vm/max_map_count") ?? NaN);
  if (Number.isNaN(count)) return { name, status: "ok", detail: "no limit known on this system" };
  const detail = `vm.max_map_count is ${count}`;
  if (count >= MAPS_MIN) return { name, status: "ok", detail };
  return { name, status: "warn", detail, fix: `sudo sysctl vm.max_map_count=${MAPS_MIN}` };
}

function checkHugePages(): Check {
  const name = "huge pages";
  const text = readKernel("/sys/kernel/mm/transparent_hugepage/enabled");
  const mode = /\[(\w+)\]/.exec(text ?? "")?.[1];
  if (mode === undefined) return { name, status: "ok", detail: "none on this system" };
  const detail = `transparent huge pages: ${mode}`;
  if (mode !== "always") return { name, status: "ok", detail };
  const fix = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";
  return { name, status: "warn", detail: `${detail}; they make small memories large`, fix };
}

function checkOpenFiles(): Check {
  const name = "open files";
  const limits = readKernel("/proc/self/limits") ?? "";
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return { name, status: "ok", detail: "no limit known on this system" };
  const detail = `limit ${soft}`;
  if (soft === "unlimited" || Number(soft) >= FILES_MIN) return { name, status: "ok", detail };
  return { name, status: "warn", detail, fix: `ulimit -n ${FILES_MIN}, for many connections.` };
}

/** Tries it, with logs of the least size: what a machine says it can do and what it does differ. */
async function checkKernelStage({ kernelStage }: Config): Promise<Check> {
  const name = "kernel stage";
  if (kernelStage === "off") return { name, status: "ok", detail: "off, as configured" };
  const { openStage } = await import("#kernel/stage.ts");
  const stage = openStage({
    shardCount: 1,
    logBits: 14,
    bufferRecords: 1,
    dictionaryBytes: 2 ** 20,
  });
  stage.close();
  const { path, missing, receive } = stage.facts;
  if (path === "kernel") {
    return { name, status: "ok", detail: "event datagrams are aggregated in the kernel (eBPF)" };
  }
  const detail = `event datagrams are aggregated in user space, read with ${receive}`;
  const needs = "Linux 5.17, libbpf.so.1, CAP_BPF and CAP_PERFMON";
  const fix = `The kernel path lacks ${missing.join(", ")}; it needs ${needs}.`;
  return { name, status: "warn", detail, fix };
}

async function checkPort({ httpHost, httpPort }: Config): Promise<Check> {
  const name = "HTTP port";
  const place = `${httpHost}:${httpPort}`;
  const problem = await tryListen(httpHost, httpPort);
  if (problem === undefined) return { name, status: "ok", detail: `${place} is free` };
  if (problem === "EADDRINUSE") {
    const probe = await new Client(`http://${urlHost(httpHost)}:${httpPort}`).probe();
    if (probe === "ours") return { name, status: "ok", detail: `NexusCore runs on ${place}` };
    const fix = `Stop it, or use --http-port ${httpPort + 1}.`;
    return { name, status: "fail", detail: `${place} is taken by another program`, fix };
  }
  const fix = "Use --http-host 127.0.0.1 and a port from 1024 on.";
  return { name, status: "fail", detail: `${place} cannot be used: ${problem}`, fix };
}

async function tryListen(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve: settle } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  server.listen({ host, port, exclusive: true }, () => server.close(() => settle(undefined)));
  return promise;
}

async function checkDataDir(dataDir: string): Promise<Check> {
  const name = "data folder";
  if (dataDir === IN_MEMORY) {
    return { name, status: "ok", detail: "none: policies and the queue end with the process" };
  }
  const path = resolve(dataDir);
  const existing = await nearestExisting(path);
  try {
    await access(existing, constants.W_OK);
  } catch {
    const fix = `Make ${existing} writable, or use --data-dir.`;
    return { name, status: "fail", detail: `${path} cannot be written`, fix };
  }
  const { bavail, bsize } = await statfs(existing);
  const detail = `${path}, ${formatBytes(bavail * bsize)} free`;
  if (bavail * bsize >= DISK_BYTES_MIN) return { name, status: "ok", detail };
  return { name, status: "warn", detail, fix: "Free some disk, or use --data-dir." };
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const exists = await access(at).then(
      () => true,
      () => false,
    );
    if (exists || at === dirname(at)) return at;
  }
}

async function checkComponent(): Promise<Check> {
  const name = "component";
  const fix = "Run npm run build.";
  let bytes: Uint8Array;
  try {
    bytes = await readFile(COMPONENT);
  } catch {
    return { name, status: "fail", detail: "the built-in summarizer is missing", fix };
  }
  try {
    const { admitSummarizer } = await import("./component.ts");
    admitSummarizer(bytes);
    return { name, status: "ok", detail: `summarizer admitted, ${formatBytes(bytes.length)}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, status: "fail", detail: `the summarizer is refused: ${reason}`, fix };
  }
}

function readKernel(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
