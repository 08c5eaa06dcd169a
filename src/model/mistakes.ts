/**
 * What is wrong with a body, found all at once: each mistake with its JSON pointer. No more than
 * MISTAKES_LISTED_MAX of them are told, and the rest counted, or a small body full of mistakes
 * would be answered with one a hundred times its size.
 */
import { MISTAKES_LISTED_MAX, POINTER_NAME_MAX } from "./limits.ts";
import type { ProblemCode } from "./problem.ts";

export type Mistake = {
  /** RFC 6901. */
  readonly pointer: string;
  readonly message: string;
};

export class Mistakes {
  /** Those that are told, in the order in which they were found. */
  readonly listed: Mistake[] = [];
  /** Of the first one. */
  code: ProblemCode | undefined;
  count = 0;

  add(pointer: string, message: string, code?: ProblemCode): void {
    this.count += 1;
    if (this.count === 1) this.code = code;
    if (this.listed.length < MISTAKES_LISTED_MAX) this.listed.push({ pointer, message });
  }

  /** All of them as one sentence; `what` is wrong. */
  sentence(what: string): string {
    const list = this.listed.map(({ pointer, message }) => `${pointer} ${message}`.trim());
    const rest = this.count - this.listed.length;
    return `In the ${what}: ${list.join("; ")}${rest === 0 ? "" : `; and ${rest} more`}.`;
  }

  /** For a problem document: `errorCount` only where `errors` does not list them all. */
  get members(): { readonly errors: readonly Mistake[]; readonly errorCount?: number } {
    const errors = this.listed;
    return this.count === errors.length ? { errors } : { errors, errorCount: this.count };
  }
}

/** Of a field; a name too long to be told is cut. */
export function pointerTo(at: string, name: string | number): string {
  const whole = String(name);
  const shown = whole.length > POINTER_NAME_MAX ? `${whole.slice(0, POINTER_NAME_MAX)}…` : whole;
  return `${at}/${shown.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
