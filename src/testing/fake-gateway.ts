/** The other end of a shard's port to the gateway, for tests: it is told what to answer. */
import assert from "node:assert/strict";
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { AskedCall, CallEnd, CallMessage, EndMessage } from "#llm/protocol.ts";
import { type ConsultationFailure, judgementBytes } from "#model/consultation.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { readPromptParts } from "#model/prompt-parts.ts";

export class FakeGateway {
  /** The shard's end. */
  readonly port: MessagePort;
  readonly #port: MessagePort;
  /** In the order in which they came. */
  readonly asked: AskedCall[] = [];
  /** Numbers of calls, as they were cancelled. */
  readonly cancelled: number[] = [];
  /** Calls of each message. */
  readonly messageSizes: number[] = [];

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.#port = port2;
  }

  /** Calls that have come since the last look. */
  look(): readonly AskedCall[] {
    const before = this.asked.length;
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: CallMessage } | undefined;
      if (received === undefined) return this.asked.slice(before);
      const { message } = received;
      if (message.type === "cancel") this.cancelled.push(...message.requests);
      else {
        this.messageSizes.push(message.calls.length);
        this.asked.push(...message.calls);
      }
    }
  }

  /** Every score is `score`. */
  answer(request: number, score: number, reason: string): void {
    const answer = judgementBytes(
      CATEGORIES.map(() => score),
      reason,
    );
    this.end(request, { answer: new Uint8Array(answer), isCached: false });
  }

  fail(request: number, failure: ConsultationFailure, detail = "so it is"): void {
    this.end(request, { failure, detail });
  }

  end(request: number, end: CallEnd): void {
    const message: EndMessage = { type: "ends", ends: [{ request, end, waitMs: 1 }] };
    this.#port.postMessage(message);
  }

  close(): void {
    this.#port.close();
  }
}

/** What a call says, part by part. */
export function textsOfCall({ prompt }: AskedCall): readonly string[] {
  const parts = readPromptParts(prompt);
  assert.ok(parts !== undefined, "a prompt is parts");
  return parts.map(({ text }) => text);
}
