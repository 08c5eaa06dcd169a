/** What `nexuscore doctor` finds out about ports, and about who is let in by them. */
import { isLoopbackHost } from "#config/access-checks.ts";
import type { Config } from "#config/options.ts";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { DatabaseSync } from "node:sqlite";
import type { Check } from "./check.ts";
import { Client } from "./client.ts";
import { dataFilesOf } from "./data-files.ts";
import { areAsked, firstKeyCommand } from "./guard.ts";
import { urlHost } from "./url.ts";

const PROVIDER_MS_MAX = 5_000;

export async function checkNetwork(config: Config): Promise<Check[]> {
  const keys = countKeys(config);
  return [
    await checkPort(config),
    accessCheck(config, keys),
    ...(await checkProvider(config)),
    await checkKernelStage(config, keys),
  ];
}

async function checkPort({ httpHost, httpPort }: Config): Promise<Check> {
  const name = "HTTP port";
  const place = `${httpHost}:${httpPort}`;
  const problem = await tryListen(httpHost, httpPort);
  if (problem === undefined) return { name, status: "ok", detail: `${place} is free` };
  if (problem === "EADDRINUSE") {
    const probe = await new Client(`http://${urlHost(httpHost)}:${httpPort}`).probe();
    if (probe === "ours") return { name, status: "ok", detail: `NexusCore runs on ${place}` };
    const fix = `nexuscore serve --http-port ${httpPort + 1}`;
    return { name, status: "fail", detail: `${place} is taken by another program`, fix };
  }
  const fix = "nexuscore serve --http-host 127.0.0.1 --http-port 7070";
  return { name, status: "fail", detail: `${place} cannot be used: ${problem}`, fix };
}

async function tryListen(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve: settle } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  server.listen({ host, port, exclusive: true }, () => server.close(() => settle(undefined)));
  return promise;
}

type AccessFacts = Pick<Config, "httpHost" | "oidcIssuer" | "bootstrapKeyFile" | "dataDir">;

/** All that are remembered close the server; those that are neither revoked nor expired open it. */
export type KeyCounts = { readonly all: number; readonly open: number };

/** `keys` undefined: they cannot be read. */
export function accessCheck(facts: AccessFacts, keys: KeyCounts | undefined): Check {
  const { httpHost, oidcIssuer, bootstrapKeyFile, dataDir } = facts;
  const name = "keys";
  const isLoopback = isLoopbackHost(httpHost);
  if (keys === undefined) {
    const fix = "nexuscore restore <newest backup> --replace, or make the file readable";
    const why = "without them a server does not start";
    return { name, status: "fail", detail: "the file of the keys cannot be read", why, fix };
  }
  const hasOther = oidcIssuer !== "" || bootstrapKeyFile !== "";
  if (keys.all > 0 && keys.open === 0 && !hasOther) {
    const detail = "all that there are were revoked or have expired";
    const fix = `Stop the server; ${firstKeyCommand(dataDir)}; start it again.`;
    return { name, status: "fail", detail, why: "nobody is let in", fix };
  }
  if (keys.all > 0 || hasOther) {
    const also = oidcIssuer === "" ? "" : `, and tokens of ${oidcIssuer}`;
    const count = keys.open === 1 ? "1 key" : `${keys.open} keys`;
    return { name, status: "ok", detail: `${count}${also}` };
  }
  if (isLoopback) {
    const detail = `none; ${httpHost} is open to everybody on this machine`;
    return { name, status: "ok", detail };
  }
  const detail = `none, and ${httpHost} is reached by others`;
  const why = "serve refuses to start so";
  return { name, status: "fail", detail, why, fix: firstKeyCommand(dataDir) };
}

const KEY_COUNTS = `
SELECT count(*) AS every, coalesce(sum(
  revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?)
), 0) AS open FROM api_keys`;

function countKeys(config: Config): KeyCounts | undefined {
  const path = dataFilesOf(config)?.keys;
  if (path === undefined || !existsSync(path)) return { all: 0, open: 0 };
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    try {
      const row = database.prepare(KEY_COUNTS).get(Date.now());
      return { all: Number(row?.["every"] ?? 0), open: Number(row?.["open"] ?? 0) };
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

/** Whether the provider of tokens can be asked for its keys. */
async function checkProvider({ oidcIssuer, oidcJwksUrl }: Config): Promise<Check[]> {
  if (oidcIssuer === "") return [];
  const issuer = oidcIssuer.replace(/\/+$/, "");
  const url = oidcJwksUrl === "" ? `${issuer}/.well-known/openid-configuration` : oidcJwksUrl;
  return [providerCheck(url, await askProvider(url))];
}

async function askProvider(url: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(PROVIDER_MS_MAX);
    const response = await fetch(url, { redirect: "error", signal });
    const text = await response.text();
    if (!response.ok) return `it answers ${response.status}`;
    return /"(?:jwks_uri|keys)"/.test(text) ? undefined : "what it answers names no keys";
  } catch (error) {
    const { cause, message } = error as { cause?: { code?: string }; message: string };
    return cause?.code ?? message;
  }
}

/** `problem` undefined: it has keys. */
export function providerCheck(url: string, problem: string | undefined): Check {
  const name = "tokens";
  if (problem === undefined) return { name, status: "ok", detail: `keys of ${url} are to be had` };
  const detail = `${url}: ${problem}`;
  const why = "tokens are refused until its keys are read";
  return { name, status: "warn", detail, why, fix: `curl -sS ${url}` };
}

/** Tries it, with logs of the least size: what a machine says it can do and what it does differ. */
async function checkKernelStage(config: Config, keys: KeyCounts | undefined): Promise<Check> {
  const name = "datagrams";
  if (config.datagrams === "off") return { name, status: "ok", detail: "off, as configured" };
  const { bootstrapKeyFile, oidcIssuer } = config;
  const hasWalls = keys?.all !== 0 || oidcIssuer !== "" || bootstrapKeyFile !== "";
  if (!areAsked(config) && (hasWalls || !isLoopbackHost(config.httpHost))) {
    const detail = "off: they carry no key; --datagrams on takes them";
    return { name, status: "ok", detail };
  }
  if (config.kernelStage === "off") {
    return { name, status: "ok", detail: "aggregated in user space, as configured" };
  }
  const { openStage } = await import("#kernel/stage.ts");
  const stage = openStage({
    shardCount: 1,
    logBits: 14,
    bufferRecords: 1,
    dictionaryBytes: 2 ** 20,
  });
  stage.close();
  const { path, missing, receive } = stage.facts;
  if (path === "kernel") return { name, status: "ok", detail: "aggregated in the kernel (eBPF)" };
  const detail = `aggregated in user space, read with ${receive}; lacking: ${missing.join(", ")}`;
  const why = "a record costs more CPU there";
  const fix =
    "Linux 5.17, libbpf.so.1, CAP_BPF and CAP_PERFMON; deploy/ has a unit that gives them.";
  return { name, status: "warn", detail, why, fix };
}
