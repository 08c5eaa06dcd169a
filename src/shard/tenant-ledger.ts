/** What a shard remembers of each of its tenants beside the image: numbers in typed arrays. */
const COUNT_INITIAL = 256;
/** What is kept of a tenant beside its image. */
export const LEDGER_NUMBERS = 7;

export class TenantLedger {
  /** Events counted in windows, and those that were late, duplicates or repeats. */
  events = new Float64Array(COUNT_INITIAL);
  late = new Float64Array(COUNT_INITIAL);
  duplicates = new Float64Array(COUNT_INITIAL);
  repeated = new Float64Array(COUNT_INITIAL);
  rejected = new Float64Array(COUNT_INITIAL);
  /** Host time of the last accepted event, epoch ms. */
  lastEventMs = new Float64Array(COUNT_INITIAL);
  /** Host time at which the tenant's clock was last told, epoch ms. */
  advancedMs = new Float64Array(COUNT_INITIAL);

  /** Makes room for tenant numbers below `count`. */
  reserve(count: number): void {
    if (count <= this.events.length) return;
    const length = Math.max(count, this.events.length * 2);
    this.events = grown(this.events, length);
    this.late = grown(this.late, length);
    this.duplicates = grown(this.duplicates, length);
    this.repeated = grown(this.repeated, length);
    this.rejected = grown(this.rejected, length);
    this.lastEventMs = grown(this.lastEventMs, length);
    this.advancedMs = grown(this.advancedMs, length);
  }

  /** A batch was counted; `report` as of a component. */
  count(tenant: number, report: Uint32Array, joined: number, nowMs: number): void {
    this.events[tenant]! += report[0]! + joined;
    this.late[tenant]! += report[1]!;
    this.duplicates[tenant]! += report[2]!;
    this.repeated[tenant]! += report[3]!;
    this.lastEventMs[tenant] = nowMs;
    this.advancedMs[tenant] = nowMs;
  }

  /** LEDGER_NUMBERS of them. */
  write(tenant: number, numbers: Float64Array): void {
    numbers[0] = this.events[tenant]!;
    numbers[1] = this.late[tenant]!;
    numbers[2] = this.duplicates[tenant]!;
    numbers[3] = this.repeated[tenant]!;
    numbers[4] = this.rejected[tenant]!;
    numbers[5] = this.lastEventMs[tenant]!;
    numbers[6] = this.advancedMs[tenant]!;
  }

  read(tenant: number, numbers: Float64Array): void {
    this.events[tenant] = numbers[0]!;
    this.late[tenant] = numbers[1]!;
    this.duplicates[tenant] = numbers[2]!;
    this.repeated[tenant] = numbers[3]!;
    this.rejected[tenant] = numbers[4]!;
    this.lastEventMs[tenant] = numbers[5]!;
    this.advancedMs[tenant] = numbers[6]!;
  }

  clear(tenant: number): void {
    this.events[tenant] = 0;
    this.late[tenant] = 0;
    this.duplicates[tenant] = 0;
    this.repeated[tenant] = 0;
    this.rejected[tenant] = 0;
    this.lastEventMs[tenant] = 0;
    this.advancedMs[tenant] = 0;
  }
}

function grown(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(numbers);
  return copy;
}
