/**
 * Tenants whose older snapshot is older than the newer one: a trim of the log waits until it is
 * not. By the stream that the newer one reaches into, and there in the order in which they were
 * written: a trim needs a look at those of its own stream and of former runs, and at their first.
 */

/** How far a snapshot reaches: stream and block. */
export type Reach = { readonly stream: number; readonly number: number };

export class BehindSnapshots {
  /** Stream -> key -> number that the newer one reaches; lowest first. */
  readonly #numbers = new Map<number, Map<number, number>>();

  /** The newer one of this key reaches so far now: in its stream further than all others. */
  set(key: number, { stream, number }: Reach): void {
    this.delete(key);
    const keys = this.#numbers.get(stream) ?? new Map<number, number>();
    this.#numbers.set(stream, keys.set(key, number));
  }

  delete(key: number): void {
    for (const [stream, keys] of this.#numbers) {
      if (keys.delete(key) && keys.size === 0) this.#numbers.delete(stream);
    }
  }

  /**
   * Keys that a trim of `stream` waits for: those that reach up to `number` in it, and all of
   * streams before `firstStream`. What another shard of the same run has snapshotted needs none of
   * this stream's blocks.
   */
  *upTo({ stream, number }: Reach, firstStream: number): Iterable<number> {
    for (const [of, keys] of this.#numbers) {
      if (of !== stream && of >= firstStream) continue;
      for (const [key, reached] of keys) {
        if (of === stream && reached > number) break;
        yield key;
      }
    }
  }
}
