/**
 * Who may stay connected: a bound on connections in all and of one address, on requests that one
 * connection has under way, and a least rate for bodies.
 *
 * All that is held of a client costs memory and a descriptor for as long as it is held, so a client
 * that takes its time on purpose must not be able to hold much. Node bounds how long headers and a
 * whole request may take; here is what it does not bound:
 *
 *   - connections: beyond the bound of all, one is closed by Node, unread. Beyond that of its
 *     address, it is told 429 first, as far as it listens;
 *   - bodies: of one that brings less than BODY_RATE_MIN over BODY_RATE_MS the rest is not waited
 *     for: 408. Time in which we did not read does not count;
 *   - pipelines: who sends on without waiting for answers is cut at PIPELINED_MAX requests.
 *
 * An address is the one that the connection comes from. X-Forwarded-For is not looked at, since
 * whoever sends it may write into it what they like; behind a proxy all clients are one address,
 * and the proxy is where they are told apart. This machine's own addresses have no bound for that
 * reason. Of IPv6 an address is its first 64 bits: the others are the client's to choose.
 */
import { BODY_RATE_MIN, BODY_RATE_MS, PIPELINED_MAX } from "#model/limits.ts";
import { Problem, PROBLEMS, type ProblemCode } from "#model/problem.ts";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { BlockList, isIPv6, type Socket } from "node:net";

export type ConnectionBounds = {
  readonly connectionsMax: number;
  /** 0: none. */
  readonly connectionsPerAddressMax: number;
};

/** Since the start. */
export type ConnectionStats = {
  readonly openCount: number;
  /** Closed because there were `connectionsMax`. */
  readonly refusedCount: number;
  readonly refusedOfAddressCount: number;
  readonly slowBodyCount: number;
  readonly pipelineCount: number;
};

type Connection = {
  readonly socket: Socket;
  /** Requests that are not answered yet. */
  underWay: number;
  /** The last of them, if it may bring a body: those before it have brought all of theirs. */
  upload: ServerResponse | undefined;
  /** At the last look at it, and bytes that had come by then. */
  seenAtMs: number;
  seenBytes: number;
};

/** How often bodies are looked at, in the time over which their rate is taken. */
const LOOKS = 5;

/** By server: for who tells of them (metrics.ts). */
const LIMITS = new WeakMap<Server, ConnectionLimits>();

/** `rateMs`, `groupOf`: of a test that has neither the time nor the addresses. */
export function limitConnections(
  server: Server,
  bounds: ConnectionBounds,
  options: { rateMs?: number; groupOf?: (address: string) => string | undefined } = {},
): void {
  LIMITS.set(server, new ConnectionLimits(server, bounds, options));
}

/** Undefined: the server has no limits. */
export function connectionStats(server: Server): ConnectionStats | undefined {
  return LIMITS.get(server)?.stats;
}

class ConnectionLimits {
  readonly #perAddressMax: number;
  readonly #groupOf: (address: string) => string | undefined;
  readonly #byGroup = new Map<string, number>();
  readonly #connections = new Map<Socket, Connection>();
  /** Bound once: a request costs no function of its own. */
  readonly #onAnswered: (this: ServerResponse) => void;
  readonly #rateMs: number;
  #lookedAtMs = performance.now();
  #openCount = 0;
  #refusedCount = 0;
  #refusedOfAddressCount = 0;
  #slowBodyCount = 0;
  #pipelineCount = 0;

