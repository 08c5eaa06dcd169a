import { MISTAKES_LISTED_MAX } from "#model/limits.ts";

/** What is wrong with the options; `code` is stable, the message says where and what is right. */
export type ConfigErrorCode =
  | "configFileUnreadable"
  | "configSyntax"
  | "configUnknown"
  | "configType"
  | "configRange"
  /** Two options that do not go together, or one that lacks another. */
  | "configContradictory"
  /** A key that is none, or one where none may be. */
  | "configKey";

export class ConfigError extends Error {
  readonly code: ConfigErrorCode;

  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.name = "ConfigError";
    this.code = code;
  }

  /** One for each thing that is wrong. */
  get mistakes(): readonly ConfigError[] {
    return [this];
  }
}

/** Several things are wrong: all are said at once, each in a line, with the code of the first. */
export class ConfigErrors extends ConfigError {
  readonly #mistakes: readonly ConfigError[];

  constructor(mistakes: readonly [ConfigError, ...ConfigError[]]) {
    const listed = mistakes.slice(0, MISTAKES_LISTED_MAX).map(({ message }) => message);
    const more = mistakes.length - listed.length;
    if (more > 0) listed.push(`and ${more} more`);
    super(mistakes[0].code, listed.join("\n"));
    this.#mistakes = mistakes;
  }

  override get mistakes(): readonly ConfigError[] {
    return this.#mistakes;
  }
}

/** Does what may fail, and keeps what was wrong for later; goes on with what comes after it. */
export class MistakeList {
  readonly #mistakes: ConfigError[] = [];

  get isEmpty(): boolean {
    return this.#mistakes.length === 0;
  }

  attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#mistakes.push(...error.mistakes);
    }
  }

  throwAny(): void {
    const [first, ...rest] = this.#mistakes;
    if (first === undefined) return;
    throw rest.length === 0 ? first : new ConfigErrors([first, ...rest]);
  }
}
