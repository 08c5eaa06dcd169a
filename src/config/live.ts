/**
 * The options in force. Some may change while the server runs: whoever uses one of those asks for
 * it each time, or listens.
 */
import { type Config, OPTION_NAMES, optionSpec, type OptionName } from "./options.ts";

export type Taken = {
  /** In force from now on. */
  readonly changed: readonly OptionName[];
  /** Differ from what is in force, which stays until the next start. */
  readonly needRestart: readonly OptionName[];
};

export class LiveConfig {
  #current: Config;
  readonly #listeners: ((config: Config) => void)[] = [];

  constructor(config: Config) {
    this.#current = config;
  }

  get current(): Config {
    return this.#current;
  }

  /** It is told after every change of any of the options that may change. */
  onChange(listener: (config: Config) => void): void {
    this.#listeners.push(listener);
  }

  take(next: Config): Taken {
    const differing = OPTION_NAMES.filter((name) => next[name] !== this.#current[name]);
    const changed = differing.filter((name) => optionSpec(name).reload === true);
    const needRestart = differing.filter((name) => optionSpec(name).reload !== true);
    if (changed.length > 0) {
      const values = Object.fromEntries(changed.map((name) => [name, next[name]]));
      this.#current = { ...this.#current, ...values };
      for (const listener of this.#listeners) listener(this.#current);
    }
    return { changed, needRestart };
  }
}
