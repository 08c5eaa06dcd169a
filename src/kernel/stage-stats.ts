/** The books of the stage, read from shared memory by whoever wants to know; nobody is asked. */
import {
  CONTROL_BYTES,
  CONTROL_DATAGRAMS,
  CONTROL_DICTIONARIES,
  CONTROL_FULLEST,
  CONTROL_PASSED_DATAGRAMS,
  CONTROL_PASSED_RECORDS,
  CONTROL_RECORDS,
  CONTROL_REENTERED,
  CONTROL_REFUSED_DATAGRAMS,
  CONTROL_REFUSED_RECORDS,
  CONTROL_UNSEQUENCED,
  RECORD_REFUSED_REASONS,
  REFUSED_REASONS,
  SENDER_BYTES,
  SENDER_DATAGRAMS,
  SENDER_LOST,
  SENDER_RECORDS,
  SENDER_RECOVERED,
  SENDER_REPEATED,
  SENDERS,
} from "./layout.gen.ts";
import type { StageHandle } from "./stage.ts";
import { SHARD_COUNTERS_BYTES } from "./stage-layout.ts";

/** Of the receiver, u64 each, as drain/assembly counts them. */
const RECEIVER = [
  "receivedDatagrams",
  "receivedRecords",
  "entriesBound",
  "entriesKnown",
  "entriesInvalid",
  "entriesRebound",
  "entriesMisplaced",
  "entriesWithoutRoom",
  "sendersForgotten",
  "dictionaryPages",
  "requestsSent",
  "requestsFailed",
] as const;

/** Where the two that src/kernel/requests.ts counts stand among them. */
export const REQUESTS_SENT = RECEIVER.indexOf("requestsSent") * 8;
export const REQUESTS_FAILED = RECEIVER.indexOf("requestsFailed") * 8;

/** Of a shard, u64 each, as drain/assembly/collect.ts counts them. */
const SHARD = [
  "drainedRecords",
  "deliveredCount",
  "deliveredEvents",
  "heldCount",
  "unknownCount",
  "tenantLimitCount",
  "deliveries",
  "drainedCount",
] as const;

export type StageStats = {
  /** Turns of the tables so far. */
  readonly epoch: number;
  /** Aggregated by the kernel, and by its twin in user space. */
  readonly kernel: { readonly datagrams: number; readonly records: number };
  readonly user: { readonly datagrams: number; readonly records: number };
  /**
   * Good datagrams that the kernel left to the socket: its log was full, or the program ran
   * twice.
   */
  readonly passed: { readonly datagrams: number; readonly records: number };
  /** Of those, lost on the way through the socket's buffer. */
  readonly passedLostRecords: number;
  readonly dictionaries: number;
  readonly reentered: number;
  readonly unsequenced: number;
  /** The fullest part of any log in this epoch, and how much it takes. */
  readonly log: { readonly fullest: number; readonly capacity: number };
  readonly refusedDatagrams: Readonly<Record<(typeof REFUSED_REASONS)[number], number>>;
  readonly refusedRecords: Readonly<Record<(typeof RECORD_REFUSED_REASONS)[number], number>>;
  readonly receiver: Readonly<Record<(typeof RECEIVER)[number], number>>;
  /**
   * Sums over the shards. `Records` are slots and log entries, `Count` the records that were sent:
   * of those drained, what is not delivered, held, unknown or refused waits for the next delivery.
   */
  readonly shards: Readonly<Record<(typeof SHARD)[number], number>>;
  /** Of the events drained so far, those that did not cross one by one; depends on the keys. */
  readonly absorbedShare: number;
  /** Sums over all senders that are known now. */
  readonly senders: {
    readonly count: number;
    readonly datagrams: number;
    readonly records: number;
    /** Sequence numbers that never came, and those that came twice or too late. */
    readonly lost: number;
    readonly repeated: number;
  };
};

export type SenderStats = {
  readonly sender: string;
  readonly datagrams: number;
  readonly records: number;
  readonly lost: number;
  readonly repeated: number;
};

