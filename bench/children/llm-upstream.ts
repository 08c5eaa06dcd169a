/**
 * An upstream language model of a benchmark, a process of its own: HTTP/1.1 read from raw sockets,
 * every request answered after its latency, by model-stand-in.ts. The latency is `upstreamMs` and
 * up to `spreadMs` more, drawn from the seed. Requests of whom it is told to stall are never
 * answered.
 */
import { createServer, type AddressInfo, type Socket } from "node:net";
import { Random } from "#std/random.ts";
import { type AskedCase, casesOf, contentOf, DelayWheel, USAGE } from "../model-stand-in.ts";
import { quantile } from "../statistics.ts";

export type UpstreamChildSettings = {
  readonly upstreamMs: number;
  readonly spreadMs: number;
  readonly seed: number;
};

export type UpstreamTally = {
  readonly requests: number;
  readonly cases: number;
  /** Requests that waited at once, at most; without those that are never answered. */
  readonly openMax: number;
  /** Of a request's body. */
  readonly bodyBytesMax: number;
  /** How much later than drawn it answered, p99: somebody else had its core. */
  readonly lateP99Ms: number;
};

export type UpstreamListening = { readonly type: "listening"; readonly port: number };
export type UpstreamTallied = { readonly type: "tally"; readonly tally: UpstreamTally };

type Asked = {
  readonly socket: Socket;
  readonly cases: readonly AskedCase[];
  readonly arrivedMs: number;
  readonly delayMs: number;
};

const LATENESS_KEPT = 65_536;
const BACKLOG = 8_192;
const TICK_MS = 1;

process.channel?.ref();
process.once("message", ({ settings }: { settings: UpstreamChildSettings }) => listen(settings));

function listen({ upstreamMs, spreadMs, seed }: UpstreamChildSettings): void {
  const random = new Random(seed);
  const wheel = new DelayWheel<Asked>(upstreamMs + spreadMs + 1, performance.now());
  const lateness = new Float64Array(LATENESS_KEPT);
  let answered = 0;
  let stalled = new Set<string>();
  const tally = { requests: 0, cases: 0, openMax: 0, bodyBytesMax: 0 };
  const answer = ({ socket, cases, arrivedMs, delayMs }: Asked): void => {
    if (socket.destroyed) return;
    const tookMs = performance.now() - arrivedMs;
    lateness[answered++ % LATENESS_KEPT] = tookMs - delayMs;
    socket.write(completion(contentOf(cases, tookMs)));
  };
  setInterval(() => wheel.run(performance.now(), answer), TICK_MS);
  const server = createServer({ noDelay: true }, (socket) => {
    eachRequest(socket, (body) => {
      const cases = casesOf(body);
      tally.requests += 1;
      tally.cases += cases.length;
      tally.bodyBytesMax = Math.max(tally.bodyBytesMax, body.length);
      if (cases.some(({ marker }) => stalled.has(marker.split(".", 1)[0]!))) return;
      const delayMs = upstreamMs + spreadMs * random.unit();
      const arrivedMs = performance.now();
      wheel.add({ socket, cases, arrivedMs, delayMs }, delayMs, arrivedMs);
      tally.openMax = Math.max(tally.openMax, wheel.count);
    });
  });
  process.on("message", (message: { type: string; stalled?: readonly string[] }) => {
    if (message.type === "stall") {
      stalled = new Set(message.stalled);
      process.send!({ type: "stall" });
    } else if (message.type === "tally") {
      const samples = lateness.subarray(0, Math.min(answered, LATENESS_KEPT));
      const lateP99Ms = samples.length === 0 ? 0 : quantile(samples, 0.99);
      const tallied: UpstreamTallied = { type: "tally", tally: { ...tally, lateP99Ms } };
      process.send!(tallied);
    }
  });
  server.listen(0, "127.0.0.1", BACKLOG, () => {
    const { port } = server.address() as AddressInfo;
    process.send!({ type: "listening", port } satisfies UpstreamListening);
  });
}

/** Bodies of requests that follow each other on a socket, each with its length in the head. */
function eachRequest(socket: Socket, take: (body: string) => void): void {
  let chunks: Buffer[] = [];
  let missing = -1;
  let start = 0;
  socket.on("data", (chunk: Buffer) => {
    if (missing === -1) {
      const head = chunk.indexOf("\r\n\r\n");
      const length = /\r\ncontent-length: (\d+)/i.exec(chunk.toString("latin1", 0, head))?.[1];
      if (head === -1 || length === undefined) return void socket.destroy();
      start = head + 4;
      missing = start + Number(length);
    }
    chunks.push(chunk);
    missing -= chunk.length;
    if (missing > 0) return;
    missing = -1;
    const request = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    chunks = [];
    take(request.toString("latin1", start));
  });
  socket.on("error", () => undefined);
}

function completion(content: string): string {
  const usage = { prompt_tokens: USAGE.promptTokens, completion_tokens: USAGE.completionTokens };
  const body =
    `{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",` +
    `"content":${JSON.stringify(content)}},"finish_reason":"stop"}],` +
    `"usage":${JSON.stringify(usage)}}`;
  return (
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
    `content-length: ${body.length}\r\n\r\n${body}`
  );
}
