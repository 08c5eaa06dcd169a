/**
 * The least HTTP/1.1 client that can load a server: one keep-alive connection, one request on its
 * way at a time, requests built beforehand. On a machine with few cores every cycle that the load
 * takes is one that the server does not get; a general client takes several times as many.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";

export type Reply = {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly body: string;
};

const CLOSED = "the server closed a connection";
const HEAD_END = "\r\n\r\n";

export function buildRequest(path: string, contentType: string, body: string): Buffer {
  const bytes = Buffer.from(body);
  const head =
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${contentType}\r\n` +
    `content-length: ${bytes.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
}

export class Connection {
  readonly #socket: Socket;
  #received = "";
  #waiting: PromiseWithResolvers<Reply> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text) => this.#take(String(text)));
    socket.on("error", (error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error(CLOSED)));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new Connection(socket);
  }

  send(request: Buffer): Promise<Reply> {
    assert(this.#waiting === undefined, "one request at a time");
    this.#waiting = Promise.withResolvers<Reply>();
    if (this.#socket.destroyed) this.#waiting.reject(new Error(CLOSED));
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = this.#received.slice(0, headEnd);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    assert(length !== undefined, "an answer says its length");
    const start = headEnd + HEAD_END.length;
    const end = start + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.slice(start, end);
    this.#received = this.#received.slice(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    const retryAfter = Number(/^retry-after: *(\d+)/im.exec(head)?.[1] ?? 1);
    waiting?.resolve({ status: Number(head.slice(9, 12)), retryAfterMs: retryAfter * 1000, body });
  }
}
