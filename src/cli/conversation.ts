/** `nexuscore summary --conversation`: one conversation as text, 80 columns wide. */
import type { ConversationAnswer, RefinedAnswer } from "#model/summary-answer.ts";
import { Client } from "./client.ts";
import { linesOf, storyOf, timeOf } from "./summary.ts";
import {
  COLUMNS,
  cut,
  formatCount,
  harmless,
  print,
  printJson,
  style,
  widthOf,
  wrap,
} from "./terminal.ts";
import { tellerLine } from "./teller.ts";

const INDENT = "  ";
const NAME_COLUMNS = 40;

export async function conversation(options: {
  readonly url: string;
  readonly tenant: string;
  readonly id: string;
  readonly isJson: boolean;
}): Promise<void> {
  const { url, tenant, id, isJson } = options;
  const answer = await new Client(url).conversation(tenant, id);
  if (isJson) printJson(answer);
  else print(renderConversation(answer));
}

export function renderConversation(answer: ConversationAnswer): string {
  const { text, refined } = answer;
  const lines = [headOf(answer)];
  const story = storyOf(text);
  if (story !== "") lines.push(wrap(harmless(story), INDENT));
  if (refined !== undefined) lines.push(...refinedOf(refined, answer));
  lines.push(...linesOf("open questions", text.openQuestions));
  lines.push(...linesOf("decisions", text.decisions));
  const who = answer.participants.map(
    ({ user, eventCount, exact }) => `${user} ${exact ? "" : "≥"}${formatCount(eventCount)}`,
  );
  if (who.length > 0) lines.push(wrap(harmless(`people: ${who.join(", ")}`), INDENT));
  return `${lines.join("\n")}\n`;
}

/** How far it reaches, if something was said since. */
function refinedOf(refined: RefinedAnswer, { lastMs }: ConversationAnswer): string[] {
  const { text, upToMs = lastMs } = refined;
  const teller = tellerLine(refined, INDENT + INDENT);
  if (text === undefined) return teller === undefined ? [] : [`${INDENT}in short`, teller];
  const reach = upToMs < lastMs ? `in short, up to ${timeOf(upToMs)}` : "in short";
  const lines = [INDENT + reach, wrap(harmless(text), INDENT + INDENT)];
  return teller === undefined ? lines : [...lines, teller];
}

function headOf({ tenant, id, eventCount, userCount, userCountError }: ConversationAnswer): string {
  const head = `${tenant} · ${cut(harmless(id), NAME_COLUMNS)} `;
  const about = userCountError > 0 ? "~" : "";
  const events = `${formatCount(eventCount)} ${eventCount === 1 ? "event" : "events"}`;
  const people = userCount === 1 ? "person" : "people";
  const size = ` ${events}, ${about}${formatCount(userCount)} ${people}`;
  const rule = "─".repeat(Math.max(2, COLUMNS - widthOf(head) - widthOf(size)));
  return style("bold", head) + style("dim", rule + size);
}
