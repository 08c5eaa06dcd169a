/** The windows of a summary as people name them, and which of them a tenant keeps. */
import { Problem } from "./problem.ts";
import { type Span, SPANS } from "./summary.ts";

/** In the order of SPANS. */
export const WINDOWS = ["60s", "10m", "1h", "24h", "all"] as const;
export type Window = (typeof WINDOWS)[number];

/** Kept by every tenant: trends stand on the first, the last is what was since the start. */
export const WINDOWS_ALWAYS: readonly Window[] = ["60s", "all"];

/** Bit n: span n. */
export const ALL_SPANS = 2 ** SPANS.length - 1;
const ALWAYS = spansOf(WINDOWS_ALWAYS);

export function isWindow(text: string): text is Window {
  return (WINDOWS as readonly string[]).includes(text);
}

/** `text` itself; anything else is the problem `windowUnknown`. */
export function requireWindow(text: string): Window {
  if (isWindow(text)) return text;
  const detail = `There is no window ${JSON.stringify(text)}; use ${wordList(WINDOWS)}.`;
  throw new Problem("windowUnknown", detail, { members: { windows: WINDOWS } });
}

export function spanOf(window: Window): Span {
  return SPANS[WINDOWS.indexOf(window)]!;
}

export function windowOf(span: Span): Window {
  return WINDOWS[SPANS.indexOf(span)]!;
}

/** The windows of a set of spans. */
export function windowsOf(spans: number): Window[] {
  return WINDOWS.filter((_, span) => (spans & (1 << span)) !== 0);
}

/** A set of spans. */
export function spansOf(windows: readonly Window[]): number {
  return windows.reduce((spans, window) => spans | (1 << WINDOWS.indexOf(window)), 0);
}

/** The same set, with those that every tenant keeps. */
export function withAlways(spans: number): number {
  return spans | ALWAYS;
}

export function hasSpan(spans: number, span: Span): boolean {
  return (spans & (1 << SPANS.indexOf(span))) !== 0;
}

/** What a caller reads who asks for a window that the tenant does not keep. */
export function windowOffDetail(tenant: string, window: Window, spans: number): string {
  const kept = windowsOf(spans);
  const next = JSON.stringify(windowsOf(spans | spansOf([window])));
  return (
    `${tenant} does not keep the window ${window}; it keeps ${kept.join(", ")}. ` +
    `PUT /v1/tenants/${tenant} with its clock and "windows": ${next} begins it.`
  );
}

function wordList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
