/**
 * Reads a request's body into memory, decompressing it on the way, within limits.
 *
 * Both what arrives and what comes out of the decoder are counted, so a bomb is stopped at the
 * limit and not when memory is. The decoder is fed by hand and not through `pipeline`, because that
 * would destroy the socket on an error, and with it the answer that says what was wrong.
 */
import type { BodyShare } from "#model/body-budget.ts";
import { BODY_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { Readable, Transform } from "node:stream";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

export type BodyHeaders = {
  readonly encoding: string | undefined;
  readonly contentLength: string | undefined;
};

/** The caller gives `body.length` bytes back to the budget once the body is no longer held. */
export async function readBody(
  source: Readable,
  headers: BodyHeaders,
  budget: BodyShare,
): Promise<Buffer> {
  const decoder = openDecoder(headers.encoding);
  if (Number(headers.contentLength ?? 0) > BODY_BYTES_MAX) {
    source.resume();
    throw tooLarge("The body");
  }
  const body = new BodyReader(source, decoder, budget);
  return body.done;
}

function openDecoder(encoding: string | undefined): Transform | undefined {
  const name = encoding?.trim().toLowerCase() ?? "identity";
  if (name === "identity" || name === "") return undefined;
  const open = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
  if (open !== undefined) return open();
  const known = "gzip, zstd, br, deflate or none";
  throw new Problem(
    "encodingUnsupported",
    `There is no decoder for ${JSON.stringify(name)}; use ${known}.`,
  );
}

function tooLarge(what: string): Problem {
  const detail = `${what} is over ${BODY_BYTES_MAX} bytes; send several requests.`;
  return new Problem("bodyTooLarge", detail, { members: { bodyBytesMax: BODY_BYTES_MAX } });
}

class BodyReader {
  readonly done: Promise<Buffer>;
  #source: Readable;
  #decoder: Transform | undefined;
  #budget: BodyShare;
  #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #bytes = 0;
  #settled = false;
  #resolve: (body: Buffer) => void;
  #reject: (error: Error) => void;

  constructor(source: Readable, decoder: Transform | undefined, budget: BodyShare) {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#source = source;
    this.#decoder = decoder;
    this.#budget = budget;
    source.on("data", this.#onReceived);
    source.once("end", this.#onSourceEnd);
    source.once("error", this.#onSourceError);
    source.once("close", this.#onSourceClose);
    if (decoder !== undefined) {
      decoder.on("data", this.#onDecoded);
      decoder.on("drain", this.#onDrain);
      decoder.once("end", this.#finish);
      decoder.on("error", this.#onDecoderError);
    }
  }

  #onReceived = (chunk: Buffer): void => {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > BODY_BYTES_MAX) this.#fail(tooLarge("The body"));
    else if (this.#decoder === undefined) this.#keep(chunk);
    else if (!this.#decoder.write(chunk)) this.#source.pause();
  };

  #onDecoded = (chunk: Buffer): void => {
    if (this.#settled) return;
    if (this.#bytes + chunk.length > BODY_BYTES_MAX) this.#fail(tooLarge("The decompressed body"));
    else this.#keep(chunk);
  };

  #keep(chunk: Buffer): void {
    if (!this.#budget.take(chunk.length)) {
      this.#fail(new Problem("busy", "Too many bodies are held at once; try again."));
      return;
    }
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
  }

  #onDrain = (): void => {
    this.#source.resume();
  };

  #onSourceEnd = (): void => {
    if (this.#decoder === undefined) this.#finish();
    else this.#decoder.end();
  };

  #onSourceError = (error: Error): void => {
    this.#fail(new Problem("badRequest", `The body broke off: ${error.message}.`));
  };

  #onSourceClose = (): void => {
    if (!this.#source.readableEnded) this.#fail(new Problem("badRequest", "The body broke off."));
  };

  #onDecoderError = (error: Error): void => {
    const detail = `The body is not what its content-encoding says: ${error.message}.`;
    this.#fail(new Problem("malformedEncoding", detail));
  };

  #finish = (): void => {
    if (this.#settled) return;
    this.#settled = true;
    const [first] = this.#chunks;
    const single = this.#chunks.length === 1 && first !== undefined;
    this.#resolve(single ? first : Buffer.concat(this.#chunks, this.#bytes));
  };

  #fail(problem: Problem): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#budget.give(this.#bytes);
    this.#chunks.length = 0;
    this.#source.off("data", this.#onReceived);
    this.#source.resume(); // The rest is read and thrown away, so that the client reads our answer.
    this.#decoder?.destroy();
    this.#reject(problem);
  }
}
