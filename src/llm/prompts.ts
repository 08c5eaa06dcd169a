/** What the upstream is told of each job. Nothing of it is a tenant's: it is the same for all. */
import type { Job } from "#model/consultation.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { FENCE_INSTRUCTIONS } from "./fence.ts";

const TASKS: Readonly<Record<Job, string>> = {
  moderation: [
    "You judge messages of an online community, each in the light of what was said before it.",
    `Score every one of ${CATEGORIES.join(", ")} from 0 (not at all) to 1 (beyond doubt).`,
    "Quoting, reporting or discussing something is not doing it. Friendly teasing is no insult.",
    "harmfulReply: the message agrees with, encourages or worsens something harmful said before.",
    "reason: one sentence, in English, for the moderators; it quotes nothing.",
  ].join("\n"),
  tldr: [
    "You tell in one to three short sentences what a community talks about now.",
    "Say no number that is not in the record, and round none. Add nothing that is not there.",
    "Say few numbers, in digits: the text stands only as long as they are true.",
  ].join("\n"),
  rolling: [
    "You keep a summary of a conversation up to date: take the summary so far and what was said",
    "since, and write the new summary, at most 1,200 characters. Keep what was decided and what is",
    "still asked, as the record has it. Say no number that is not there.",
  ].join("\n"),
};

/** In full: not every server shows the model the schema. */
const SCORES = CATEGORIES.map((category) => `"${category}":<score>`).join(",");
const ANSWERS: Readonly<Record<Job, string>> = {
  moderation: `{"answers":[{"id":"<id>","scores":{${SCORES}},"reason":"<sentence>"}]}`,
  tldr: '{"answers":[{"id":"<id>","sentences":["<sentence>"]}]}',
  rolling: '{"answers":[{"id":"<id>","summary":"<summary>"}]}',
};

/** Tokens of an answer to one case, at most; what has more is cut, which is no answer. */
export const ANSWER_TOKENS: Readonly<Record<Job, number>> = {
  moderation: 256,
  tldr: 320,
  rolling: 512,
};

const SYSTEMS = {
  moderation: systemOf("moderation"),
  tldr: systemOf("tldr"),
  rolling: systemOf("rolling"),
} as const;

export function systemPrompt(job: Job): string {
  return SYSTEMS[job];
}

function systemOf(job: Job): string {
  return [
    TASKS[job],
    FENCE_INSTRUCTIONS,
    "Answer with one JSON object and nothing else, one answer a case, by the id of the case:",
    ANSWERS[job],
  ].join("\n\n");
}
