/**
 * What a stand-in upstream answers: something of the schema that is asked for, that follows from
 * the prompt alone. It reads prompts as fence.ts writes them, by nothing but how lines begin. It is
 * no model: it knows a few obvious words, and retells what it is told in sentences of its own.
 */
import { type Category, eachCategory } from "#model/moderation.ts";

/** What stands under one heading of a case: the first line in brackets is a name. */
type QuotedPart = { readonly heading: string; readonly name: string; readonly lines: string[] };
type QuotedCase = { readonly id: string; readonly parts: QuotedPart[] };

type Words = {
  readonly pattern: RegExp;
  readonly what: string;
  readonly scores: Readonly<Partial<Record<Category, number>>>;
};

const WORDS: readonly Words[] = [
  {
    pattern: /\b(idiots?|morons?|stupid|dumb|shut up|losers?|clowns?|pathetic|trash)\b/i,
    what: "an insult",
    scores: { toxicity: 0.9, insult: 0.9 },
  },
  {
    pattern: /\b(kill|hurt|destroy|find) you\b/i,
    what: "a threat",
    scores: { toxicity: 0.85, severeToxicity: 0.6, threat: 0.9 },
  },
  {
    pattern: /\b(vermin|subhuman|deport(ed)?)\b/i,
    what: "an attack on people for what they are",
    scores: { toxicity: 0.9, severeToxicity: 0.55, identityAttack: 0.9 },
  },
  {
    pattern: /\b(fuck\w*|shit\w*|crap|damn)\b/i,
    what: "a swear word",
    scores: { toxicity: 0.3, profanity: 0.9 },
  },
  {
    pattern: /\b(nudes?|horny|sexy)\b/i,
    what: "something sexual",
    scores: { toxicity: 0.3, sexual: 0.85 },
  },
  {
    pattern: /\b(kill|hurt|end) (myself|it all)\b/i,
    what: "self-harm",
    scores: { selfHarm: 0.9 },
  },
];
const AGREES = /^\W*(exactly|agreed?|yes|true|same|well said|do it|right)\b/i;
const IN_JEST = /(\b(lol|lmao|haha\w*|jk|just kidding)\b|[:;]-?[)Dp]|😂|😄|😉)/iu;
const CLEAN = 0.1;
/** By what a jest is less; a score that is divided by it stays a round number. */
const JEST = 2.5;

const QUOTE_CHARACTERS_MAX = 100;
const SENTENCE_CHARACTERS_MAX = 240;
const SUMMARY_CHARACTERS_MAX = 900;

/** `name`: of the schema. */
export function answerTo(name: string, prompt: string): string {
  const answers = casesOf(prompt).map(({ id, parts }) => ({ id, ...answer(name, parts) }));
  return JSON.stringify({ answers });
}

/** The first JSON that a text of the prompt has, or an empty text. */
export function dictated(prompt: string): string {
  const texts = prompt.split("\n").filter((line) => line.startsWith("| "));
  return /\{.*\}/s.exec(texts.map((line) => line.slice(2)).join("\n"))?.[0] ?? "";
}

function answer(name: string, parts: readonly QuotedPart[]): object {
  if (name === "tldr") return { sentences: tellNow(parts) };
  if (name === "rolling") return { summary: tellSoFar(parts) };
  return judge(parts);
}

/** The message alone, but for two things: a jest counts less, and so does who agrees count more. */
function judge(parts: readonly QuotedPart[]): object {
  const scores: Record<Category, number> = eachCategory(() => 0);
  const message = textOf(parts.at(-1));
  const found = WORDS.filter(({ pattern }) => pattern.test(message));
  const isJest = IN_JEST.test(message);
  for (const words of found) {
    for (const [category, score] of Object.entries(words.scores) as [Category, number][]) {
      scores[category] = Math.max(scores[category], isJest ? score / JEST : score);
    }
  }
  const before = parts.filter(({ heading }) => heading.startsWith("earlier message"));
  const harm = WORDS.find(({ pattern }) => pattern.test(textOf(before.at(-1))));
  const isHarmfulReply = found.length === 0 && harm !== undefined && AGREES.test(message);
  if (isHarmfulReply) Object.assign(scores, { toxicity: 0.85, harmfulReply: 0.9 });
  scores.toxicity = Math.max(scores.toxicity, CLEAN);
  scores.insult = Math.max(scores.insult, CLEAN);
  const what = isHarmfulReply
    ? `it agrees with ${harm.what}`
    : found.map((words) => words.what).join(", ");
  const tone = isJest && found.length > 0 ? ", in jest" : "";
  return { scores, reason: `By word lists, not by a model: ${what || "nothing found"}${tone}.` };
}

