/**
 * Webhooks and what is to be delivered to them. A delivery is written in the transaction of what it
 * tells of, so it is neither lost nor told of what did not happen; it stays until it was delivered
 * or given up. The id of a message follows from its subject: sent again, it is the same.
 */
import { createHash } from "node:crypto";
import {
  REVIEW_HISTORY_MAX,
  WEBHOOK_FAILURES_MAX,
  WEBHOOK_RETRY_MS,
  WEBHOOK_SENDING_EACH_MAX,
  WEBHOOK_WAITING_MAX,
  WEBHOOKS_MAX,
} from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Delivery, Webhook, WebhookEvent } from "#model/review.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf, numberOf, type Row, textOf } from "./database.ts";

export type Happening = {
  readonly tenant: string;
  readonly event: WebhookEvent;
  /** What it is about: with the event it makes the id. */
  readonly subject: string;
  readonly atMs: number;
  readonly user: string | undefined;
  readonly conversation: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
};

export type PutWebhookRequest = {
  readonly tenant: string;
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly enabled: boolean;
  /** Taken for a new one, or in the place of the old one. */
  readonly secret: string;
  readonly rotateSecret: boolean;
  readonly nowMs: number;
};

export type PutWebhookAnswer = { readonly webhook: Webhook; readonly secret: string | undefined };

/** A delivery, and where it goes. */
export type DueDelivery = {
  readonly seq: number;
  readonly tenant: string;
  readonly webhook: string;
  readonly id: string;
  readonly payload: string;
  readonly url: string;
  readonly secret: string;
  readonly attemptCount: number;
};

export type AttemptRequest = {
  readonly seq: number;
  readonly nowMs: number;
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  /** Undefined: it was delivered. */
  readonly error: string | undefined;
  /** Around 1; what a wait is multiplied by. */
  readonly jitter: number;
};

export type AttemptAnswer = { readonly gaveUp: boolean; readonly disabled: boolean };

