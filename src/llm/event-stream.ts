/**
 * An answer that the server streams, put together: `text/event-stream` of OpenAI's form, a chunk of
 * the answer an event, `data: [DONE]` at the end. We ask for none, because nobody is told half of
 * an answer (a number in it may be wrong); but some servers stream all the same.
 *
 * Lines end in \n, \r or \r\n (WHATWG HTML, section 9.2); only fields `data` count; an event ends
 * with an empty line. Everything is bounded: a line, the answer, and all bytes together.
 */
import { StringDecoder } from "node:string_decoder";
import type { TokenUsage } from "#model/consultation.ts";
import { UPSTREAM_ANSWER_BYTES_MAX } from "#model/limits.ts";
import { answerOf, failed, fieldOf, type UpstreamAnswer, usageOf } from "./completion.ts";

/** A chunk of some characters comes in some 250 bytes. */
const STREAM_BYTES_MAX = 64 * UPSTREAM_ANSWER_BYTES_MAX;
const LINE_CHARACTERS_MAX = UPSTREAM_ANSWER_BYTES_MAX;
const TOO_LONG = `A streamed answer of more than ${UPSTREAM_ANSWER_BYTES_MAX} bytes.`;

export class EventStream {
  readonly #decoder = new StringDecoder("utf8");
  #byteCount = 0;
  /** Of a line that has not ended. */
  #line = "";
  /** Of an event that has not ended. */
  #data = "";
  #content = "";
  #finish: unknown;
  #isRefusal = false;
  #usage: TokenUsage | undefined;
  /** It said that nothing follows, or why it ended. */
  #isWhole = false;
  #problem: string | undefined;

  /** False: it is bad, as `end` says; more of it changes nothing. */
  add(chunk: Uint8Array): boolean {
    this.#byteCount += chunk.length;
    if (this.#byteCount > STREAM_BYTES_MAX) this.#problem = TOO_LONG;
    if (this.#problem !== undefined) return false;
    this.#takeLines(this.#decoder.write(chunk));
    if (this.#line.length > LINE_CHARACTERS_MAX) this.#problem ??= TOO_LONG;
    if (this.#content.length > UPSTREAM_ANSWER_BYTES_MAX) this.#problem ??= TOO_LONG;
    return this.#problem === undefined;
  }

  /** What it was, once nothing follows. */
  end(): UpstreamAnswer {
    if (this.#problem !== undefined) return failed("malformed", this.#problem);
    if (!this.#isWhole) {
      const detail = "A streamed answer broke off.";
      return failed("unavailable", detail, { mayRetry: true, opensBreaker: true });
    }
    return answerOf({
      content: this.#content,
      finish: this.#finish,
      isRefusal: this.#isRefusal,
      usage: this.#usage,
    });
  }

  #takeLines(text: string): void {
    const all = this.#line + text;
    const ends = /[\r\n]/g;
    // What was there before had no end, but for a \r that waits for what follows.
    ends.lastIndex = Math.max(this.#line.length - 1, 0);
    let from = 0;
    for (let match = ends.exec(all); match !== null; match = ends.exec(all)) {
      const at = match.index;
      if (all[at] === "\r" && at + 1 === all.length) break;
      this.#takeLine(all.slice(from, at));
      from = all[at] === "\r" && all[at + 1] === "\n" ? at + 2 : at + 1;
      ends.lastIndex = from;
    }
    this.#line = all.slice(from);
  }

  #takeLine(line: string): void {
    if (line === "") {
      if (this.#data !== "") this.#takeEvent(this.#data);
      this.#data = "";
    } else if (line.startsWith("data:")) {
      this.#data += line.slice(line[5] === " " ? 6 : 5);
      if (this.#data.length > LINE_CHARACTERS_MAX) this.#problem ??= TOO_LONG;
    }
  }

  #takeEvent(data: string): void {
    if (data === "[DONE]") {
      this.#isWhole = true;
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      this.#problem ??= "An event of a streamed answer that is not JSON.";
      return;
    }
    if (fieldOf(value, "error") !== undefined) {
      this.#problem ??= "The server failed while it streamed the answer.";
    }
    const usage = fieldOf(value, "usage");
    if (typeof usage === "object" && usage !== null) this.#usage = usageOf(usage);
    const choices = fieldOf(value, "choices");
    if (Array.isArray(choices)) this.#takeChoice(choices[0]);
  }

  #takeChoice(choice: unknown): void {
    const delta = fieldOf(choice, "delta");
    const content = fieldOf(delta, "content");
    if (typeof content === "string") this.#content += content;
    if (typeof fieldOf(delta, "refusal") === "string") this.#isRefusal = true;
    const finish = fieldOf(choice, "finish_reason");
    if (typeof finish !== "string") return;
    this.#finish = finish;
    this.#isWhole = true;
  }
}
