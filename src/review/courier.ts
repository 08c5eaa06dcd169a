/**
 * Brings what the outbox holds to its webhooks: signed, a few at once, with a limit of time, and
 * again later where it failed. It remembers nothing itself: what is due is asked of the store, and
 * what became of it is told there, so a restart loses nothing and may bring something twice, under
 * the same id.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { WEBHOOK_MS_MAX, WEBHOOK_SENDING_MAX } from "#model/limits.ts";
import type { Log } from "#observe/log.ts";
import type { Random } from "#std/random.ts";
import type { DueDelivery } from "./outbox.ts";
import type { StoreThread } from "./store-thread.ts";
import { signedHeaders } from "./webhook-signature.ts";
import { guardedLookup, requireWebhookUrl, type WebhookTargets } from "./webhook-target.ts";

export type Outgoing = {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Resolves with the status of the answer; rejects where there was none. */
export type Send = (outgoing: Outgoing) => Promise<number>;

export type CourierParts = {
  readonly store: Pick<StoreThread, "call">;
  readonly targets: WebhookTargets;
  /** Of the jitter. */
  readonly random: Random;
  readonly log: Log;
  readonly send?: Send;
  /** Room was made for another. */
  readonly arrived?: () => void;
};

export type Sent = { readonly status: number | undefined; readonly error: string | undefined };

/** A wait is this part of itself shorter or longer, so that retries do not come all at once. */
const JITTER = 0.2;

export class Courier {
  readonly #parts: CourierParts;
  readonly #send: Send;
  readonly #onTheirWay = new Map<number, Promise<void>>();

  constructor(parts: CourierParts) {
    this.#parts = parts;
    this.#send = parts.send ?? sender(parts.targets);
  }

  get sendingCount(): number {
    return this.#onTheirWay.size;
  }

  /**
   * Sends what is due, as much as may be at once; the rest follows when some has arrived. Resolves
   * with when the next falls due; undefined: none.
   */
  async round(nowMs: () => number): Promise<number | undefined> {
    const limit = WEBHOOK_SENDING_MAX;
    const { deliveries, nextDueMs } = await this.#parts.store.call("due", {
      nowMs: nowMs(),
      limit,
    });
    for (const delivery of deliveries) {
      if (this.#onTheirWay.size >= limit || this.#onTheirWay.has(delivery.seq)) continue;
      const way = this.#deliver(delivery, nowMs).finally(() => {
        this.#onTheirWay.delete(delivery.seq);
        this.#parts.arrived?.();
      });
      this.#onTheirWay.set(delivery.seq, way);
    }
    return nextDueMs;
  }

  /** Once all that is on its way has arrived or failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#onTheirWay.values());
  }

  /** One message, now, whatever becomes of it. */
  async try(
    target: { readonly url: string; readonly secret: string },
    message: { readonly id: string; readonly payload: string },
    nowMs: number,
  ): Promise<Sent> {
    const { id, payload } = message;
    try {
      const url = requireWebhookUrl(target.url, this.#parts.targets);
      const headers = {
        "content-type": "application/json",
        "user-agent": "NexusCore",
        ...signedHeaders(target.secret, id, payload, nowMs),
      };
      const status = await this.#send({ url, headers, body: payload });
      if (status >= 200 && status < 300) return { status, error: undefined };
      const isRedirect = status >= 300 && status < 400;
      return { status, error: isRedirect ? "redirects are not followed" : `answered ${status}` };
    } catch (error) {
      return { status: undefined, error: (error as Error).message };
    }
  }

  async #deliver(delivery: DueDelivery, nowMs: () => number): Promise<void> {
    const { seq, tenant, webhook } = delivery;
    const { random, store, log } = this.#parts;
    const sent = await this.try(delivery, delivery, nowMs());
    const jitter = 1 - JITTER + 2 * JITTER * random.unit();
    try {
      const became = await store.call("attempted", { seq, nowMs: nowMs(), jitter, ...sent });
      if (became.gaveUp) log.warn({ tenant, webhook }, "a webhook's delivery was given up");
      if (became.disabled) log.warn({ tenant, webhook }, "a webhook was disabled: it only fails");
    } catch {
      // The store cannot be had: the delivery is still due there, and is sent again.
    }
  }
}

function sender(targets: WebhookTargets): Send {
  return async ({ url, headers, body }) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const signal = AbortSignal.timeout(WEBHOOK_MS_MAX);
    const request = url.protocol === "https:" ? requestHttps : requestHttp;
    const lookup = guardedLookup(url, targets);
    const length = { "content-length": String(Buffer.byteLength(body)) };
    // No agent: a connection that is kept would not be looked up again.
    const options = { method: "POST", headers: { ...headers, ...length }, lookup, signal };
    const outgoing = request(url, { ...options, agent: false }, (response) => {
      resolve(response.statusCode ?? 0);
      // What it says beyond its status is of no use, however long it is.
      response.destroy();
    });
    outgoing.on("error", (error) => {
      reject(signal.aborted ? new Error(`no answer within ${WEBHOOK_MS_MAX} ms`) : error);
    });
    outgoing.end(body);
    return promise;
  };
}
