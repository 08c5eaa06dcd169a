/**
 * A NexusCore server of its own for a run: the whole product as `serve` starts it, on a free port.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ShardStats } from "#engine/door.ts";
import type { StageFacts } from "#kernel/stage.ts";
import type { StageStats } from "#kernel/stage-stats.ts";
import type { StorageStats } from "#model/storage.ts";
import type { KernelTelemetry } from "#model/kernel-telemetry.ts";
import type { TenantStatus } from "#model/tenant.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { Child } from "./child.ts";

const MAIN = new URL("../src/main.ts", import.meta.url);
const START_MS_MAX = 120_000;
const POLL_MS = 50;

/** What is left out is as in the product: nothing said, nothing changed. */
export type ServerSettings = {
  readonly shardCount?: number;
  readonly slotCount?: number;
  readonly kernelTelemetry?: string;
  /** Kept when the server stops; left out: one that goes with it. */
  readonly dataFolder?: string;
  /** After this a start has failed. */
  readonly startMsMax?: number;
  /** Any other option, by its variable. */
  readonly environment?: Readonly<Record<string, string>>;
};

export type ServerStatus = {
  readonly tenantCount: number;
  readonly eventCount: number;
  readonly shards: readonly ShardStats[];
};

/** What `GET /v1/system/kernel` says; `stats` is there where datagrams are taken. */
export type KernelAnswer = {
  readonly datagrams:
    | { readonly status: "off"; readonly reason: string }
    | ({ readonly status: "on"; readonly host: string; readonly port: number } & StageFacts);
  readonly stats?: StageStats;
  readonly telemetry: KernelTelemetry;
};

export class Server {
  readonly child: Child;
  readonly port: number;
  /** Of its own; undefined: somebody else's. */
  readonly #dataFolder: string | undefined;

  private constructor(child: Child, port: number, dataFolder: string | undefined) {
    this.child = child;
    this.port = port;
    this.#dataFolder = dataFolder;
  }

  static async start(settings: ServerSettings = {}): Promise<Server> {
    const { shardCount, slotCount, kernelTelemetry, environment } = settings;
    const port = await freePort();
    const own = settings.dataFolder === undefined ? makeDataFolder() : undefined;
    const child = await Child.start(MAIN, ["serve"], {
      NEXUSCORE_HTTP_PORT: String(port),
      NEXUSCORE_UDP_PORT: "0",
      NEXUSCORE_DATA_DIR: settings.dataFolder ?? own!,
      ...(shardCount !== undefined && { NEXUSCORE_SHARD_COUNT: String(shardCount) }),
      ...(slotCount !== undefined && { NEXUSCORE_SLOT_COUNT: String(slotCount) }),
      ...(kernelTelemetry !== undefined && { NEXUSCORE_KERNEL_TELEMETRY: kernelTelemetry }),
      NEXUSCORE_LOG_LEVEL: "warn",
      // Loads are of a few tenants at full speed: what a server can do, not what it lets one do.
      NEXUSCORE_QUOTA_CPU_MS_PER_SECOND: "unlimited",
      ...environment,
    });
    const server = new Server(child, port, own);
    await server.#untilReady(settings.startMsMax ?? START_MS_MAX);
    return server;
  }

  async status(): Promise<ServerStatus> {
    return this.#get<ServerStatus>("/readyz");
  }

  async kernel(): Promise<KernelAnswer> {
    return this.#get<KernelAnswer>("/v1/system/kernel");
  }

  async tenant(tenant: string): Promise<TenantStatus> {
    return this.#get<TenantStatus>(`/v1/tenants/${tenant}`);
  }

  /** Events of a tenant since the start. */
  async eventCount(tenant: string): Promise<number> {
    return (await this.#get<{ eventCount: number }>(`/v1/tenants/${tenant}`)).eventCount;
  }

  /** The window of a tenant, most frequent terms first. */
  async window(tenant: string, limit: number): Promise<TrendingAnswer> {
    const query = `order=count&limit=${limit}`;
    return this.#get<TrendingAnswer>(`/v1/tenants/${tenant}/trending?${query}`);
  }

  /** How its disk stands. */
  async storage(): Promise<StorageStats> {
    return this.#get<StorageStats>("/v1/system/storage");
  }

  async stop(): Promise<void> {
    await this.child.stop();
    if (this.#dataFolder !== undefined) removeDataFolder(this.#dataFolder);
  }

  /** As a crash would end it. */
  async kill(): Promise<void> {
    this.child.process.kill("SIGKILL");
    await this.stop();
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    const body = await response.text();
    if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${body}`);
    return JSON.parse(body) as T;
  }

  async #untilReady(startMsMax: number): Promise<void> {
    const deadlineMs = performance.now() + startMsMax;
    while (!this.child.ended && performance.now() < deadlineMs) {
      const status = await this.status().catch(() => undefined);
      if (status !== undefined) return;
      await sleep(POLL_MS);
    }
    await this.child.orDeath(sleep(POLL_MS), "first answer");
    throw new Error(`The server was not ready after ${startMsMax} ms.`);
  }
}

const dataFolders = new Set<string>();
let removesAtExit = false;

/** Gone with this process at the latest, if a run is broken off. */
export function makeDataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-bench-"));
  dataFolders.add(folder);
  if (!removesAtExit) process.once("exit", () => dataFolders.forEach(removeDataFolder));
  removesAtExit = true;
  return folder;
}

export function removeDataFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  dataFolders.delete(folder);
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return port;
}
