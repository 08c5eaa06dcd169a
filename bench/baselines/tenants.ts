/** Tenants that are a process each, or a thread each, behind one shape. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Usage } from "../children/leash.ts";
import type { TenantMessage, TenantReply } from "./tenant-messages.ts";
import type { TenantAnswer } from "./window-tally.ts";

const TENANT = new URL("tenant.ts", import.meta.url);
/** Started at a time: more only wait for each other. */
const STARTS_AT_ONCE = 8;

export type Host = {
  readonly tenantCount: number;
  /** Events that tenants have acknowledged. */
  readonly counted: number;
  send(tenant: number, message: TenantMessage): void;
  /** Asks every tenant to acknowledge what it has so far. */
  flush(): void;
  /** What the tenants used, where they are processes. */
  usage(): Promise<Usage>;
  answer(tenant: number, limit: number): Promise<TenantAnswer>;
  stop(): Promise<void>;
};

export async function answersOf(host: Host, limit: number): Promise<TenantAnswer[]> {
  const tenants = Array.from({ length: host.tenantCount }, (_, tenant) => tenant);
  return Promise.all(tenants.map((tenant) => host.answer(tenant, limit)));
}

type Share = { readonly megabytes: number };
type Post = (message: TenantMessage) => void;

/** Bookkeeping that both kinds share: who waits for which reply of which tenant. */
class Replies {
  counted = 0;
  readonly #waiting = new Map<string, (reply: TenantReply) => void>();

  take(tenant: number, reply: TenantReply): void {
    if (reply.type === "counted") this.counted += reply.count;
    else this.#waiting.get(`${tenant} ${reply.type}`)?.(reply);
  }

  next(tenant: number, type: TenantReply["type"]): Promise<TenantReply> {
    return new Promise((resolve) => this.#waiting.set(`${tenant} ${type}`, resolve));
  }
}

export async function startProcesses(tenantCount: number): Promise<Host> {
  const replies = new Replies();
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      }),
    );
  };
  process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
  await startAll(tenantCount, async (tenant) => {
    // The flags of this process, which brings the leash along: a tenant ends when its router does.
    const child = spawn(process.execPath, [...process.execArgv, TENANT.pathname], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    children[tenant] = child;
    child.on("message", (reply: TenantReply) => replies.take(tenant, reply));
    await replies.next(tenant, "ready");
  });
  const usage = async (): Promise<Usage> => {
    const all = await Promise.all(
      children.map(async (child, tenant) => {
        const used = replies.next(tenant, "usage");
        const share = replies.next(tenant, "share");
        child.send({ type: "usage" });
        child.send({ type: "share" });
        return { ...((await used) as { usage: Usage }).usage, ...((await share) as Share) };
      }),
    );
    return {
      cpuSeconds: all.reduce((sum, one) => sum + one.cpuSeconds, 0),
      contextSwitches: all.reduce((sum, one) => sum + one.contextSwitches, 0),
      residentMb: all.reduce((sum, one) => sum + one.megabytes, 0),
    };
  };
  const posts = children.map(
    (child): Post =>
      (message) =>
        void child.send(message),
  );
  return hostOf(posts, replies, usage, stop);
}

export async function startThreads(tenantCount: number): Promise<Host> {
  const replies = new Replies();
  const workers: Worker[] = [];
  await startAll(tenantCount, async (tenant) => {
    const worker = new Worker(TENANT);
    workers[tenant] = worker;
    worker.on("message", (reply: TenantReply) => replies.take(tenant, reply));
    await replies.next(tenant, "ready");
  });
  const usage = async (): Promise<Usage> => ({ cpuSeconds: 0, contextSwitches: 0, residentMb: 0 });
  const stop = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  const posts = workers.map(
    (worker): Post =>
      (message) =>
        worker.postMessage(message),
  );
  return hostOf(posts, replies, usage, stop);
}

function hostOf(
  posts: readonly Post[],
  replies: Replies,
  usage: Host["usage"],
  stop: Host["stop"],
): Host {
  return {
    tenantCount: posts.length,
    get counted() {
      return replies.counted;
    },
    send: (tenant, message) => posts[tenant]!(message),
    flush: () => posts.forEach((post) => post({ type: "flush" })),
    usage,
    answer: async (tenant, limit) => {
      const reply = replies.next(tenant, "answer");
      posts[tenant]!({ type: "ask", limit });
      return ((await reply) as { answer: TenantAnswer }).answer;
    },
    stop,
  };
}

async function startAll(
  tenantCount: number,
  start: (tenant: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < tenantCount) await start(next++);
  };
  await Promise.all(Array.from({ length: STARTS_AT_ONCE }, lane));
}
