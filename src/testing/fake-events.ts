/** The events of an offer, as a fake engine reads them. */
import type { Offer } from "#engine/door.ts";
import { Problem } from "#model/problem.ts";

export type FakeEvent = {
  id?: string;
  tenant?: string;
  user?: string;
  conversation?: string;
  text?: string;
  metrics?: Record<string, number>;
  tsMs?: number;
};

/** The values of a body; undefined where one is not JSON. */
export function eventsOf({ body, format }: Offer): unknown[] {
  const text = Buffer.from(body).toString("utf8");
  if (format === "json") {
    const value = parse(text);
    if (value === undefined) throw new Problem("malformedJson", "The body is not valid JSON.");
    return Array.isArray(value) ? value : [value];
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parse);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
