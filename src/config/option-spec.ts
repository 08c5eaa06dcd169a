/** What is known of an option, whatever it is about. */
export type OptionKind =
  | "integer"
  | "bytes"
  /** A number from 0 on, with a fraction or without. */
  | "decimal"
  /** The same, or `unlimited`. */
  | "bound"
  | "text"
  | "choice"
  /** Some of `choices`, with commas between them. */
  | "list"
  /** Of a server that speaks HTTP; empty: not set. */
  | "url"
  /** JSON of an object; empty: not set. In YAML it may be a mapping. */
  | "object";

export type OptionSpec = {
  readonly kind: OptionKind;
  readonly environment: string;
  readonly flag: string;
  readonly unit?: string;
  readonly default: number | string | (() => number);
  /** In words, where the default depends on the machine or on another option. */
  readonly defaultWords?: string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Of a text: it may be empty, which is not set. */
  readonly mayBeEmpty?: boolean;
  /** The option that it is as, if it is not set. */
  readonly follows?: string;
  /** A running server takes a new value upon SIGHUP; all others need a restart. */
  readonly reload?: boolean;
  readonly sentence: string;
};