export function readStageStats({ memory, layout }: StageHandle): StageStats {
  const view = new DataView(memory.buffer);
  const { cpuCount, kernelControls, userControl, receiverCounters, shardCount } = layout;
  const cpus = Array.from({ length: cpuCount }, (_, cpu) => kernelControls + cpu * CONTROL_BYTES);
  const columns = [...cpus, userControl];
  const sum = (controls: readonly number[], field: number): number =>
    controls.reduce((total, control) => total + read(view, control + field), 0);
  const received = counters(view, receiverCounters, RECEIVER);
  const passed = {
    datagrams: sum(cpus, CONTROL_PASSED_DATAGRAMS),
    records: sum(cpus, CONTROL_PASSED_RECORDS),
  };
  const side = view.getUint32(layout.shared, true) & 1;
  const fullest = columns.map((at) => view.getUint32(at + CONTROL_FULLEST + side * 4, true));
  const shards = named(SHARD, (i) => {
    let all = 0;
    for (let shard = 0; shard < shardCount; shard++) {
      all += read(view, layout.shardCounters + shard * SHARD_COUNTERS_BYTES + i * 8);
    }
    return all;
  });
  const senders = readSenders({ memory, layout });
  const total = (field: Exclude<keyof SenderStats, "sender">): number =>
    senders.reduce((all, sender) => all + sender[field], 0);
  return {
    epoch: read(view, layout.shared),
    kernel: { datagrams: sum(cpus, CONTROL_DATAGRAMS), records: sum(cpus, CONTROL_RECORDS) },
    user: {
      datagrams: read(view, userControl + CONTROL_DATAGRAMS),
      records: read(view, userControl + CONTROL_RECORDS),
    },
    passed,
    passedLostRecords: cpuCount === 0 ? 0 : passed.records - received.receivedRecords,
    dictionaries: sum(columns, CONTROL_DICTIONARIES),
    reentered: sum(cpus, CONTROL_REENTERED),
    unsequenced: sum(cpus, CONTROL_UNSEQUENCED),
    log: { fullest: Math.max(...fullest), capacity: 2 ** (layout.logBits - layout.partBits) },
    refusedDatagrams: named(REFUSED_REASONS, (i) =>
      sum(columns, CONTROL_REFUSED_DATAGRAMS + i * 8),
    ),
    refusedRecords: named(RECORD_REFUSED_REASONS, (i) =>
      sum(columns, CONTROL_REFUSED_RECORDS + i * 8),
    ),
    receiver: received,
    shards,
    absorbedShare: shards.drainedCount === 0 ? 0 : 1 - shards.drainedRecords / shards.drainedCount,
    senders: {
      count: senders.length,
      datagrams: total("datagrams"),
      records: total("records"),
      lost: total("lost"),
      repeated: total("repeated"),
    },
  };
}

/** Each known sender, by its id in hexadecimal. */
export function readSenders({
  memory,
  layout,
}: Pick<StageHandle, "memory" | "layout">): SenderStats[] {
  const view = new DataView(memory.buffer);
  const senders: SenderStats[] = [];
  for (let number = 0; number < SENDERS; number++) {
    const id = view.getBigUint64(layout.senderIds + number * 8, true);
    if (id === 0n) continue;
    const at = layout.senders + number * SENDER_BYTES;
    senders.push({
      sender: id.toString(16).padStart(16, "0"),
      datagrams: read(view, at + SENDER_DATAGRAMS),
      records: read(view, at + SENDER_RECORDS),
      lost: read(view, at + SENDER_LOST) - read(view, at + SENDER_RECOVERED),
      repeated: read(view, at + SENDER_REPEATED),
    });
  }
  return senders;
}

function counters<Name extends string>(
  view: DataView,
  at: number,
  names: readonly Name[],
): Record<Name, number> {
  return named(names, (i) => read(view, at + i * 8));
}

function named<Name extends string>(
  names: readonly Name[],
  value: (index: number) => number,
): Record<Name, number> {
  return Object.fromEntries(names.map((name, i) => [name, value(i)])) as Record<Name, number>;
}

function read(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}
