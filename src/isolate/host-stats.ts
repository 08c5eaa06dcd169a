import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import type { Images } from "./images.ts";

/** What happened in a host since it began. */
export class HostStats {
  /** Turns that ended `ok` and count: batches, advances, questions. */
  turns = 0;
  slotHits = 0;
  slotMisses = 0;
  /** Tenants that left a slot for another. */
  evictions = 0;
  /** Images written. */
  commits = 0;
  /** Slots made anew after a failed or interrupted turn. */
  restores = 0;
  /** Restores that lost the turns since the last image. */
  replayFailures = 0;
  /** Slices ended by a tenant's turn, and by nobody's. */
  timeouts = 0;
  spuriousTimeouts = 0;
  /** Answers by outcome. */
  readonly outcomes = Object.fromEntries(OUTCOMES.map((each) => [each, 0])) as Record<
    Outcome,
    number
  >;
  readonly #images: Images;

  constructor(images: Images) {
    this.#images = images;
  }

  /** Bytes of all images. */
  get imageBytes(): number {
    return this.#images.bytes;
  }
}
