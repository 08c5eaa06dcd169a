/**
 * What the kernel aggregates on one core, sender included: on a loopback the filter runs in the
 * sender's system call. No drain is in the rates; its cost a record is shown beside them, and every
 * tenant's sum is checked after every run. Beside it a rival: the same records into a BPF hash map.
 *
 *   eventsPerSecondPerCore64k    datagrams of 64 KiB into tables that stay in the L2 cache,
 *                                2^slotBits slots; .uniform: tenants and terms drawn evenly;
 *                                .large: into 2^largeSlotBits slots, the product's where the
 *                                memory allows
 *   eventsPerSecondPerCore1400   datagrams of one Ethernet packet; .large: the same
 *   hashMapEventsPerSecondPerCore
 *   absorbedShareTenantTerm10k   share of the events of one second between two drains that do not
 *                                cross one by one, 1 - (slots and log entries read) / events,
 *                                with 2^slotBits slots; .large: 2^largeSlotBits; .ideal: room for
 *                                every pair, 1 - pairs / events. Also over 100 k tenants.
 *   absorbedShareTenantTotals10k the same of a key without terms: every record names term 0
 *   ….eventsPerSecondPerCore     what such a table costs
 *   reductionRatio               events for each slot or log entry that user space sees, of
 *                                `chunk` events at a time
 */
