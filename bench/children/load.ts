/**
 * The load generator, a process of its own: builds all requests beforehand; told to, sends the next
 * part of them over several connections as fast as they are answered, and reports what the answers
 * said.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { buildRequest, Connection } from "../http-client.ts";
import { quantile } from "../statistics.ts";
import { EventStream, loadCorpus, type StreamEvent, tenantName } from "../workload.ts";

export type LoadSettings = {
  readonly port: number;
  /**
   * `shared`: NDJSON to /v1/events, each event names its tenant. `fixed`: NDJSON to one tenant's
   * route, each body another tenant. `single`: one JSON event a request to /v1/events. `each`: as
   * `shared`, but the tenants in turn, so that every one of them gets its share.
   */
  readonly route: "shared" | "fixed" | "single" | "each";
  readonly events: number;
  readonly bodyEvents: number;
  readonly connections: number;
  readonly tenantCount: number;
  readonly exponent: number;
  readonly seed: number;
  readonly corpus: string;
  /** What answers are to wait for, and to say; left out: what the server is told. */
  readonly ack?: "disk" | "memory" | undefined;
  /** No request is started later than this. */
  readonly secondsMax: number;
};

export type LoadResult = {
  readonly events: number;
  readonly requests: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly late: number;
  readonly duplicates: number;
  /** Requests that were answered 429 or 503 and sent again. */
  readonly refusals: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly requestMs: { readonly p50: number; readonly p99: number; readonly p999: number };
};

export type BuiltMessage = { readonly type: "built"; readonly requests: number };
export type SentMessage = { readonly type: "sent"; readonly result: LoadResult };

type Request = { readonly bytes: Buffer; readonly events: number };

process.channel?.ref();
process.on("message", (message: { type: string; settings?: LoadSettings }) => {
  if (message.type === "load") void load(message.settings!);
});

async function load(settings: LoadSettings): Promise<void> {
  const requests = buildRequests(settings);
  const connections = await Promise.all(
    Array.from({ length: settings.connections }, () => Connection.open(settings.port)),
  );
  let sent = 0;
  process.on("message", (message: { type: string; events?: number }) => {
    if (message.type !== "send") return;
    const part: Request[] = [];
    for (let events = 0; sent < requests.length && events < message.events!; sent++) {
      part.push(requests[sent]!);
      events += requests[sent]!.events;
    }
    void sendAll(settings, part, connections).then((result) => {
      process.send!({ type: "sent", result } satisfies SentMessage);
    });
  });
  process.send!({ type: "built", requests: requests.length } satisfies BuiltMessage);
}

async function sendAll(
  { secondsMax, ack }: LoadSettings,
  requests: readonly Request[],
  connections: readonly Connection[],
): Promise<LoadResult> {
  const total = { events: 0, accepted: 0, rejected: 0, late: 0, duplicates: 0, refusals: 0 };
  const latencies = new Float64Array(requests.length);
  let next = 0;
  let bytes = 0;
  const startMs = performance.now();
  const deadlineMs = startMs + secondsMax * 1000;
  const work = async (connection: Connection): Promise<void> => {
    while (next < requests.length && performance.now() < deadlineMs) {
      const index = next++;
      const request = requests[index]!;
      const sentMs = performance.now();
      let reply = await connection.send(request.bytes);
      while (reply.status === 429 || reply.status === 503) {
        total.refusals += 1;
        await sleep(reply.retryAfterMs);
        reply = await connection.send(request.bytes);
      }
      latencies[index] = performance.now() - sentMs;
      assert.equal(reply.status, 202, reply.body);
      const answer = JSON.parse(reply.body) as Record<string, number> & { ack?: string };
      if (ack !== undefined) assert.equal(answer.ack, ack);
      total.events += request.events;
      total.accepted += answer["accepted"] ?? 0;
      total.rejected += answer["rejected"] ?? 0;
      total.late += answer["late"] ?? 0;
      total.duplicates += answer["duplicates"] ?? 0;
      bytes += request.bytes.byteLength;
    }
  };
  await Promise.all(connections.map(work));
  const seconds = (performance.now() - startMs) / 1000;
  const sent = latencies.subarray(0, next);
  const requestMs = {
    p50: quantile(sent, 0.5),
    p99: quantile(sent, 0.99),
    p999: quantile(sent, 0.999),
  };
  return { ...total, requests: next, bytes, seconds, requestMs };
}

function buildRequests(settings: LoadSettings): Request[] {
  const { events, bodyEvents, route, tenantCount, seed } = settings;
  const corpus = loadCorpus(settings.corpus, seed);
  const stream = new EventStream({ seed, corpus, tenantCount, exponent: settings.exponent });
  const requests: Request[] = [];
  const query = settings.ack === undefined ? "" : `?ack=${settings.ack}`;
  const shared = `/v1/events${query}`;
  for (let built = 0; built < events;) {
    const count = Math.min(route === "single" ? 1 : bodyEvents, events - built);
    if (route === "fixed") {
      const path = `/v1/tenants/${tenantName(stream.tenant())}/events${query}`;
      requests.push(ndjson(path, count, () => ({ user: stream.user(), text: stream.text() })));
    } else if (route === "single") {
      const body = JSON.stringify(named(stream.next()));
      const bytes = buildRequest(shared, "application/json", body);
      requests.push({ bytes, events: 1 });
    } else {
      const turn = built;
      requests.push(
        ndjson(shared, count, (i) => {
          const event = stream.next();
          return named(route === "each" ? { ...event, tenant: (turn + i) % tenantCount } : event);
        }),
      );
    }
    built += count;
  }
  return requests;
}

function named({ tenant, user, text }: StreamEvent): object {
  return { tenant: tenantName(tenant), user, text };
}

function ndjson(path: string, events: number, event: (index: number) => object): Request {
  const lines = Array.from({ length: events }, (_, index) => `${JSON.stringify(event(index))}\n`);
  return { bytes: buildRequest(path, "application/x-ndjson", lines.join("")), events };
}
