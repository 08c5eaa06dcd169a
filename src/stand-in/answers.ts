/**
 * What a stand-in upstream answers: something of the schema that is asked for, that follows from
 * the prompt alone. It reads prompts as fence.ts writes them, by nothing but how lines begin.
 */
import { eachCategory } from "#model/moderation.ts";

type QuotedCase = { readonly id: string; readonly lines: string[] };

const RUDE = /\b(idiot|moron|stupid|shut up|loser)\b/i;
const THREAT = /\b(kill|hurt|destroy) you\b/i;

/** `name`: of the schema. */
export function answerTo(name: string, prompt: string): string {
  const answers = casesOf(prompt).map(({ id, lines }) => ({ id, ...answer(name, lines) }));
  return JSON.stringify({ answers });
}

/** The first JSON that a text of the prompt has, or an empty text. */
export function dictated(prompt: string): string {
  const texts = prompt.split("\n").filter((line) => line.startsWith("| "));
  return /\{.*\}/s.exec(texts.map((line) => line.slice(2)).join("\n"))?.[0] ?? "";
}

function answer(name: string, lines: readonly string[]): object {
  const last = lines.at(-1) ?? "";
  if (name === "tldr") return { sentences: [lines.slice(0, 2).join(" ").slice(0, 240) || "."] };
  if (name === "rolling") return { summary: lines.join(" ").slice(0, 1_200) || "." };
  const toxicity = RUDE.test(last) ? 0.9 : 0.1;
  const threat = THREAT.test(last) ? 0.9 : 0;
  const scores = eachCategory(() => 0);
  return { scores: { ...scores, toxicity, insult: toxicity, threat }, reason: "By its words." };
}

function casesOf(prompt: string): readonly QuotedCase[] {
  const cases: QuotedCase[] = [];
  for (const line of prompt.split("\n")) {
    const id = /^#[0-9a-f]+ case (\S+)$/.exec(line)?.[1];
    if (id !== undefined) cases.push({ id, lines: [] });
    else if (line.startsWith("| ")) cases.at(-1)?.lines.push(line.slice(2));
  }
  return cases;
}
