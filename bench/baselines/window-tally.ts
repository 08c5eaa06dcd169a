/**
 * What every baseline keeps of one tenant, written the way one writes it first: words counted in a
 * Map for each pane of 5 s, twelve of them for the window, the top of the window by sorting when
 * asked. All words are kept, so its counts are exact.
 */
import { PANE_MS, WINDOW_MS } from "#model/limits.ts";

export type WordCount = { readonly word: string; readonly count: number };

export type TenantAnswer = { readonly eventCount: number; readonly top: readonly WordCount[] };

type Pane = { startMs: number; eventCount: number; words: Map<string, number> };

export class WindowTally {
  #panes: Pane[] = [];

  add(text: string, nowMs: number): void {
    const pane = this.#paneAt(nowMs);
    pane.eventCount += 1;
    for (const word of text.toLowerCase().split(" ")) {
      pane.words.set(word, (pane.words.get(word) ?? 0) + 1);
    }
  }

  /** The most frequent words of the window, ties by the word itself. */
  answer(limit: number, nowMs: number): TenantAnswer {
    this.#drop(nowMs);
    const words = new Map<string, number>();
    let eventCount = 0;
    for (const pane of this.#panes) {
      eventCount += pane.eventCount;
      for (const [word, count] of pane.words) words.set(word, (words.get(word) ?? 0) + count);
    }
    const all = [...words].map(([word, count]) => ({ word, count }));
    all.sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1));
    return { eventCount, top: all.slice(0, limit) };
  }

  #paneAt(nowMs: number): Pane {
    const startMs = nowMs - (nowMs % PANE_MS);
    const newest = this.#panes.at(-1);
    if (newest !== undefined && newest.startMs === startMs) return newest;
    const pane = { startMs, eventCount: 0, words: new Map<string, number>() };
    this.#panes.push(pane);
    this.#drop(nowMs);
    return pane;
  }

  #drop(nowMs: number): void {
    const firstMs = nowMs - (nowMs % PANE_MS) + PANE_MS - WINDOW_MS;
    while (this.#panes.length > 0 && this.#panes[0]!.startMs < firstMs) this.#panes.shift();
  }
}
