/**
 * Bodies of the doors to moderation. They come as bytes, because a text that is not UTF-8 must be
 * refused and not silently become another one.
 */
import { Problem } from "#model/problem.ts";
import type { FastifyError, FastifyInstance, FastifyRequest } from "fastify";

const NEWLINE = 0x0a;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** In this scope a body is bytes, whatever its type, and its schema is for the reference alone. */
export function takeBytes(server: FastifyInstance): void {
  server.setValidatorCompiler(() => () => true);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => {
    const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
    if (encoding === "identity" || encoding === "") return done(null, body);
    const shown = JSON.stringify(encoding);
    return done(new Problem("encodingUnsupported", `${shown} is not taken here; send it plain.`));
  });
}

/** Of a scope without errors of its own form: they go on to the server's handler. */
export function sayLimit(server: FastifyInstance, bytesMax: number): void {
  server.setErrorHandler((error) => {
    throw withLimit(error, bytesMax);
  });
}

/** The framework's own error does not say how large it may be. */
export function withLimit(error: unknown, bytesMax: number): unknown {
  if ((error as FastifyError).code !== "FST_ERR_CTP_BODY_TOO_LARGE") return error;
  const detail = `The body is over ${bytesMax} bytes; send less at once.`;
  return new Problem("bodyTooLarge", detail, { members: { bodyBytesMax: bytesMax } });
}

export function bodyOf({ body }: FastifyRequest): Buffer {
  if (Buffer.isBuffer(body) && body.length > 0) return body;
  throw new Problem("malformedJson", "The body is empty; send JSON.");
}

/** Problems: invalidUtf8, malformedJson. */
export function parseJson(bytes: Buffer, what = "The body"): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Problem("invalidUtf8", `${what} is not valid UTF-8.`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // The words of the parser may quote what was said, so only the place is taken from them.
    const at = /position (\d+)/.exec((error as Error).message)?.[1];
    const place = at === undefined ? "" : ` (at character ${at})`;
    throw new Problem("malformedJson", `${what} is not valid JSON${place}.`);
  }
}

/** Lines that are not blank, as bytes: one that is not UTF-8 costs only itself. */
export function linesOf(body: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < body.length;) {
    const found = body.indexOf(NEWLINE, start);
    const end = found === -1 ? body.length : found;
    const line = body.subarray(start, end);
    if (line.some((byte) => byte > 0x20)) lines.push(line);
    start = end + 1;
  }
  return lines;
}

export function mediaTypeOf({ headers }: FastifyRequest): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}
