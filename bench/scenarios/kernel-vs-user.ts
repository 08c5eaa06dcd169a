/**
 * The same datagrams down both paths: aggregated by the kernel's filter, or read with recvmmsg and
 * aggregated by the same code in Wasm. One thread sends, receives and drains, so the costs are all
 * there is: CPU time an event, and events a second on one core. Both must give the same batches,
 * byte for byte: their hash is compared, and so is every tenant's sum with what was sent.
 *
 *   kernel.nsPerEvent, user.nsPerEvent        all but the drain; .1400: of one packet each
 *   kernel.eventsPerSecond, user.eventsPerSecond
 *   kernel.drainNsPerEvent, user.drainNsPerEvent
 *   kernel.datagramsReadPerMillionEvents      that crossed into user space, dictionaries included
 */
import { DATAGRAM_BYTES_ETHERNET, DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { StageDriver } from "../stage-driver.ts";
import { poolSettings } from "./kernel-only.ts";

export const kernelVsUser: Scenario = {
  name: "kernel-vs-user",
  sentence: "the same datagrams aggregated by the kernel and in user space, byte for byte alike",
  parameters: {
    runs: { full: 5, quick: 1, sentence: "of each path" },
    events: { full: 2_000_000, quick: 20_000, sentence: "of one run" },
    chunk: { full: 100_000, quick: 5_000, sentence: "events between two drains" },
    tenants: { full: 100_000, quick: 50, sentence: "tenants" },
    terms: { full: 1_000, quick: 20, sentence: "terms of each" },
    tenantExponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    termExponent: { full: 1.1, quick: 1.1, sentence: "Zipf exponent of the terms" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  const hashes = new Map<string, string>();
  const variants = (["kernel", "user"] as const).flatMap((path) =>
    ([DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_ETHERNET] as const).map((datagramBytes) => {
      const suffix = datagramBytes === DATAGRAM_BYTES_MAX ? "" : ".1400";
      return {
        name: `${path}${suffix}`,
        run: async (round: number): Promise<void> => {
          bench.progress(`kernel-vs-user: ${path}${suffix}, run ${round + 1}`);
          const hash = runPath(bench, path, { suffix, datagramBytes });
          expectEqual(`batches of ${path}${suffix}`, hash, hashes.get(suffix) ?? hash);
          hashes.set(suffix, hash);
        },
      };
    }),
  );
  await alternate(bench.number("runs"), variants);
}

function runPath(
  bench: Bench,
  path: "kernel" | "user",
  { suffix, datagramBytes }: { suffix: string; datagramBytes: number },
): string {
  const driver = new StageDriver(path, poolSettings(bench, datagramBytes));
  try {
    const events = bench.number("events");
    let cpuMs = 0;
    let drainMs = 0;
    for (let sent = 0; sent < events; sent += bench.number("chunk")) {
      cpuMs += driver.aggregate(Math.min(bench.number("chunk"), events - sent)).cpuMs;
      drainMs += driver.drain().cpuMs;
    }
    driver.check();
    const { kernel, user, senders, receiver } = driver.stats;
    const records = kernel.records + user.records;
    expectEqual("datagrams lost", senders.lost, 0);
    if (path === "kernel") expectEqual("records that user space aggregated", user.records, 0);
    const put = (name: string, value: number, unit: string): void => {
      bench.record(`${path}.${name}${suffix}`, value, unit);
    };
    put("nsPerEvent", (cpuMs * 1e6) / records, "ns");
    put("eventsPerSecond", records / (cpuMs / 1_000), "events/s");
    put("drainNsPerEvent", (drainMs * 1e6) / records, "ns");
    put("datagramsReadPerMillionEvents", (receiver.receivedDatagrams * 1e6) / records, "datagrams");
    bench.fact(`records${suffix}`, records);
    bench.fact(`batches${suffix}`, driver.hash);
    return driver.hash;
  } finally {
    driver.close();
  }
}
