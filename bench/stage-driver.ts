/**
 * A kernel stage with its sender in one thread: on a loopback the filter runs inside the sender's
 * system call, so what this thread costs is what sending, receiving and aggregating cost together,
 * on one core. What comes out is checked against the pool, tenant by tenant.
 */
import { createHash } from "node:crypto";
import { Drain } from "#kernel/drain.ts";
import { type SocketReader, Receiver } from "#kernel/receiver.ts";
import { openStage, type Stage, type StageOptions, type StagePath } from "#kernel/stage.ts";
import { readStageStats, type StageStats } from "#kernel/stage-stats.ts";
import { type EventSocket, openEventSocket } from "#ingest/event-socket.ts";
import { Random } from "#std/random.ts";
import { DatagramPool, type PoolSettings } from "./datagram-pool.ts";
import { DatagramSender } from "./datagram-sender.ts";
import { expectEqual, UsageError } from "./harness.ts";
import { tenantName } from "./workload.ts";

const SENDER = 0x6e78_6265_6e63_6801n;
const NOW_MS = 1_795_197_600_000;
const EVENT_WEIGHT = 4;
const BATCH_HEADER_BYTES = 16;

export type Cost = { readonly cpuMs: number; readonly wallMs: number };

export class StageDriver {
  readonly sender: DatagramSender;
  readonly #stage: Stage;
  readonly #socket: EventSocket;
  readonly #receiver: Receiver;
  readonly #reader: SocketReader;
  readonly #drain: Drain;
  readonly pool: DatagramPool;
  readonly #names: string[] = [];
  readonly #weights: number[] = [];
  readonly #hash = createHash("sha256");

  constructor(path: StagePath, settings: PoolSettings, options: Partial<StageOptions> = {}) {
    // As the product does, but two runs with one seed do the same work.
    const random = new Random(settings.seed);
    const multiplier = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
    this.#stage = openStage({ shardCount: 1, path, multiplier, ...options });
    if (this.#stage.facts.path !== path) {
      throw new UsageError(`The kernel stage needs ${this.#stage.facts.missing.join(", ")}.`);
    }
    const { handle } = this.#stage;
    const { programFd } = handle;
    this.#socket = openEventSocket({ host: "127.0.0.1", port: 0, programFd });
    this.#receiver = new Receiver(handle);
    this.#reader = this.#receiver.readSocket(this.#socket.fd);
    this.#drain = new Drain(handle, { shard: 0, incarnation: 0 });
    this.pool = new DatagramPool(settings, SENDER);
    this.sender = new DatagramSender(this.pool, { host: "127.0.0.1", port: this.#socket.port });
    this.sender.sendNames();
    this.read();
  }

  get stats(): StageStats {
    return readStageStats(this.#stage.handle);
  }

  /** SHA-256 of all batches so far. */
  get hash(): string {
    return this.#hash.copy().digest("hex").slice(0, 16);
  }

  /** What waits in the socket. */
  read(): void {
    while (this.#reader.read() > 0);
  }

  /** Sends events at full speed, and reads them where the kernel does not take them. */
  aggregate(events: number): Cost {
    return cost(() => {
      this.sender.flood({ events, eventsPerSecond: 0, secondsMax: 60 });
      this.read();
    });
  }

  /** Empties tables and logs; then, untimed, looks at every batch. */
  drain(): Cost {
    expectEqual("a turn of the epoch", this.#receiver.turn(), true);
    const drained = cost(() => {
      this.#drain.collect();
    });
    expectEqual("the table is read in one go", this.#drain.pending, false);
    if (this.#drain.deliver() === 0) return drained;
    let status = this.#drain.emit(NOW_MS);
    for (; status !== "done"; status = this.#drain.emit(NOW_MS)) {
      if (status === "full") this.#look();
      else this.#drain.bind(this.#names.push(this.#drain.neededName()) - 1);
    }
    this.#look();
    return drained;
  }

  /** Every record is delivered, and every tenant has the weight that was sent to it. */
  check(): void {
    const { counts, weights } = this.pool.totals(this.sender.timesSent);
    const sent = counts.reduce((sum, count) => sum + count, 0);
    expectEqual("records delivered", this.stats.shards.deliveredCount, sent);
    const got = new Map(this.#names.map((name, number) => [name, this.#weights[number]!]));
    let wrong = 0;
    for (const [tenant, weight] of weights.entries()) {
      if ((got.get(tenantName(tenant)) ?? 0) !== weight) wrong += 1;
    }
    expectEqual("tenants with another weight than was sent", wrong, 0);
  }

  close(): void {
    this.sender.close();
    this.#socket.close();
    this.#stage.close();
  }

  #look(): void {
    const drain = this.#drain;
    const view = new DataView(drain.memory.buffer);
    for (let batch = 0; batch < drain.batchCount; batch++) {
      const start = drain.batchByteOffset(batch);
      const end = start + drain.batchByteCount(batch);
      const tenant = drain.batchTenant(batch);
      for (let at = start + BATCH_HEADER_BYTES; at < end; at += view.getUint32(at, true)) {
        const weight = view.getUint32(at + EVENT_WEIGHT, true);
        this.#weights[tenant] = (this.#weights[tenant] ?? 0) + weight;
      }
      this.#hash.update(`${this.#names[tenant]}:`).update(drain.memory.slice(start, end));
    }
    drain.release();
  }
}

export function cost(work: () => void): Cost {
  const before = process.threadCpuUsage();
  const startMs = performance.now();
  work();
  const wallMs = performance.now() - startMs;
  const { user, system } = process.threadCpuUsage(before);
  return { cpuMs: (user + system) / 1_000, wallMs };
}
