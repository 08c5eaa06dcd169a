/**
 * JSON log lines. They hold codes, counts and tenants; never the text of a message or its user, and
 * no key. The same line is written a few times a second at most, see line-limit.ts.
 */
import { pino, type DestinationStream, type Logger } from "pino";
import { LineLimit } from "./line-limit.ts";

export type Log = Logger;

const LINES_PER_SECOND = 10;
const ERROR_CHARACTERS_MAX = 300;

/**
 * Lines go to stderr where none is given: stdout is for what a command prints. It is the process's
 * own stream and not pino's faster one, because that retries for ever, blocking, once the reader is
 * gone.
 */
export function openLog(level: string, destination: DestinationStream = process.stderr): Log {
  const limit = new LineLimit({
    linesPerSecond: LINES_PER_SECOND,
    now: () => performance.now(),
    later: (action, ms) => void setTimeout(action, ms).unref(),
  });
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"timeMs":${Date.now()}`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
      // A net under the rule above, should a caller pass an event or a request whole.
      redact: { paths: REDACTED, censor: "[not logged]" },
      serializers: { err: errorFacts },
      hooks: {
        logMethod(args, method, levelNumber) {
          const message = messageOf(args);
          const tell = (dropped: number, like: string): void => {
            const facts = { suppressed: dropped, like };
            method.apply(this, [facts, "more lines like this were not written"]);
          };
          // What ends the process is said whatever came before it.
          const isLast = levelNumber >= FATAL;
          if (isLast || limit.allows(message, tell)) method.apply(this, args);
        },
      },
    },
    destination,
  );
}

const FATAL = 60;

const REDACTED = [
  "text",
  "user",
  "body",
  "sample",
  "sentences",
  "headers",
  "authorization",
  "cookie",
  "key",
  "apiKey",
  "secret",
  "password",
  "token",
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** The sentence; of a line that has only facts, none. */
function messageOf(args: readonly unknown[]): string {
  const sentence = args.find((arg) => typeof arg === "string");
  return typeof sentence === "string" ? sentence : "";
}

/**
 * An error by name, code and place. What it quotes goes: V8's own errors repeat what they could not
 * read, which may be a message of somebody.
 */
function errorFacts(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name: type, message, stack = "" } = error;
  const { code } = error as NodeJS.ErrnoException;
  const places = stack.split("\n").filter((line) => /^\s+at /.test(line));
  const cause = error.cause === undefined ? {} : { cause: errorFacts(error.cause) };
  return { type, code, message: withoutQuotes(message), stack: places.join("\n"), ...cause };
}

function withoutQuotes(message: string): string {
  const plain = message.replaceAll(/(["'`“])[^]*?(\1|”|$)/gu, "$1...$1");
  return plain.slice(0, ERROR_CHARACTERS_MAX);
}
