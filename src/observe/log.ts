/** JSON log lines. They hold codes, counts and tenants; never the text of a message or its user. */
import { pino, type DestinationStream, type Logger } from "pino";

export type Log = Logger;

/** Without `destination`, lines go to stderr: stdout is for what a command prints. */
export function openLog(level: string, destination?: DestinationStream): Log {
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
    destination ?? pino.destination({ fd: 2, sync: false }),
  );
}

const REDACTED = ["text", "user", "body", "sample", "sentences"].flatMap((name) => [
  name,
  `*.${name}`,
]);
