/**
 * The server with its real engine: bodies, both doors of moderation, policies, merges, and requests
 * as bytes. Whatever comes, the answer is of the door's form with a stable code and no failure of
 * ours, and a neighbour's question has the answer that it had before.
 */
import { assembleServer } from "#cli/server.ts";
import { type Engine, startEngine } from "#engine/engine.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import { ERRORS_LISTED_MAX } from "#model/limits.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { PROBLEMS } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import type { Random } from "#std/random.ts";
import { mutate, noisyEvent } from "#testing/json-noise.ts";
import { type AddressInfo, connect } from "node:net";
import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { FastifyInstance, InjectOptions } from "fastify";
import { linesOf } from "./events.fuzz.ts";
import { otherJson } from "./json-bodies.ts";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const NEIGHBOUR = "/v1/tenants/neighbour/summary";
/** Cases between two looks at the neighbour. */
const NEIGHBOUR_CASES = 16;
const TENANTS_MAX = 256;
const UNLIMITED = {
  eventsPerSecond: Infinity,
  bytesPerSecond: Infinity,
  cpuMsPerSecond: Infinity,
  imageBytes: Infinity,
};

type Reply = { readonly status: number; readonly type: string; readonly body: string };

/** The server, a neighbour, and how the neighbour is. */
class FuzzServer {
  readonly server: FastifyInstance;
  readonly #engine: Engine;
  #neighbour = "";
  #cases = 0;

  private constructor(server: FastifyInstance, engine: Engine) {
    this.server = server;
    this.#engine = engine;
  }

