/**
 * Bytes of bodies that are held at once. A client that sends its bodies slowly on purpose holds
 * them for long, so nobody may hold all that there is.
 */
import { BODIES_BYTES_MAX, BODIES_OF_OWNER_BYTES_MAX } from "./limits.ts";

/** Who holds them: a tenant, or the name of a key. */
export type BodyShare = {
  /** False: there is no room. */
  readonly take: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
};

export class BodyBudget {
  #bytes = 0;
  readonly #byOwner = new Map<string, number>();

  get bytes(): number {
    return this.#bytes;
  }

  /** Of nobody in particular. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > BODIES_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Undefined: nobody in particular. */
  of(owner: string | undefined): BodyShare {
    if (owner === undefined) return { take: (n) => this.take(n), give: (n) => this.give(n) };
    return { take: (n) => this.#takeOf(owner, n), give: (n) => this.#giveOf(owner, n) };
  }

  #takeOf(owner: string, bytes: number): boolean {
    const held = (this.#byOwner.get(owner) ?? 0) + bytes;
    if (held > BODIES_OF_OWNER_BYTES_MAX || !this.take(bytes)) return false;
    this.#byOwner.set(owner, held);
    return true;
  }

  #giveOf(owner: string, bytes: number): void {
    if (bytes === 0) return;
    this.give(bytes);
    const held = this.#byOwner.get(owner)! - bytes;
    if (held === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, held);
  }
}
