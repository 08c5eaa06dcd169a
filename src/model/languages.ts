/** How well a language is judged; what is not here is not judged at all. */
import type { LanguageSupport } from "./moderation.ts";

const FULL: ReadonlySet<string> = new Set(["en"]);
const LISTS: ReadonlySet<string> = new Set(["de", "es", "fr", "it", "nl", "pl", "pt"]);

/** Of a primary tag. */
export function supportOf(tag: string): LanguageSupport {
  if (FULL.has(tag)) return "full";
  return LISTS.has(tag) ? "lists" : "none";
}