  static async open(): Promise<FuzzServer> {
    const engine = await startEngine({
      shardCount: 1,
      slotCount: 8,
      imageBytesMax: 64 * 1024 * 1024,
      tenantCountMax: TENANTS_MAX,
      quota: UNLIMITED,
    });
    try {
      return await FuzzServer.#begin(engine);
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  static async #begin(engine: Engine): Promise<FuzzServer> {
    const { server } = await assembleServer(engine, openLog("silent"));
    const it = new FuzzServer(server, engine);
    // Its times are its own, so that the window stands still.
    const clock = { method: "PUT", url: "/v1/tenants/neighbour", payload: { clock: "event" } };
    await it.ask(clock as InjectOptions);
    const payload = { text: "the boss fight is on", user: "ada", tsMs: 1_795_197_600_000 };
    await it.ask({ method: "POST", url: "/v1/tenants/neighbour/events", payload });
    it.#neighbour = await it.#askNeighbour();
    return it;
  }

  async ask(options: InjectOptions): Promise<Reply> {
    const { statusCode: status, headers, body } = await this.server.inject(options);
    return { status, type: String(headers["content-type"] ?? ""), body };
  }

  /** At the end of a case. */
  async lookAround(): Promise<void> {
    if (++this.#cases % NEIGHBOUR_CASES !== 0) return;
    assert.equal(await this.#askNeighbour(), this.#neighbour, "the neighbour's window is the same");
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.#engine.stop();
  }

  async #askNeighbour(): Promise<string> {
    const { status, body } = await this.ask({ url: NEIGHBOUR });
    assert.equal(status, 200, `the neighbour is answered ${body}`);
    return body.replaceAll(/"asOfMs":\d+/g, "");
  }
}

/** The problem's code; of what went well, nothing. */
function problemOf({ status, type, body }: Reply): string | undefined {
  if (status < 400) return undefined;
  assert.match(type, /^application\/problem\+json/, `${status} ${type} ${body.slice(0, 200)}`);
  const document = JSON.parse(body) as { code: string; status: number; detail: string };
  const known = Object.hasOwn(PROBLEMS, document.code) || isEventError(document.code);
  assert(known, `${document.code} is no code of ours`);
  assert.equal(document.status, status);
  assert(document.code !== "internal" && document.code !== "guestFailed", body);
  assert(document.detail.length < 20_000, "a detail has an end");
  return document.code;
}

function isEventError(code: string): boolean {
  return EVENT_ERRORS.some((error) => error.code === code);
}

const TYPES = [
  "application/json",
  "application/x-ndjson",
  "application/cloudevents+json",
  "application/cloudevents-batch+json",
  "text/plain",
  "",
] as const;
const PATHS = ["/v1/tenants/acme/events", "/v1/events"] as const;
const EVENT = '{"tenant":"acme","id":"1","user":"ada","text":"the boss fight is on!"}';
const CLOUD = '{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{"text":"hello"}}';

/** First byte: type and path; the second: the coding. */
export const eventRequests: FuzzTarget = {
  sentence: "requests with events, of each type and coding, through the real engine",
  caseCount: 250,
  open: async (): Promise<FuzzSubject> => {
    const it = await FuzzServer.open();
    const bodies = [EVENT, CLOUD, `[${EVENT},${EVENT}]`, `${EVENT}\n{"text\n${EVENT}\n`, "[]", ""];
    return {
      seeds: TYPES.flatMap((_, type) =>
        bodies.map((body) => Buffer.concat([Buffer.from([type, 0]), Buffer.from(body)])),
      ),
      dictionary: ["\n", "\r\n", "[", "]", ",", '"tenant":', '"id":', "null", "\ufeff", "\0"],
      generate: (random) => {
        const events = Array.from({ length: 1 + random.below(4) }, () => noisyEvent(random, 10));
        const head = Buffer.from([random.below(12), random.below(3)]);
        return Buffer.concat([head, Buffer.from(events.join(random.chance(1, 2) ? "\n" : ","))]);
      },
      mutate: (random, input) =>
        Buffer.concat([input.subarray(0, 2), mutate(random, input.subarray(2))]),
      check: async (input) => {
        const type = TYPES[(input[0] ?? 0) % TYPES.length]!;
        const url = PATHS[Math.floor((input[0] ?? 0) / TYPES.length) % PATHS.length]!;
        const body = Buffer.from(input.subarray(2));
        const coding = ["", "gzip", "zstd"][(input[1] ?? 0) % 3]!;
        const payload =
          coding === "" ? body : coding === "gzip" ? gzipSync(body) : zstdCompressSync(body);
        const headers = {
          ...(type === "" ? {} : { "content-type": type }),
          ...(coding === "" ? {} : { "content-encoding": coding }),
        };
        const reply = await it.ask({ method: "POST", url, headers, payload });
        await it.lookAround();
        const problem = problemOf(reply);
        if (problem !== undefined) return `${type} ${problem}`;
        assert.equal(reply.status, 202);
        return `${type} ${takenOf(reply.body, type === TYPES[1] ? body : undefined)}`;
      },
      close: async () => it.close(),
    };
  },
};

/** What was taken adds up; of lines, to as many as there are. */
function takenOf(text: string, lines: Buffer | undefined): string {
  const answer = JSON.parse(text) as Record<
    "accepted" | "rejected" | "late" | "duplicates",
    number
  >;
  const { errors } = JSON.parse(text) as { errors: { index: number; code: string }[] };
  const { accepted, rejected, late, duplicates } = answer;
  assert(late + duplicates <= accepted, text);
  assert.equal(errors.length, Math.min(rejected, ERRORS_LISTED_MAX), text);
  for (const { code } of errors) {
    assert(isEventError(code) || Object.hasOwn(PROBLEMS, code), `${code} is no code of ours`);
  }
  const indexes = errors.map(({ index }) => index);
  assert.deepEqual(
    indexes,
    [...new Set(indexes)].toSorted((a, b) => a - b),
    "each index once",
  );
  if (lines !== undefined) assert.equal(accepted + rejected, linesOf(lines).length, text);
  const codes = [...new Set(errors.map(({ code }) => code))].toSorted().join(" ");
  return `${accepted > 0 ? "some" : "none"} ${codes}`;
}

type Door = {
  readonly url: string;
  readonly method?: "PUT" | "POST";
  readonly bodies: readonly unknown[];
  /** The code of what went wrong. */
  readonly problemOf: (reply: Reply) => string | undefined;
};

/** Requests of JSON to one door. */
function jsonDoor(sentence: string, doors: readonly Door[], caseCount = 200): FuzzTarget {
  return {
    sentence,
    caseCount,
    // A policy that was put is the one by which the next message is judged.
    remembers: true,
    open: async (): Promise<FuzzSubject> => {
      const it = await FuzzServer.open();
      const seeds = doors.flatMap(({ bodies }, index) =>
        bodies.map((body) => Buffer.from(`${String.fromCharCode(index)}${JSON.stringify(body)}`)),
      );
      return {
        seeds,
        dictionary: '" { } [ ] , : null 1e999 \\ud800 \\u0000 -0 true'.split(" "),
        mutate: (random, input) =>
          Buffer.concat([input.subarray(0, 1), otherJson(random, input.subarray(1))]),
        check: async (input) => {
          const index = (input[0] ?? 0) % doors.length;
          const { url, method = "POST", problemOf: problem } = doors[index]!;
          const reply = await it.ask({
            method,
            url,
            headers: { "content-type": "application/json" },
            payload: Buffer.from(input.subarray(1)),
          });
          await it.lookAround();
          return `${index} ${reply.status} ${problem(reply) ?? "ok"}`;
        },
        close: async () => it.close(),
      };
    },
  };
}

function openAiProblemOf({ status, body }: Reply): string | undefined {
  const answer = JSON.parse(body) as { error?: { code: string; message: string }; results: [] };
  if (status < 400) {
    assert(Array.isArray(answer.results), body);
    return undefined;
  }
  assert(status !== 500 && answer.error !== undefined, body);
  assert(answer.error.message.length < 20_000);
  return answer.error.code;
}

function perspectiveProblemOf({ status, body }: Reply): string | undefined {
  const { error } = JSON.parse(body) as { error?: { code: number; status: string } };
  if (status < 400) return undefined;
  assert(status !== 500 && error !== undefined, body);
  assert.equal(error.code, status, body);
  return error.status;
}

const MESSAGE = {
  id: "m1",
  conversation: "c1",
  user: "ada",
  role: "member",
  text: "you are an idiot",
};
const TURN = { user: "bo", text: "what did you say?" };

export const moderateRequests: FuzzTarget = jsonDoor("messages to be judged, in our form", [
  {
    url: "/v1/tenants/acme/moderate",
    problemOf,
    bodies: [
      { text: "you are an idiot" },
      { ...MESSAGE, context: [TURN, TURN] },
      { messages: [MESSAGE, { text: "thanks" }] },
    ],
  },
]);

export const openAiRequests: FuzzTarget = jsonDoor("moderation in OpenAI's form", [
  {
    url: "/v1/moderations",
    problemOf: openAiProblemOf,
    bodies: [
      { input: "you are an idiot" },
      { model: "omni-moderation-latest", input: ["a", "b"] },
      { input: [{ type: "text", text: "hello" }] },
      { input: [{ type: "image_url", image_url: { url: "http://127.0.0.1/a.png" } }] },
    ],
  },
]);

export const perspectiveRequests: FuzzTarget = jsonDoor("moderation in Perspective's form", [
  {
    url: "/v1alpha1/comments:analyze",
    problemOf: perspectiveProblemOf,
    bodies: [
      { comment: { text: "you are an idiot" }, requestedAttributes: { TOXICITY: {} } },
      {
        comment: { text: "<b>hello</b>", type: "HTML" },
        languages: ["en"],
        requestedAttributes: { TOXICITY: { scoreThreshold: 0.5, scoreType: "PROBABILITY" } },
        context: { entries: [{ text: "before", type: "PLAIN_TEXT" }] },
        communityId: "acme",
        clientToken: "t",
        doNotStore: true,
        spanAnnotations: true,
        sessionId: "s",
      },
    ],
  },
  {
    url: "/v1alpha1/comments:suggestscore",
    problemOf: perspectiveProblemOf,
    bodies: [
      {
        comment: { text: "you are an idiot" },
        attributeScores: { TOXICITY: { summaryScore: { value: 0.1 } } },
        communityId: "acme",
      },
    ],
  },
]);

export const policyRequests: FuzzTarget = jsonDoor("policies, and the messages judged by them", [
  {
    url: "/v1/tenants/acme/policy",
    method: "PUT",
    problemOf,
    bodies: [
      { policy: POLICY_DEFAULT, note: "why" },
      POLICY_DEFAULT,
      { policy: { ...POLICY_DEFAULT, blockList: [{ term: "idiot", action: "block" }] } },
      { policy: { roles: [{ role: "member", leniency: 0.2 }], allowList: [{ term: "boss" }] } },
    ],
  },
  { url: "/v1/tenants/acme/moderate", problemOf, bodies: [MESSAGE] },
  {
    url: "/v1/tenants/acme/policy:dryRun",
    problemOf,
    bodies: [{ policy: POLICY_DEFAULT }, POLICY_DEFAULT],
  },
]);

export const mergeRequests: FuzzTarget = jsonDoor("merges of windows", [
  {
    url: "/v1/summaries:merge",
    problemOf,
    bodies: [
      { window: "60s", prefix: "" },
      { window: "1h", tenants: ["neighbour", "nobody"], limit: 5 },
      { window: "60s", sketches: ["TlhTMQEAAAA="], tenants: [] },
    ],
  },
]);

/** Requests as bytes, over a socket. */
export const rawRequests: FuzzTarget = {
  sentence: "requests as bytes: paths, query strings, headers and how a body is framed",
  caseCount: 150,
  remembers: true,
  msMax: 30_000,
  open: async (): Promise<FuzzSubject> => {
    const it = await FuzzServer.open();
    const document = JSON.parse((await it.ask({ url: "/openapi.json" })).body) as Api;
    const requests = requestsOf(document);
    await it.server.listen({ host: "127.0.0.1", port: 0 });
    const { port } = it.server.server.address() as AddressInfo;
    return {
      seeds: requests.map((text) => Buffer.from(text)),
      generate: (random) => Buffer.from(otherUrl(random, requests)),
      dictionary: [
        ..."%00 %2e%2e%2f ../ // % %zz %ff ? & = # ; [] :: limit= window= prefix=".split(" "),
        ..."order= 1e999 -1 NaN HTTP/1.1 HTTP/1.0 GET PUT POST DELETE OPTIONS".split(" "),
        "\r\n",
        "\r\n\r\n",
        "\n",
        " ",
        "\t",
        "\0",
        "Content-Length: 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\n",
        "Host: evil.example\r\n",
        "Last-Event-ID: 99999999999\r\n",
        "Range: bytes=0-\r\n",
        "X-A: b\r\n".repeat(100),
        "a=b&".repeat(200),
        "__proto__[a]=1&constructor=2",
      ],
      check: async (input) => {
        const text = Buffer.from(await exchange(port, input)).toString("latin1");
        await it.lookAround();
        // A connection may be closed without a word where there was no request.
        if (text === "") return "closed";
        const [, status = ""] = /^HTTP\/1\.1 (\d{3}) /.exec(text) ?? [];
        assert(status !== "", `no answer of HTTP: ${text.slice(0, 100)}`);
        assert(status !== "500" && status !== "502", text.slice(0, 2_000));
        const code = /"code":"(\w+)"/.exec(text)?.[1] ?? "";
        assert(Number(status) < 400 || code !== "" || / 4\d\d /.test(text.slice(0, 16)), text);
        return `${status} ${Number(status) < 400 ? "" : code}`;
      },
      close: async () => {
        it.server.server.closeAllConnections();
        await it.close();
      },
    };
  },
};

type Api = {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { parameters?: readonly { in: string; name: string }[] }>>
    >
  >;
};

function requestsOf({ paths }: Api): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      // What goes on for ever, or calls somebody else, is not asked.
      .filter(() => !path.includes("/live") && !path.includes("webhook"))
      .map(([method, { parameters = [] }]) => {
        const query = parameters
          .filter((each) => each.in === "query")
          .map((each) => `${each.name}=1`);
        const url =
          path.replaceAll(/\{\w+\}/g, "acme") + (query.length > 0 ? `?${query.join("&")}` : "");
        const head = `${method.toUpperCase()} ${url} HTTP/1.1\r\nHost: localhost\r\n`;
        if (method === "get" || method === "delete") return `${head}Connection: close\r\n\r\n`;
        const type = "Content-Type: application/json\r\nContent-Length: 2\r\n";
        return `${head}${type}Connection: close\r\n\r\n{}`;
      }),
  );
}

