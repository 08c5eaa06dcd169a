/** JSON log lines. They hold codes, counts and tenants; never the text of a message or its user. */
import { pino, type DestinationStream, type Logger } from "pino";

export type Log = Logger;

/**
 * Lines go to stderr where none is given: stdout is for what a command prints. It is the process's
 * own stream and not pino's faster one, because that retries for ever, blocking, once the reader is
 * gone.
 */
export function openLog(level: string, destination: DestinationStream = process.stderr): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"timeMs":${Date.now()}`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
      // A net under the rule above, should a caller pass an event or a request whole.
      redact: { paths: REDACTED, censor: "[not logged]" },
    },
    destination,
  );
}

const REDACTED = ["text", "user", "body", "sample", "sentences"].flatMap((name) => [
  name,
  `*.${name}`,
]);
