/**
 * The server one writes first: node:http, JSON.parse, a Map of windows in the shared heap. Takes
 * one JSON event a request, or NDJSON when the content type says so (the same server with one thing
 * done better: the requests are paid once per body).
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { WindowTally } from "./window-tally.ts";

type Event = { readonly tenant: string; readonly user: string; readonly text: string };

export type ListeningMessage = { readonly type: "listening"; readonly port: number };

const tallies = new Map<string, WindowTally>();

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const isEvents = request.method === "POST";
    const text = Buffer.concat(chunks).toString("utf8");
    const answer = JSON.stringify(isEvents ? takeBody(request, text) : answerAll(request));
    response.writeHead(isEvents ? 202 : 200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(answer),
    });
    response.end(answer);
  });
});

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send!({ type: "listening", port } satisfies ListeningMessage);
});

function takeBody(request: IncomingMessage, text: string): object {
  const isLines = request.headers["content-type"] === "application/x-ndjson";
  const lines = isLines ? text.split("\n").filter((line) => line !== "") : [text];
  for (const line of lines) takeEvent(JSON.parse(line) as Event);
  return { accepted: lines.length, rejected: 0 };
}

function takeEvent({ tenant, text }: Event): void {
  let tally = tallies.get(tenant);
  if (tally === undefined) tallies.set(tenant, (tally = new WindowTally()));
  tally.add(text, Date.now());
}

/** GET /?limit=N: every tenant's answer. */
function answerAll(request: IncomingMessage): object {
  const limit = Number(new URL(request.url ?? "/", "http://localhost").searchParams.get("limit"));
  const nowMs = Date.now();
  return Object.fromEntries(
    [...tallies].map(([tenant, tally]) => [tenant, tally.answer(limit, nowMs)]),
  );
}
