/**
 * The load generator for event datagrams, a process of its own. As a child of a benchmark it takes
 *   { type: "prepare", settings }   draws the pool, sends all names          -> prepared
 *   { type: "flood", options }      sends events, at a rate or at full speed -> flooded
 *   { type: "totals", tenants }     what was sent so far, exactly            -> totals
 * By hand, one flood and its totals as JSON on standard output:
 *   node bin/runtime.mjs bench/children/flood.ts '{"port":7071,"eventsPerSecond":4200000}'
 */
import { randomBytes } from "node:crypto";
import { DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { DatagramPool, type PoolSettings } from "../datagram-pool.ts";
import { DatagramSender, type FloodOptions, type FloodResult } from "../datagram-sender.ts";
import { tenantName } from "../workload.ts";

export type FloodSettings = PoolSettings & { readonly host: string; readonly port: number };

export type PreparedMessage = {
  readonly type: "prepared";
  readonly datagramEvents: number;
  readonly datagramBytes: number;
  readonly dictionaryBytes: number;
};
export type FloodedMessage = { readonly type: "flooded"; readonly result: FloodResult };

/** Since the start, by number of the tenant; `terms` only of the tenants asked for. */
export type TotalsMessage = {
  readonly type: "totals";
  readonly counts: readonly number[];
  readonly weights: readonly number[];
  readonly checksums: readonly number[];
  readonly terms: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Datagrams of every kind that the system took. */
  readonly datagrams: number;
};

type Command =
  | { readonly type: "prepare"; readonly settings: FloodSettings }
  | { readonly type: "flood"; readonly options: FloodOptions }
  | { readonly type: "totals"; readonly tenants: readonly number[] };

const SETTINGS: FloodSettings & FloodOptions = {
  host: "127.0.0.1",
  port: 7_071,
  seed: 1,
  tenantCount: 100_000,
  tenantExponent: 1,
  termCount: 1_000,
  termExponent: 1.1,
  weightMax: 1,
  poolEvents: 4_000_000,
  datagramBytes: DATAGRAM_BYTES_MAX,
  events: 4_200_000,
  eventsPerSecond: 0,
  secondsMax: 120,
};

let running: Flood | undefined;

function listen(): void {
  process.channel?.ref();
  process.on("message", (command: Command) => {
    if (command.type === "prepare") {
      running = new Flood(command.settings);
      process.send!(running.prepared());
    } else if (command.type === "flood") {
      const result = running!.sender.flood(command.options);
      process.send!({ type: "flooded", result } satisfies FloodedMessage);
    } else if (command.type === "totals") {
      process.send!(running!.totals(command.tenants));
    }
  });
}

function floodOnce(text: string): void {
  const settings = { ...SETTINGS, ...(JSON.parse(text) as Partial<typeof SETTINGS>) };
  const flood = new Flood(settings);
  const result = flood.sender.flood(settings);
  const { counts, weights, checksums } = flood.totals([]);
  const output = { settings, ...flood.prepared(), ...result, counts, weights, checksums };
  process.stdout.write(`${JSON.stringify(output)}\n`, () => process.exit(0));
}

class Flood {
  readonly sender: DatagramSender;
  readonly #pool: DatagramPool;

  constructor(settings: FloodSettings) {
    const id = randomBytes(8).readBigUInt64LE() | 1n;
    this.#pool = new DatagramPool(settings, id);
    this.sender = new DatagramSender(this.#pool, settings);
    this.sender.sendNames();
  }

  prepared(): PreparedMessage {
    const { datagramEvents, datagramBytes } = this.#pool;
    const { dictionaryBytes } = this.sender;
    return { type: "prepared", datagramEvents, datagramBytes, dictionaryBytes };
  }

  totals(tenants: readonly number[]): TotalsMessage {
    const { timesSent } = this.sender;
    const { counts, weights, checksums } = this.#pool.totals(timesSent);
    const terms = tenants.map((tenant) => {
      const weightsOfTerms = Object.fromEntries(this.#pool.terms(tenant, timesSent));
      return [tenantName(tenant), weightsOfTerms] as const;
    });
    return {
      type: "totals",
      counts: [...counts],
      weights: [...weights],
      checksums: [...checksums],
      terms: Object.fromEntries(terms),
      datagrams: this.sender.datagrams,
    };
  }
}

// Last, because a class is not there before it was met.
const settingsText = process.argv[2];
if (settingsText === undefined) listen();
else floodOnce(settingsText);
