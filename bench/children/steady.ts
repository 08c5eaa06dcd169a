/**
 * Sends bodies to a server at fixed times, whether or not those before were answered: what an
 * answer waits for counts from when its body was due. Of tenants in turn, each over connections of
 * its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { buildRequest, Connection } from "../http-client.ts";

export type SteadySettings = {
  readonly port: number;
  readonly seconds: number;
  readonly tenants: readonly string[];
  /** Over how many connections each of them. */
  readonly connections: number;
  /** Of each tenant. */
  readonly bodiesPerSecond: number;
  readonly eventsPerBody: number;
};

export type SteadyFigures = {
  /** Of bodies that were taken: from due to answered. */
  readonly waitsMs: readonly number[];
  readonly sent: number;
  readonly taken: number;
  readonly refused: number;
  /** Other answers, and bodies that found all connections busy. */
  readonly failed: number;
  readonly unsent: number;
};

type Tally = { waitsMs: number[]; sent: number; taken: number; refused: number; failed: number };

const LINE = JSON.stringify({
  user: "ada",
  text: "boss fight again and again in the zone tonight",
});

process.channel?.ref();
process.on("message", (message: { type: string; settings: SteadySettings }) => {
  if (message.type !== "send") return;
  void run(message.settings).then((figures) => process.send!({ type: "sent", figures }));
});

async function run(settings: SteadySettings): Promise<SteadyFigures> {
  const { tenants, seconds, bodiesPerSecond, eventsPerBody } = settings;
  const tally: Tally = { waitsMs: [], sent: 0, taken: 0, refused: 0, failed: 0 };
  const body = Array.from({ length: eventsPerBody }, () => LINE).join("\n");
  const gapMs = 1_000 / bodiesPerSecond;
  const endMs = performance.now() + seconds * 1_000;
  const unsent = await Promise.all(
    tenants.map(async (tenant, n) => {
      const request = buildRequest(`/v1/tenants/${tenant}/events`, "application/x-ndjson", body);
      const free: Connection[] = [];
      for (let i = 0; i < settings.connections; i++) {
        free.push(await Connection.open(settings.port));
      }
      // Spread over the gap, so that they do not come all at once.
      const startMs = performance.now() + (gapMs * n) / tenants.length;
      return sendAll({ request, free, startMs, endMs, gapMs }, tally);
    }),
  );
  return { ...tally, unsent: unsent.reduce((sum, count) => sum + count, 0) };
}

type Stream = {
  readonly request: Buffer;
  readonly free: Connection[];
  readonly startMs: number;
  readonly endMs: number;
  readonly gapMs: number;
};

/** Returns how many found no connection. */
async function sendAll(stream: Stream, tally: Tally): Promise<number> {
  const { request, free, startMs, endMs, gapMs } = stream;
  const open = new Set<Promise<void>>();
  const all = [...free];
  let unsent = 0;
  for (let i = 0; ; i++) {
    const dueMs = startMs + i * gapMs;
    if (dueMs >= endMs) break;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const connection = free.pop();
    if (connection === undefined) {
      unsent += 1;
      continue;
    }
    const sending = sendOne(connection, request, dueMs, tally).finally(() => {
      open.delete(sending);
      free.push(connection);
    });
    open.add(sending);
  }
  await Promise.all(open);
  for (const connection of all) connection.close();
  return unsent;
}

async function sendOne(
  connection: Connection,
  request: Buffer,
  dueMs: number,
  tally: Tally,
): Promise<void> {
  tally.sent += 1;
  const { status } = await connection.send(request);
  if (status === 202) {
    tally.taken += 1;
    tally.waitsMs.push(performance.now() - dueMs);
  } else if (status === 429) tally.refused += 1;
  else tally.failed += 1;
}
