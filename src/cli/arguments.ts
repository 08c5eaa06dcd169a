/** What is typed after a flag, read; commander says what is wrong with it. */
import { isTenantId } from "#model/tenant.ts";
import { isWindow, WINDOWS } from "#model/window.ts";
import { InvalidArgumentError } from "commander";

export function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`Use an integer from ${min} on.`);
  };
}

export function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("Use an integer from 0 to 65535.");
}

export function parseShare(text: string): number {
  const share = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && share <= 1) return share;
  throw new InvalidArgumentError("Use a number from 0 to 1.");
}

export function parseSpeed(text: string): number {
  if (text === "max") return Infinity;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Use a number above 0, or max.");
}

export function parseSeconds(text: string): number {
  const value = Number(/^(\d+(?:\.\d+)?)s?$/.exec(text)?.[1]);
  if (value >= 1) return value * 1_000;
  throw new InvalidArgumentError("Use seconds from 1 on, such as 60s.");
}

export function parseWindow(text: string): string {
  if (isWindow(text)) return text;
  throw new InvalidArgumentError(`Use one of ${WINDOWS.join(", ")}.`);
}

export function parseTenant(text: string): string {
  if (isTenantId(text)) return text;
  throw new InvalidArgumentError("Use 1 to 64 of A-Z a-z 0-9 . _ : -");
}

export function parseUrl(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? "")) return text.replace(/\/+$/, "");
  throw new InvalidArgumentError("Use an address such as http://127.0.0.1:7070");
}
