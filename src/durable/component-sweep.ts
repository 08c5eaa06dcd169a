/**
 * Components that no image needs any more go from the store.
 *
 * A start says which ones its tenants and its turns needed. Of the others no tenant can begin to
 * run one again, so no new image names one; what may still name one is the older generation of
 * some image, for which the newest stands in. So all images are looked through, some rows at a
 * time while there is nothing else to write, and a component that none names is dropped.
 */
import type { DatabaseSync } from "node:sqlite";
import { DIGEST_AT, DIGEST_BYTES } from "./snapshot.ts";

/** Of images that are looked at in one step: a few milliseconds where they are large. */
const ROWS_STEP = 32;

export class ComponentSweep {
  readonly #database: DatabaseSync;
  /** Digest, hexadecimal -> number: of components that no image named so far. */
  readonly #unnamed = new Map<string, number>();
  #at = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get isUnderWay(): boolean {
    return this.#unnamed.size > 0;
  }

  /** All but these may go. */
  begin(kept: readonly number[]): void {
    this.#at = -1;
    this.#unnamed.clear();
    for (const row of this.#database.prepare("SELECT number, digest FROM components").all()) {
      const number = Number(row["number"]);
      if (!kept.includes(number)) this.#unnamed.set(hexOf(row["digest"]), number);
    }
  }

  /** Looks on; returns how many components were dropped, at the end of it. */
  step(): number {
    const rows = this.#database
      .prepare(
        `SELECT at, substr(bytes, ${DIGEST_AT + 1}, ${DIGEST_BYTES}) AS digest FROM snapshots
         WHERE at > ? ORDER BY at LIMIT ${ROWS_STEP}`,
      )
      .all(this.#at);
    for (const row of rows) {
      this.#at = Number(row["at"]);
      this.#unnamed.delete(hexOf(row["digest"]));
    }
    if (rows.length === ROWS_STEP || !this.isUnderWay) return 0;
    const numbers = [...this.#unnamed.values()];
    this.#unnamed.clear();
    const drop = this.#database.prepare("DELETE FROM components WHERE number = ?");
    for (const number of numbers) drop.run(number);
    return numbers.length;
  }

  /** What fails is left to the next start. */
  end(): void {
    this.#unnamed.clear();
  }
}

function hexOf(digest: unknown): string {
  return Buffer.from(digest as Uint8Array).toString("hex");
}
