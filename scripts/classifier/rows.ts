/**
 * Which rows the two stages are trained and calibrated on. A tenth of what may be trained on is
 * set aside for calibration: the curves are fitted by a model that has not seen it; then the
 * weights are trained again on all of it. What is held back for figures takes part in neither.
 */
import { Random } from "#std/random.ts";
import type { Corpus } from "./corpora.ts";
import { writeBehaviours, writeDisguises, writeExchanges, writePlain } from "./grammar.ts";
import { hashText, type Sample } from "./sample.ts";

/** Sentences of each behaviour, conversations of each kind. */
const BEHAVIOUR_COUNT = 500;
const EXCHANGE_COUNT = 160;
const DISGUISE_COUNT = 1_500;
const CHAT_ROWS = 4_000;
/** Nearly all of the templates say the same. */
const IDENTITY_SHARE = 0.15;
const TEXT_CHARACTERS_MAX = 600;

export type Rows = {
  readonly messages: readonly Sample[];
  readonly replies: readonly Sample[];
  readonly messagesAside: readonly Sample[];
  readonly repliesAside: readonly Sample[];
};

export function chooseRows(corpora: readonly Corpus[], seed: number): Rows {
  const random = new Random(seed);
  const known = corpora.flatMap(({ samples }) => samples).filter((s) => s.split === "train");
  const abuse = abuseOf(known);
  const plain = plainOf(known);
  const isAside = (sample: Sample) => hashText(sample.text, 11) % 10 === 0;
  const messages = known
    .filter((s) => s.source !== "diasafety")
    .filter((s) => s.source !== "identity" || random.unit() < IDENTITY_SHARE)
    .map(shorten);
  const dialogues = known.filter((s) => s.source === "diasafety").map(shorten);
  const chat = known.filter((s) => s.source === "irc" && s.context.length > 0).map(shorten);
  const chatShare = CHAT_ROWS / chat.length;
  const chosenChat = chat.filter(() => random.unit() < chatShare);
  const written = [
    ...writeBehaviours(seed, BEHAVIOUR_COUNT, "train", { abuse }),
    ...writeDisguises(seed + 1, DISGUISE_COUNT, "train", plain),
  ];
  const exchanges = writeExchanges(seed + 2, EXCHANGE_COUNT, "train", { abuse, calm: plain });
  return {
    messages: [...messages, ...written, ...mixed(written, plain, random)],
    replies: [...dialogues, ...chosenChat, ...exchanges],
    messagesAside: [...messages.filter(isAside), ...asideOf(seed + 3)],
    repliesAside: [
      ...dialogues.filter(isAside),
      ...chosenChat.filter(isAside),
      ...writeExchanges(seed + 4, 30, "words"),
      ...afterCalm(asideOf(seed + 5), seed),
    ],
  };
}

/** Rows of training without those that were set aside. */
export function withoutAside(rows: readonly Sample[], aside: readonly Sample[]): number[] {
  const known = new Set(aside);
  return rows.flatMap((row, index) => (known.has(row) ? [] : [index]));
}

/** What may be quoted: abuse that is short and certain. */
function abuseOf(samples: readonly Sample[]): string[] {
  const isCertain = ({ source, group, labels }: Sample): boolean =>
    (source === "hatemoji" && labels.hate === 1) ||
    (source === "davidson" && group === "hate") ||
    (source === "spans" && group === "firm" && (labels.insult ?? 0) > 0.6);
  return samples
    .filter((sample) => sample.text.length < 90 && isCertain(sample))
    .map(({ text }) => bare(text))
    .filter((text) => text.length > 8);
}

function plainOf(samples: readonly Sample[]): string[] {
  return samples
    .filter((s) => s.source === "irc" || (s.source === "davidson" && s.group === "neither"))
    .map(({ text }) => bare(text))
    .filter((text) => text.length > 15 && text.length < 90);
}

const bare = (text: string): string => {
  const words = text.replace(/@\w+:?|https?:\S+|\bRT\b|&\S+?;|["“”]/g, " ");
  return words
    .replace(/\s+/g, " ")
    .replace(/[.!]+\s*$/, "")
    .trim();
};

/** Now and then a frame stands beside an ordinary sentence: it is not always the whole message. */
function mixed(written: readonly Sample[], plain: readonly string[], random: Random): Sample[] {
  return written
    .filter(() => random.below(5) === 0)
    .map((sample): Sample => {
      const other = plain[random.below(plain.length)]!;
      const isFirst = random.below(3) === 0;
      const text = isFirst ? `${sample.text}. ${other}` : `${other}. ${sample.text}`;
      return { ...sample, text, weight: sample.weight / 2 };
    });
}

/** Sentences of held-back words, half of the number of each behaviour. */
function asideOf(seed: number): Sample[] {
  return writeBehaviours(seed, 40, "words");
}

/** Messages that mean after an ordinary line what they mean alone. */
function afterCalm(samples: readonly Sample[], seed: number): Sample[] {
  const lines = writePlain(seed, 400);
  return samples.map((sample, index): Sample => {
    return {
      ...sample,
      source: "alone",
      author: "b",
      context: [{ author: "a", text: lines[index % lines.length]! }],
      unsafe: sample.labels.toxic ?? 0,
    };
  });
}

const shorten = (sample: Sample): Sample => {
  return sample.text.length <= TEXT_CHARACTERS_MAX
    ? sample
    : { ...sample, text: sample.text.slice(0, TEXT_CHARACTERS_MAX).toWellFormed() };
};