const URL_PARTS = (
  "%00 %2e%2e ../ // % %zz %ff ? & = ; [] : * limit=0 limit=1e999 window=1h window=1y order=x " +
  "prefix=%2a cursor=-1 summary=off format=csv __proto__=1 a%5Bb%5D=1 acme nobody neighbour"
).split(" ");

/** A request whose address is another: what is behind the parser of HTTP is reached. */
function otherUrl(random: Random, requests: readonly string[]): string {
  const request = requests[random.below(requests.length)]!;
  const [method = "", url = "", ...rest] = request.split(" ");
  let other = url;
  for (let edits = 1 + random.below(4); edits > 0; edits--) {
    const at = random.below(other.length + 1);
    const part = URL_PARTS[random.below(URL_PARTS.length)]!;
    const joint = random.chance(1, 2) ? "" : other.includes("?") ? "&" : "?";
    if (joint === "") other = other.slice(0, at) + part + other.slice(at + random.below(3));
    else other += joint + part;
  }
  return [method, other.startsWith("/") ? other : `/${other}`, ...rest].join(" ");
}

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Then nothing more is expected: a request that is not whole has no answer. */
const QUIET_MS = 2_000;

/** Sends, ends, and takes what comes until nothing does. */
async function exchange(port: number, request: Uint8Array): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  const parts: Buffer[] = [];
  let bytes = 0;
  socket.on("error", () => undefined);
  socket.on("data", (part: Buffer) => {
    parts.push(part);
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) socket.destroy();
  });
  socket.setTimeout(QUIET_MS, () => socket.destroy());
  socket.end(request);
  await new Promise((resolve) => void socket.once("close", resolve));
  return Buffer.concat(parts);
}