export class Outbox {
  readonly #database: Database;
  readonly #audit: AuditLog;

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  tell({ tenant, event, subject, atMs, user, conversation, data }: Happening): void {
    const webhooks = this.#database.all(
      "SELECT * FROM webhooks WHERE tenant = ? AND enabled = 1",
      tenant,
    );
    for (const row of webhooks) {
      const webhook = String(row["id"]);
      if (!jsonOf<readonly string[]>(row["events"]).includes(event)) continue;
      if (this.#count(tenant, webhook, "waiting") >= WEBHOOK_WAITING_MAX) {
        this.#database.run(
          "UPDATE webhooks SET lost_count = lost_count + 1 WHERE tenant = ? AND id = ?",
          tenant,
          webhook,
        );
        continue;
      }
      const timestamp = new Date(atMs).toISOString();
      const payload = JSON.stringify({ type: event, timestamp, data: { tenant, ...data } });
      this.#database.run(
        `INSERT INTO deliveries (tenant, webhook, id, event, payload, author, conversation, state,
          attempt_count, created_ms, due_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?) ON CONFLICT DO NOTHING`,
        tenant,
        webhook,
        messageId(tenant, webhook, event, subject),
        event,
        payload,
        user,
        conversation,
        atMs,
        atMs,
      );
    }
  }

  put(request: PutWebhookRequest): PutWebhookAnswer {
    const { tenant, id, url, events, enabled, secret, rotateSecret, nowMs } = request;
    const before = this.#row(tenant, id);
    if (before === undefined) {
      const sql = "SELECT count(*) AS n FROM webhooks WHERE tenant = ?";
      if (Number(this.#database.get(sql, tenant)?.["n"]) >= WEBHOOKS_MAX) {
        throw new Problem("webhookLimit", `${tenant} has ${WEBHOOKS_MAX} webhooks; delete one.`);
      }
    }
    const isNew = before === undefined || rotateSecret;
    this.#database.run(
      `INSERT INTO webhooks (tenant, id, url, events, secret, enabled, failure_count,
        delivered_count, gave_up_count, lost_count, created_ms, updated_ms)
      VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?)
      ON CONFLICT DO UPDATE SET url = excluded.url, events = excluded.events,
        secret = excluded.secret, enabled = excluded.enabled, disabled_reason = NULL,
        failure_count = 0, updated_ms = excluded.updated_ms`,
      tenant,
      id,
      url,
      JSON.stringify(events),
      isNew ? secret : textOf(before["secret"]),
      enabled ? 1 : 0,
      nowMs,
      nowMs,
    );
    const action = before === undefined ? "webhookCreated" : "webhookChanged";
    this.#audit.add({ tenant, atMs: nowMs, action, detail: { webhook: id, enabled } });
    return { webhook: this.get(tenant, id), secret: isNew ? secret : undefined };
  }

  get(tenant: string, id: string): Webhook {
    const row = this.#row(tenant, id);
    if (row === undefined) throw unknown(tenant, id);
    return this.#webhookOf(row);
  }

  list(tenant: string): readonly Webhook[] {
    const rows = this.#database.all("SELECT * FROM webhooks WHERE tenant = ? ORDER BY id", tenant);
    return rows.map((row) => this.#webhookOf(row));
  }

  delete(tenant: string, id: string, nowMs: number): void {
    const sql = "DELETE FROM webhooks WHERE tenant = ? AND id = ?";
    if (this.#database.run(sql, tenant, id) === 0) throw unknown(tenant, id);
    this.#database.run("DELETE FROM deliveries WHERE tenant = ? AND webhook = ?", tenant, id);
    this.#audit.add({ tenant, atMs: nowMs, action: "webhookDeleted", detail: { webhook: id } });
  }

  /** Where a message for trial goes. */
  target(tenant: string, id: string): { readonly url: string; readonly secret: string } {
    const row = this.#row(tenant, id);
    if (row === undefined) throw unknown(tenant, id);
    return { url: String(row["url"]), secret: String(row["secret"]) };
  }

  /** The oldest of each webhook, so that one that is behind does not hold up the others. */
  due(nowMs: number, limit: number): readonly DueDelivery[] {
    const rows = this.#database.all(
      `SELECT * FROM (
        SELECT deliveries.*, webhooks.url, webhooks.secret,
          row_number() OVER (PARTITION BY deliveries.tenant, webhook ORDER BY due_ms, seq) AS place
        FROM deliveries
        JOIN webhooks ON webhooks.tenant = deliveries.tenant AND webhooks.id = webhook
        WHERE state = 'waiting' AND due_ms <= ? AND enabled = 1)
      WHERE place <= ? ORDER BY due_ms, seq LIMIT ?`,
      nowMs,
      WEBHOOK_SENDING_EACH_MAX,
      limit,
    );
    return rows.map((row) => ({
      seq: Number(row["seq"]),
      tenant: String(row["tenant"]),
      webhook: String(row["webhook"]),
      id: String(row["id"]),
      payload: String(row["payload"]),
      url: String(row["url"]),
      secret: String(row["secret"]),
      attemptCount: Number(row["attempt_count"]),
    }));
  }

  /** When one falls due that is not yet; undefined: none. */
  nextDueMs(nowMs: number): number | undefined {
    const row = this.#database.get(
      `SELECT min(due_ms) AS due FROM deliveries
      JOIN webhooks ON webhooks.tenant = deliveries.tenant AND webhooks.id = webhook
      WHERE state = 'waiting' AND due_ms > ? AND enabled = 1`,
      nowMs,
    );
    return numberOf(row?.["due"]);
  }

  attempted({ seq, nowMs, status, error, jitter }: AttemptRequest): AttemptAnswer {
    const row = this.#database.get("SELECT * FROM deliveries WHERE seq = ?", seq);
    // It was deleted while it was on its way.
    if (row === undefined) return { gaveUp: false, disabled: false };
    const tenant = String(row["tenant"]);
    const webhook = String(row["webhook"]);
    const count = Number(row["attempt_count"]);
    const waitMs = WEBHOOK_RETRY_MS[count];
    const state = error === undefined ? "delivered" : waitMs === undefined ? "gaveUp" : "waiting";
    this.#database.run(
      `UPDATE deliveries SET state = ?, attempt_count = attempt_count + 1, status = ?, error = ?,
        due_ms = ?, payload = ? WHERE seq = ?`,
      state,
      status,
      error,
      state === "waiting" ? Math.round(nowMs + waitMs! * jitter) : undefined,
      // Once it is over, nothing of it needs to be kept but that it was.
      state === "waiting" ? textOf(row["payload"]) : undefined,
      seq,
    );
    if (error === undefined) {
      this.#database.run(
        `UPDATE webhooks SET failure_count = 0, delivered_count = delivered_count + 1
        WHERE tenant = ? AND id = ?`,
        tenant,
        webhook,
      );
      return { gaveUp: false, disabled: false };
    }
    const gaveUp = state === "gaveUp";
    this.#database.run(
      `UPDATE webhooks SET failure_count = failure_count + 1, gave_up_count = gave_up_count + ?
      WHERE tenant = ? AND id = ?`,
      gaveUp ? 1 : 0,
      tenant,
      webhook,
    );
    return { gaveUp, disabled: this.#mayDisable(tenant, webhook, error, nowMs) };
  }

  #mayDisable(tenant: string, id: string, error: string, nowMs: number): boolean {
    const row = this.#row(tenant, id);
    if (row === undefined || row["enabled"] === 0) return false;
    if (Number(row["failure_count"]) < WEBHOOK_FAILURES_MAX) return false;
    const reason = `${WEBHOOK_FAILURES_MAX} attempts in a row failed; the last: ${error}`;
    this.#database.run(
      `UPDATE webhooks SET enabled = 0, disabled_reason = ?, updated_ms = ?
      WHERE tenant = ? AND id = ?`,
      reason,
      nowMs,
      tenant,
      id,
    );
    this.#audit.add({ tenant, atMs: nowMs, action: "webhookDisabled", detail: { webhook: id } });
    return true;
  }

  #row(tenant: string, id: string): Row | undefined {
    return this.#database.get("SELECT * FROM webhooks WHERE tenant = ? AND id = ?", tenant, id);
  }

  #count(tenant: string, webhook: string, state: Delivery["state"]): number {
    const sql =
      "SELECT count(*) AS n FROM deliveries WHERE tenant = ? AND webhook = ? AND state = ?";
    return Number(this.#database.get(sql, tenant, webhook, state)?.["n"]);
  }

  #webhookOf(row: Row): Webhook {
    const tenant = String(row["tenant"]);
    const id = String(row["id"]);
    const deliveries = this.#database.all(
      "SELECT * FROM deliveries WHERE tenant = ? AND webhook = ? ORDER BY seq DESC LIMIT ?",
      tenant,
      id,
      REVIEW_HISTORY_MAX,
    );
    return {
      id,
      url: String(row["url"]),
      events: jsonOf(row["events"]),
      enabled: row["enabled"] === 1,
      disabledReason: textOf(row["disabled_reason"]),
      failureCount: Number(row["failure_count"]),
      waitingCount: this.#count(tenant, id, "waiting"),
      deliveredCount: Number(row["delivered_count"]),
      gaveUpCount: Number(row["gave_up_count"]),
      lostCount: Number(row["lost_count"]),
      createdAtMs: Number(row["created_ms"]),
      updatedAtMs: Number(row["updated_ms"]),
      deliveries: deliveries.map(deliveryOf),
    };
  }
}

function deliveryOf(row: Row): Delivery {
  return {
    id: String(row["id"]),
    event: String(row["event"]),
    state: row["state"] as Delivery["state"],
    attemptCount: Number(row["attempt_count"]),
    createdAtMs: Number(row["created_ms"]),
    dueAtMs: numberOf(row["due_ms"]),
    status: numberOf(row["status"]),
    error: textOf(row["error"]),
  };
}

function messageId(...parts: readonly string[]): string {
  return `msg_${createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 32)}`;
}

function unknown(tenant: string, id: string): Problem {
  return new Problem("webhookUnknown", `${tenant} has no webhook ${id}.`);
}