  constructor(
    server: Server,
    bounds: ConnectionBounds,
    options: { rateMs?: number; groupOf?: (address: string) => string | undefined },
  ) {
    const { rateMs = BODY_RATE_MS, groupOf = addressGroup } = options;
    this.#perAddressMax = bounds.connectionsPerAddressMax;
    this.#groupOf = groupOf;
    this.#rateMs = rateMs;
    const answered = (response: ServerResponse): void => this.#end(response);
    this.#onAnswered = function () {
      answered(this);
    };
    server.maxConnections = bounds.connectionsMax;
    server.on("drop", () => (this.#refusedCount += 1));
    server.on("connection", (socket) => this.#enter(socket));
    // Before whoever answers: of a pipeline that was cut the rest is parsed, but not done.
    const answerers = server.listeners("request") as RequestListener[];
    server.removeAllListeners("request");
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      if (!this.#begin(request, response)) return;
      for (const answer of answerers) answer.call(server, request, response);
    });
    const timer = setInterval(() => this.#lookAtBodies(), rateMs / LOOKS);
    timer.unref();
    server.on("close", () => clearInterval(timer));
  }

  get stats(): ConnectionStats {
    return {
      openCount: this.#openCount,
      refusedCount: this.#refusedCount,
      refusedOfAddressCount: this.#refusedOfAddressCount,
      slowBodyCount: this.#slowBodyCount,
      pipelineCount: this.#pipelineCount,
    };
  }

  #enter(socket: Socket): void {
    this.#openCount += 1;
    socket.once("close", () => this.#connections.delete(socket));
    // A client that was gone before we saw it has no address.
    const group = this.#groupOf(socket.remoteAddress ?? "");
    if (group === undefined || this.#perAddressMax === 0) {
      socket.once("close", () => (this.#openCount -= 1));
      return;
    }
    const count = (this.#byGroup.get(group) ?? 0) + 1;
    this.#byGroup.set(group, count);
    socket.once("close", () => {
      this.#openCount -= 1;
      this.#leaveGroup(group);
    });
    if (count <= this.#perAddressMax) return;
    this.#refusedOfAddressCount += 1;
    const detail = `There are ${this.#perAddressMax} connections from this address; close some.`;
    cut(socket, new Problem("connectionLimit", detail));
  }

  #leaveGroup(group: string): void {
    const left = this.#byGroup.get(group)! - 1;
    if (left === 0) this.#byGroup.delete(group);
    else this.#byGroup.set(group, left);
  }

  /** Whether it is to be answered. */
  #begin(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    const connection = this.#connectionOf(socket);
    connection.underWay += 1;
    response.on("close", this.#onAnswered);
    if (connection.underWay > PIPELINED_MAX) {
      if (!socket.destroyed) this.#pipelineCount += 1;
      // Its answers would have to wait behind all the others.
      socket.destroy();
      return false;
    }
    const { "content-length": length, "transfer-encoding": coding } = request.headers;
    if (length === undefined && coding === undefined) {
      connection.upload = undefined;
      return true;
    }
    connection.upload = response;
    connection.seenAtMs = performance.now();
    connection.seenBytes = socket.bytesRead;
    return true;
  }

  #end(response: ServerResponse): void {
    const connection = this.#connections.get(response.req.socket);
    if (connection === undefined) return;
    connection.underWay -= 1;
    if (connection.upload === response) connection.upload = undefined;
  }

  #connectionOf(socket: Socket): Connection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = { socket, underWay: 0, upload: undefined, seenAtMs: 0, seenBytes: 0 };
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  #lookAtBodies(): void {
    const nowMs = performance.now();
    // If we come late, it was we who did not read.
    const isLate = nowMs - this.#lookedAtMs > (2 * this.#rateMs) / LOOKS;
    this.#lookedAtMs = nowMs;
    for (const connection of this.#connections.values()) {
      const { upload, socket } = connection;
      if (upload === undefined) continue;
      const request = upload.req;
      if (request.complete) {
        connection.upload = undefined;
        continue;
      }
      const { bytesRead } = socket;
      const isHeldByUs = isLate || request.isPaused() || request.readableLength > 0;
      if (!isHeldByUs && nowMs - connection.seenAtMs < this.#rateMs) continue;
      const wanted = (BODY_RATE_MIN * this.#rateMs) / 1_000;
      if (isHeldByUs || bytesRead - connection.seenBytes >= wanted) {
        connection.seenAtMs = nowMs;
        connection.seenBytes = bytesRead;
        continue;
      }
      connection.upload = undefined;
      this.#slowBodyCount += 1;
      const rate = `${BODY_RATE_MIN} bytes a second`;
      const detail = `The body came more slowly than ${rate}; send it in smaller requests.`;
      if (upload.headersSent) socket.destroy();
      else cut(socket, new Problem("requestTooSlow", detail));
    }
  }
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");
const MAPPED = "::ffff:";

/** What counts as one address; undefined: this machine, which has no bound. */
export function addressGroup(address: string): string | undefined {
  const isMapped = address.toLowerCase().startsWith(MAPPED) && address.includes(".");
  const plain = isMapped ? address.slice(MAPPED.length) : address;
  if (!isIPv6(plain)) return LOOPBACK.check(plain, "ipv4") ? undefined : plain;
  if (LOOPBACK.check(plain, "ipv6")) return undefined;
  return prefixOf(plain);
}

/** The first 64 bits, whatever way the address is written. */
function prefixOf(address: string): string {
  const [head = "", tail] = address.split("%", 1)[0]!.split("::", 2);
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  const numbers = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${numbers.join(":")}::/64`;
}

/** Says why, to whoever still listens, and hears no more. */
function cut(socket: Socket, { code, message, status }: Problem): void {
  socket.write(rawProblem(code, status, message));
  socket.destroySoon();
}

/** A whole answer, for who never got as far as a request that could be answered. */
function rawProblem(code: ProblemCode, status: number, detail: string): string {
  const { title } = PROBLEMS[code];
  const body = JSON.stringify({ type: "about:blank", title, status, detail, code });
  return (
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n` +
    body
  );
}
