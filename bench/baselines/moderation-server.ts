/**
 * The moderation server one writes first: node:http, JSON.parse, one regular expression of abusive
 * words (those that our own moderator knows), every conversation an array of turns in the one heap.
 * It answers the same route and reads the same messages as ours. A word in the message flags it;
 * words in the turns before it raise the score.
 *
 * It lacks all else: disguised spelling, quotation, negation and who is meant, what a message
 * answers, spans, reasons, policies, roles, edits, other languages, bounds on what is remembered,
 * and anything between tenants but the key of a Map.
 *
 * `wholeContext`: each call hands the whole conversation on, as a server does that asks a model:
 * every turn so far is written into one payload, which is read. Whatever a model behind it would
 * take is not in the figures.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { KEEP_ALIVE_MS } from "#model/limits.ts";
import type { ListeningMessage } from "./event-server.ts";

type Message = {
  readonly id: string;
  readonly conversation: string;
  readonly user: string;
  readonly text: string;
};

type Turn = { readonly user: string; readonly text: string; readonly score: number };

const LISTS = new URL("../../guests/moderate/lexicon/abuse.txt", import.meta.url);
const ROUTE = /^\/v1\/tenants\/([^/]+)\/moderate$/;
const TURNS_KEPT = 12;
const TURNS_READ = 6;
const WORD_SCORE = 0.8;
const EARLIER_WORD_SCORE = 0.05;
const FLAG_AT = 0.6;

const wholeContext = process.argv.includes("wholeContext");
const abusive = new RegExp(`\\b(?:${readWords().join("|")})\\b`, "gi");
const tenants = new Map<string, Map<string, Turn[]>>();
let verdictCount = 0;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const [status, answer] = answerTo(request, Buffer.concat(chunks).toString("utf8"));
    const body = JSON.stringify(answer);
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    });
    response.end(body);
  });
});

// As long as ours keeps a connection that is silent.
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send!({ type: "listening", port } satisfies ListeningMessage);
});

function answerTo(request: IncomingMessage, body: string): [number, object] {
  const tenant = ROUTE.exec(request.url ?? "")?.[1];
  if (tenant === undefined) return [404, { detail: "There is one route." }];
  const value = JSON.parse(body) as Message | { messages: Message[] };
  if (!("messages" in value)) return [200, judge(tenant, value)];
  return [200, { verdicts: value.messages.map((message) => judge(tenant, message)) }];
}

function judge(tenant: string, { id, conversation, user, text }: Message): object {
  const turns = turnsOf(tenant, conversation);
  const { own, earlier } = wholeContext ? readWhole(turns, text) : readRecent(turns, text);
  const score = own === 0 ? 0 : Math.min(1, WORD_SCORE + EARLIER_WORD_SCORE * earlier);
  turns.push({ user, text, score });
  if (!wholeContext && turns.length > TURNS_KEPT) turns.shift();
  return {
    id: `v_${verdictCount++}`,
    messageId: id,
    action: score >= FLAG_AT ? "flag" : "allow",
    scores: { toxicity: score },
    reason: score >= FLAG_AT ? "A word of the list." : "No word of the list.",
  };
}

function readRecent(turns: readonly Turn[], text: string): { own: number; earlier: number } {
  let earlier = 0;
  for (const turn of turns.slice(-TURNS_READ)) if (turn.score > 0) earlier += 1;
  return { own: countWords(text), earlier };
}

/** The payload for a model, read here in its place. */
function readWhole(turns: readonly Turn[], text: string): { own: number; earlier: number } {
  const input = [...turns, { user: "", text }].map(({ user, text: said }) => {
    return { role: "user", name: user, content: said };
  });
  const payload = JSON.stringify({ model: "moderation", input });
  const own = countWords(text);
  return { own, earlier: countWords(payload) - own };
}

function countWords(text: string): number {
  return text.match(abusive)?.length ?? 0;
}

function turnsOf(tenant: string, conversation: string): Turn[] {
  let conversations = tenants.get(tenant);
  if (conversations === undefined) tenants.set(tenant, (conversations = new Map()));
  let turns = conversations.get(conversation);
  if (turns === undefined) conversations.set(conversation, (turns = []));
  return turns;
}

/** Words of the classes that are abuse by themselves. */
function readWords(): string[] {
  const words: string[] = [];
  let isAbuse = false;
  for (const line of readFileSync(LISTS, "utf8").split("\n")) {
    if (line.startsWith("=")) isAbuse = line.startsWith("= HOT");
    else if (isAbuse && !line.startsWith("#")) words.push(...line.split(",").map((w) => w.trim()));
  }
  return words.filter((word) => /^[a-z][a-z -]*$/.test(word));
}