/** Numbers are those of the record, as it says them. */
function tellNow(parts: readonly QuotedPart[]): string[] {
  const records = parts.filter(({ heading }) => heading === "record");
  const standsOut = records.find((part) => textOf(part).endsWith("it stands out"));
  const leads = standsOut ?? records.find(({ name }) => name.startsWith("“"));
  const sentences: string[] = [];
  if (leads !== undefined) {
    const counts = textOf(leads).replace(/, usually .*$/s, "");
    const opening =
      standsOut === undefined ? "Nothing stands out; talk touches on" : "It is all about";
    sentences.push(`${opening} ${leads.name}: ${counts}.`);
  }
  const quote = records.find(({ name }) => name === "somebody said");
  if (quote !== undefined) sentences.push(`As somebody puts it, ${cut(textOf(quote))}`);
  const rest = sentences.length > 0 ? sentences : [textOf(parts.at(0)) || "Nothing was said."];
  return rest.map((sentence) => sentence.slice(0, SENTENCE_CHARACTERS_MAX));
}

/**
 * The summary so far and what was said since, the oldest left out where there is no room. What is
 * open or decided was said, so it is there already.
 */
function tellSoFar(parts: readonly QuotedPart[]): string {
  const said = parts.filter(({ heading }) => heading !== "record");
  const pieces = (said.length > 0 ? said : parts).flatMap((part) => {
    const text = textOf(part);
    if (text === "") return [];
    if (part.heading.startsWith("summary")) return text.split(/(?<=[.?!”]) /);
    return [part.name === "" ? cut(text) : `${part.name}: ${cut(text)}`];
  });
  let summary = "";
  for (const piece of pieces.toReversed()) {
    const longer = summary === "" ? piece : `${piece} ${summary}`;
    if (longer.length > SUMMARY_CHARACTERS_MAX) break;
    summary = longer;
  }
  return summary || "Nothing was said.";
}

/** By whole words: half a number is another one. */
function cut(text: string): string {
  const line = text.replaceAll("\n", " ");
  if (line.length <= QUOTE_CHARACTERS_MAX) return /[.!?…”]$/.test(line) ? line : `${line}.`;
  return `${line.slice(0, QUOTE_CHARACTERS_MAX).replace(/\s\S*$/, "")} …`;
}

function textOf(part: QuotedPart | undefined): string {
  return part?.lines.join("\n") ?? "";
}

function casesOf(prompt: string): readonly QuotedCase[] {
  const cases: QuotedCase[] = [];
  let part: { heading: string; name: string; lines: string[] } | undefined;
  for (const line of prompt.split("\n")) {
    const [, words] = /^#[0-9a-f]+ (.+)$/.exec(line) ?? [];
    if (words !== undefined) {
      const id = /^case (\S+)$/.exec(words)?.[1];
      part = id === undefined ? { heading: words, name: "", lines: [] } : undefined;
      if (id !== undefined) cases.push({ id, parts: [] });
      else if (part !== undefined && !words.startsWith("end of case"))
        cases.at(-1)?.parts.push(part);
    } else if (line.startsWith("| ") && part !== undefined) {
      const name =
        part.name === "" && part.lines.length === 0 ? /^\| \((.+)\)$/.exec(line)?.[1] : undefined;
      if (name === undefined) part.lines.push(line.slice(2));
      else part.name = name;
    }
  }
  return cases;
}
