/** What is wrong with the options; `code` is stable, the message says where and what is right. */
export type ConfigErrorCode =
  | "configFileUnreadable"
  | "configSyntax"
  | "configUnknown"
  | "configType"
  | "configRange"
  /** Two options that do not go together, or one that lacks another. */
  | "configContradictory"
  /** A key that is none. */
  | "configKey";

export class ConfigError extends Error {
  readonly code: ConfigErrorCode;

  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.name = "ConfigError";
    this.code = code;
  }
}
