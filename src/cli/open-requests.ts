/**
 * Requests that are not answered yet. While a stop waits for them the server goes on listening, so
 * that whoever asks whether it is ready is told that it is not, instead of nothing.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";

export class OpenRequests {
  readonly #open = new Set<ServerResponse>();
  #whenIdle: (() => void) | undefined;

  constructor(server: Pick<Server, "on">) {
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => {
      this.#open.add(response);
      response.once("close", () => {
        this.#open.delete(response);
        if (this.#isIdle()) this.#whenIdle?.();
      });
    });
  }

  /** Resolves once all are answered but streams, which have no end of their own; or in time. */
  async idle(msMax: number): Promise<void> {
    if (this.#isIdle()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenIdle = resolve;
    const timer = setTimeout(resolve, msMax);
    await promise;
    clearTimeout(timer);
  }

  #isIdle(): boolean {
    for (const response of this.#open) if (!isStream(response)) return false;
    return true;
  }
}

function isStream(response: ServerResponse): boolean {
  return String(response.getHeader("content-type") ?? "").startsWith("text/event-stream");
}
