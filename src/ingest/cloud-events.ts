/**
 * CloudEvents 1.0 over HTTP, binary mode: attributes in `ce-*` headers, data in the body. They are
 * made into the structured envelope that the engine reads, without parsing the data.
 */
import { LINE_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { IncomingHttpHeaders } from "node:http";

const CONTENT_TYPE_JSON = /^application\/(?:[\w.+-]+\+)?json$/;
const HEADER_BYTES_MAX = 1_024;

/** Attributes that the engine reads; the rest of the context is of no use to a summary. */
const ATTRIBUTES = ["specversion", "id", "source", "type", "subject", "time"] as const;
const REQUIRED = ["id", "source", "type"] as const;

export function isBinaryCloudEvent(headers: IncomingHttpHeaders): boolean {
  return headers["ce-specversion"] !== undefined;
}

/** The structured envelope around `data`. `mediaType` is that of the data, without parameters. */
export function structuredEnvelope(
  headers: IncomingHttpHeaders,
  mediaType: string,
  data: Buffer,
): Buffer {
  const attributes: Record<string, string> = {};
  for (const name of ATTRIBUTES) {
    const value = headers[`ce-${name}`];
    if (typeof value === "string") attributes[name] = decodeHeader(name, value);
  }
  const version = attributes["specversion"];
  if (version !== "1.0") {
    throw new Problem("badRequest", `ce-specversion is ${JSON.stringify(version)}; use 1.0.`);
  }
  for (const name of REQUIRED) {
    if (attributes[name] === undefined || attributes[name] === "") {
      throw new Problem("badRequest", `A CloudEvent needs the header ce-${name}.`);
    }
  }
  // One event, so the limit of one event; the text in its quotes may be several times as long.
  if (data.length > LINE_BYTES_MAX) {
    const detail = `The event is over ${LINE_BYTES_MAX} bytes of JSON.`;
    throw new Problem("bodyTooLarge", detail, { members: { lineBytesMax: LINE_BYTES_MAX } });
  }
  const head = `${JSON.stringify(attributes).slice(0, -1)},"data":`;
  return Buffer.concat([Buffer.from(head), dataOf(mediaType, data), Buffer.from("}")]);
}

function dataOf(mediaType: string, data: Buffer): Buffer {
  if (mediaType === "" || CONTENT_TYPE_JSON.test(mediaType)) return data;
  if (mediaType === "text/plain") {
    return Buffer.from(JSON.stringify({ text: data.toString("utf8") }));
  }
  const detail = `The data is ${mediaType}; use application/json, or text/plain for a text alone.`;
  throw new Problem("mediaTypeUnsupported", detail);
}

/** Header values are percent-encoded UTF-8 (HTTP binding, 3.1.3.2). */
function decodeHeader(name: string, value: string): string {
  if (value.length <= HEADER_BYTES_MAX) {
    try {
      return decodeURIComponent(value);
    } catch {
      // Falls through to the problem below.
    }
  }
  throw new Problem("badRequest", `The header ce-${name} is not percent-encoded text of 1 KiB.`);
}
