/** How one turn of a tenant's component ended. Closed: every turn ends in exactly one of these. */
export const OUTCOMES = [
  "ok",
  /** `unreachable`, an out-of-bounds access, a division by zero. */
  "trapped",
  /** It ran longer than `TURN_MS_MAX`. */
  "exceededTime",
  /** It asked for memory past its cap, or dirtied more than `IMAGE_BYTES_MAX`. */
  "exceededMemory",
  /** It recursed until the stack ended. */
  "exceededStack",
  /** What it handed over does not obey the canonical ABI: wild pointers, lengths, UTF-8. */
  "brokeContract",
  /** Not called at all: the tenant is in quarantine. */
  "quarantined",
  /** Not called at all: no memory left for its image. */
  "refused",
] as const;

export type Outcome = (typeof OUTCOMES)[number];
