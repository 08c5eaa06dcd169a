/**
 * Asks senders for their names. A shard that holds records for want of a name notes the epoch with
 * the sender (drain/assembly/collect.ts); the receiver's thread looks at these notes once a turn
 * and sends the request of model/datagram.ts to where the sender was last seen. A request is 32
 * bytes, no larger than what it answers, and there is a limit a sender and a limit a look: a forged
 * source address gains nothing.
 */
import { HEADER_BYTES, KIND_REQUEST, writeHeader } from "#model/datagram.ts";
import { SENDER_BYTES, SENDER_WANTED, SENDERS } from "./layout.gen.ts";
import type { StageHandle } from "./stage.ts";
import { REQUESTS_FAILED, REQUESTS_SENT } from "./stage-stats.ts";

export const REQUEST_BYTES = HEADER_BYTES;
/** Clients hear one request a second; a little more, so that none comes too early. */
export const REQUEST_MS_MIN = 1_100;
/** Requests of one look. */
export const REQUESTS_MAX = 64;
/** A note this many epochs old is still meant: shards read an epoch after it has turned. */
const WANTED_EPOCHS = 2;

/** Sends to the sender of a number; false: its address is not known, or the system refused. */
export type SendRequest = (number: number, request: Uint8Array) => boolean;

export class Requests {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #layout: StageHandle["layout"];
  readonly #askedMs = new Float64Array(SENDERS).fill(-Infinity);
  readonly #request = new Uint8Array(REQUEST_BYTES);
  readonly #requestView = new DataView(this.#request.buffer);
  /** Where the next look begins: nobody waits behind others for ever. */
  #next = 0;

  constructor({ memory, layout }: StageHandle) {
    this.#words = new Int32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#layout = layout;
  }

  send(nowMs: number, sendRequest: SendRequest): void {
    const epoch = Atomics.load(this.#words, this.#layout.shared >>> 2);
    let asked = 0;
    for (let i = 0; i < SENDERS && asked < REQUESTS_MAX; i++) {
      const number = this.#next;
      this.#next = (number + 1) % SENDERS;
      if (!this.#isWanted(number, epoch) || nowMs - this.#askedMs[number]! < REQUEST_MS_MIN)
        continue;
      const sender = this.#view.getBigUint64(this.#layout.senderIds + number * 8, true);
      if (sender === 0n) continue;
      asked += 1;
      this.#askedMs[number] = nowMs;
      writeHeader(this.#requestView, { kind: KIND_REQUEST, count: 0, sender, sequence: 0 });
      this.#count(sendRequest(number, this.#request) ? REQUESTS_SENT : REQUESTS_FAILED);
    }
  }

  #isWanted(number: number, epoch: number): boolean {
    const at = this.#layout.senders + number * SENDER_BYTES + SENDER_WANTED;
    const wanted = Atomics.load(this.#words, at >>> 2);
    return wanted !== 0 && ((epoch - wanted) | 0) <= WANTED_EPOCHS;
  }

  #count(offset: number): void {
    const at = this.#layout.receiverCounters + offset;
    this.#view.setBigUint64(at, this.#view.getBigUint64(at, true) + 1n, true);
  }
}