import { readFileSync } from "node:fs";
import { DATAGRAM_BYTES_ETHERNET, DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { openEventSocket } from "#ingest/event-socket.ts";
import { findFfi } from "#kernel/libc.ts";
import { loadBpf } from "#kernel/libbpf.ts";
import { DatagramPool, type PoolSettings } from "../datagram-pool.ts";
import { DatagramSender } from "../datagram-sender.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { cost, StageDriver } from "../stage-driver.ts";

export const kernelOnly: Scenario = {
  name: "kernel-only",
  sentence: "the eBPF aggregator on one core, by datagram size and skew, beside a BPF hash map",
  parameters: {
    runs: { full: 5, quick: 1, sentence: "of each variant" },
    events: { full: 4_200_000, quick: 20_000, sentence: "of one run" },
    chunk: { full: 420_000, quick: 5_000, sentence: "events between two drains" },
    tenants: { full: 100_000, quick: 50, sentence: "tenants" },
    terms: { full: 1_000, quick: 20, sentence: "terms of each" },
    tenantExponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    termExponent: { full: 1.1, quick: 1.1, sentence: "Zipf exponent of the terms" },
    slotBits: { full: 14, quick: 14, sentence: "log2 of the slots of a table" },
    shareRuns: { full: 3, quick: 1, sentence: "of each measurement of shares" },
    shareEvents: { full: 4_200_000, quick: 20_000, sentence: "events between its two drains" },
    largeSlotBits: { full: 19, quick: 16, sentence: "of the product's, with memory enough" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
  },
  run,
};

const RIVAL = new URL("../../bpf/dist/rival/hash_map.bpf.o", import.meta.url);

async function run(bench: Bench): Promise<void> {
  const slotBits = bench.number("slotBits");
  const largeSlotBits = bench.number("largeSlotBits");
  const zipf = poolSettings(bench, DATAGRAM_BYTES_MAX);
  const uniform = { ...zipf, tenantExponent: 0, termExponent: 0 };
  const ethernet = poolSettings(bench, DATAGRAM_BYTES_ETHERNET);
  await alternate(bench.number("runs"), [
    variant(bench, "eventsPerSecondPerCore64k", { prefix: "", settings: zipf, slotBits }),
    variant(bench, "eventsPerSecondPerCore64k.uniform", {
      prefix: "uniform.",
      settings: uniform,
      slotBits,
    }),
    variant(bench, "eventsPerSecondPerCore64k.large", {
      prefix: "large.",
      settings: zipf,
      slotBits: largeSlotBits,
    }),
    variant(bench, "eventsPerSecondPerCore1400", { prefix: "1400.", settings: ethernet, slotBits }),
    variant(bench, "eventsPerSecondPerCore1400.large", {
      prefix: "1400.large.",
      settings: ethernet,
      slotBits: largeSlotBits,
    }),
    { name: "hashMap", run: async (round) => runRival(bench, zipf, round) },
  ]);
  const sizes = [
    { suffix: "", slotBits },
    { suffix: ".large", slotBits: largeSlotBits },
  ];
  const shares = ABSORBED.flatMap(({ name, tenantCount, termCount }) =>
    sizes.map(({ suffix, slotBits }) => ({
      name: `${name}${suffix}`,
      run: async (): Promise<void> => {
        bench.progress(`kernel-only: ${name}${suffix}`);
        const poolEvents = bench.number("shareEvents");
        const settings = {
          ...zipf,
          tenantCount,
          termCount: termCount ?? zipf.termCount,
          poolEvents,
        };
        measureShare(bench, { name, suffix, slotBits, settings });
      },
    })),
  );
  await alternate(bench.number("shareRuns"), shares);
}

const ABSORBED = [
  { name: "absorbedShareTenantTotals10k", tenantCount: 10_000, termCount: 1 },
  { name: "absorbedShareTenantTerm10k", tenantCount: 10_000, termCount: undefined },
  { name: "absorbedShareTenantTotals100k", tenantCount: 100_000, termCount: 1 },
  { name: "absorbedShareTenantTerm100k", tenantCount: 100_000, termCount: undefined },
] as const;

/** Room for all that a small table does not take in a second: user space has no part in it. */
const SHARE_LOG_BITS = 22;

function measureShare(
  bench: Bench,
  work: { name: string; suffix: string; slotBits: number; settings: PoolSettings },
): void {
  const { name, suffix, slotBits, settings } = work;
  const driver = new StageDriver("kernel", settings, { slotBits, logBits: SHARE_LOG_BITS });
  try {
    const { cpuMs } = driver.aggregate(settings.poolEvents);
    const drained = driver.drain();
    driver.check();
    const { kernel, shards, passed } = driver.stats;
    expectEqual("records that the kernel left to user space", passed.records, 0);
    bench.record(`${name}${suffix}`, 1 - shards.drainedRecords / kernel.records, "share");
    const perSecond = kernel.records / (cpuMs / 1_000);
    bench.record(`${name}${suffix}.eventsPerSecondPerCore`, perSecond, "events/s");
    bench.record(`${name}${suffix}.drainMs`, drained.wallMs, "ms");
    const ideal = 1 - driver.pool.countPairs() / kernel.records;
    if (suffix === "") bench.record(`${name}.ideal`, ideal, "share");
    bench.fact(`${name}.ideal`, ideal);
  } finally {
    driver.close();
  }
}

function variant(
  bench: Bench,
  name: string,
  work: { prefix: string; settings: PoolSettings; slotBits: number },
) {
  const { prefix, settings, slotBits } = work;
  return {
    name,
    run: async (round: number): Promise<void> => {
      bench.progress(`kernel-only: ${name}, run ${round + 1}`);
      const driver = new StageDriver("kernel", settings, { slotBits });
      try {
        let cpuMs = 0;
        let drainMs = 0;
        const events = bench.number("events");
        for (let sent = 0; sent < events; sent += bench.number("chunk")) {
          cpuMs += driver.aggregate(Math.min(bench.number("chunk"), events - sent)).cpuMs;
          drainMs += driver.drain().cpuMs;
        }
        driver.check();
        const { kernel, shards, passed } = driver.stats;
        bench.record(name, kernel.records / (cpuMs / 1_000), "events/s");
        bench.record(`${prefix}drainNsPerRecord`, (drainMs * 1e6) / shards.drainedRecords, "ns");
        bench.record(`${prefix}reductionRatio`, kernel.records / shards.drainedRecords, "x");
        bench.fact(`${name}.records`, kernel.records + passed.records);
        bench.fact(`${name}.hash`, driver.hash);
      } finally {
        driver.close();
      }
    },
  };
}

/**
 * Aggregates only: draining a hash map costs 40 to 140 ns more, and loses events when it is live.
 */
function runRival(bench: Bench, settings: PoolSettings, round: number): void {
  bench.progress(`kernel-only: hash map, run ${round + 1}`);
  const object = loadBpf(findFfi()!, {
    object: readFileSync(RIVAL),
    maps: {},
    constants: new Uint8Array(Uint32Array.of(8).buffer),
  });
  const programFd = object.programFd("rival_aggregate");
  const socket = openEventSocket({ host: "127.0.0.1", port: 0, programFd });
  const pool = new DatagramPool(settings, 1n);
  const sender = new DatagramSender(pool, { host: "127.0.0.1", port: socket.port });
  try {
    let sent = 0;
    const { cpuMs } = cost(() => {
      const events = bench.number("events");
      sent = sender.flood({ events, eventsPerSecond: 0, secondsMax: 60 }).events;
    });
    bench.record("hashMapEventsPerSecondPerCore", sent / (cpuMs / 1_000), "events/s");
  } finally {
    sender.close();
    socket.close();
    object.close();
  }
}

export function poolSettings(bench: Bench, datagramBytes: number): PoolSettings {
  return {
    seed: bench.number("seed"),
    tenantCount: bench.number("tenants"),
    tenantExponent: bench.number("tenantExponent"),
    termCount: bench.number("terms"),
    termExponent: bench.number("termExponent"),
    weightMax: 1,
    poolEvents: Math.min(bench.number("events"), 2_000_000),
    datagramBytes,
  };
}
