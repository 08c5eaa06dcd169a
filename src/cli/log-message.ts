/** One message of a log that is replayed. */
export type LogMessage = {
  readonly tenant: string;
  readonly id?: string;
  readonly user?: string;
  readonly conversation?: string;
  readonly text: string;
  readonly tsMs: number;
};

/** Counts what of a log could not be used, by reason. */
export class SkipCounter {
  readonly counts = new Map<string, number>();

  add(reason: string): void {
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1);
  }
}
