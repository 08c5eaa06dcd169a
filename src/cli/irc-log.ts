/**
 * IRC logs: `[HH:MM] <nick> text`, `[HH:MM]  * nick action`; `=== …` lines are the server's and
 * skipped.
 *
 * A log knows the minute, at best the day (from its file's name), and nothing more. So:
 * - the messages of one minute are spread evenly over it, in order;
 * - time never runs backwards: a step back of at most an hour is a clock that was set (time stands
 *   still until it has caught up); from 12 to 1 in a log that never showed an hour past 12 is a
 *   clock of 12 hours, and the afternoon goes on; any other step back is the next day.
 * Times are taken as UTC.
 */
import type { LogMessage } from "./log-message.ts";

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
const DAY_MINUTES = 24 * HOUR_MINUTES;

const MESSAGE = /^\[(\d{1,2}):(\d{2})(?::\d{2})?\] <[ @+%&~]?([^>]*)> ?(.*)$/;
const ACTION = /^\[(\d{1,2}):(\d{2})(?::\d{2})?\] +\* ([^ ]+) ?(.*)$/;

/** Whether a line could be of such a log; for telling formats apart. */
export function isIrcLine(line: string): boolean {
  return line.startsWith("=== ") || MESSAGE.test(line) || ACTION.test(line);
}

export type IrcLogOptions = {
  /** Midnight of the first day, epoch milliseconds UTC. */
  readonly dayMs: number;
  readonly tenant: string;
  /** Before the line's number in the ids of the messages. */
  readonly idPrefix: string;
};

export async function* readIrcLog(
  lines: AsyncIterable<string> | Iterable<string>,
  { dayMs, tenant, idPrefix }: IrcLogOptions,
): AsyncGenerator<LogMessage> {
  const clock = new LogClock();
  let minute: { number: number; messages: Omit<LogMessage, "tsMs">[] } | undefined;
  let lineNumber = 0;
  for await (const line of lines) {
    lineNumber += 1;
    const match = MESSAGE.exec(line) ?? ACTION.exec(line);
    const [, hour, minutePart, user, text] = match ?? [];
    if (text === undefined || text.trim() === "") continue;
    const number = clock.minuteOf(Number(hour), Number(minutePart));
    if (minute !== undefined && minute.number !== number) yield* spread(minute, dayMs);
    if (minute?.number !== number) minute = { number, messages: [] };
    minute.messages.push({ tenant, id: `${idPrefix}:${lineNumber}`, user: user ?? "", text });
  }
  if (minute !== undefined) yield* spread(minute, dayMs);
}

function* spread(
  minute: { number: number; messages: Omit<LogMessage, "tsMs">[] },
  dayMs: number,
): Generator<LogMessage> {
  const startMs = dayMs + minute.number * MINUTE_MS;
  for (const [index, message] of minute.messages.entries()) {
    const offsetMs = Math.floor((index * MINUTE_MS) / minute.messages.length);
    yield { ...message, tsMs: startMs + offsetMs };
  }
}

/** Minutes since the first midnight, from times that only know the hour and the minute. */
class LogClock {
  #current = -1;
  #offset = 0;
  #has24Hours = false;

  minuteOf(hour: number, minute: number): number {
    if (hour === 0 || hour > 12) this.#has24Hours = true;
    let next = this.#offset + hour * HOUR_MINUTES + minute;
    if (next < this.#current - HOUR_MINUTES) {
      const half = DAY_MINUTES / 2;
      const halfDay = !this.#has24Hours && next + half >= this.#current;
      this.#offset += halfDay ? half : DAY_MINUTES;
      next += halfDay ? half : DAY_MINUTES;
    }
    this.#current = Math.max(this.#current, next);
    return this.#current;
  }
}
