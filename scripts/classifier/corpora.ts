/**
 * The public corpora behind the weights, read into one form. Where labels mean different things
 * (an "offensive" tweet is often dialect, a "weak" span is a quarrel between raters), they become
 * soft labels and lower weights here, and nowhere else. What is held back is decided by the hash of
 * what near-duplicates share, by the log, or by the corpus' own split.
 */
import { parse } from "csv-parse/sync";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CLEAN, hashText, KINDS, type Sample } from "./sample.ts";

export type Corpus = {
  readonly name: string;
  readonly licence: string;
  readonly files: readonly string[];
  readonly samples: readonly Sample[];
};

/** Logs of the support channel that are never trained on. */
const HELD_LOGS = /2005-06|2009-02|2016/;
/** Identity terms that are never trained on. */
const HELD_TERMS: ReadonlySet<string> = new Set(["taoist", "homosexual"]);

/** Decides the held-back part of the corpora that have no split of their own. */
export const SPLIT_SEED = 77;

/** Where the corpora lie; undefined where they do not. */
export function corporaFolder(): string | undefined {
  const folder =
    process.env["NEXUSCORE_SHARED_DATA"] ??
    join(import.meta.dirname, "..", "..", "..", "shared", "data");
  return existsSync(join(folder, "davidson")) ? folder : undefined;
}

export function loadCorpora(folder: string): readonly Corpus[] {
  return [
    davidson(folder, SPLIT_SEED),
    toxicSpans(folder, SPLIT_SEED),
    dialogues(folder),
    talk(folder),
    emoji(folder),
    identities(folder),
    chat(folder),
  ];
}

/** What stays of a tweet without retweet marks, names, links and punctuation. */
export function duplicateKey(text: string): string {
  const bare = text.toLowerCase().replace(/&\w+;|&#\d+;|\brt\b|@\w+|https?:\S+/g, " ");
  return bare.replace(/[^\p{L}\p{N}]+/gu, "");
}

type Row = Readonly<Record<string, string>>;

function rowsOf(folder: string, path: string): readonly Row[] {
  return parse(readFileSync(join(folder, path), "utf8"), {
    columns: true,
    relax_column_count: true,
    skip_records_with_error: true,
  });
}

/** Whether a tweet is held back in the split of that seed; duplicates stay together. */
export function isHeldTweet(text: string, seed: number): boolean {
  return isHeld(duplicateKey(text), seed);
}

const ALONE = { author: "a", context: [], unsafe: undefined, kind: undefined } as const;

const isHeld = (key: string, seed: number): boolean => hashText(key, seed) % 10 === 0;

function davidson(folder: string, seed: number): Corpus {
  const path = "davidson/labeled_data.csv";
  const samples = rowsOf(folder, path).map((row): Sample => {
    const text = row["tweet"]!;
    const share = (column: string) => Number(row[column]) / Number(row["count"]);
    const hate = share("hate_speech");
    const group = ["hate", "offensive", "neither"][Number(row["class"])]!;
    const rude = {
      // "Offensive" is profane for certain and abuse only for a part: much of it is dialect.
      toxic: group === "hate" ? 1 : 0.3 + 0.4 * share("offensive_language"),
      hate: group === "hate" ? 1 : hate * 0.5,
      profanity: group === "offensive" ? 1 : 0.7,
    };
    return {
      ...ALONE,
      source: "davidson",
      text,
      labels: group === "neither" ? { ...CLEAN, hate } : rude,
      weight: group === "neither" ? 1 : 0.7,
      split: isHeldTweet(text, seed) ? "held" : "train",
      group,
    };
  });
  return { name: "davidson", licence: "MIT", files: [path], samples };
}

type Rating = { toxic: number; count: number; readonly types: Map<string, number> };

function toxicSpans(folder: string, seed: number): Corpus {
  const files = ["comments.csv", "annotations.csv", "spans.csv"].map((f) => `toxic_spans/${f}`);
  const ratings = ratingsOf(rowsOf(folder, files[1]!), rowsOf(folder, files[2]!));
  const samples = rowsOf(folder, files[0]!).flatMap((row): Sample[] => {
    const rating = ratings.get(row["comment_id"]!);
    if (rating === undefined) return [];
    const share = (type: string) =>
      Math.min(1, (1.3 * (rating.types.get(type) ?? 0)) / rating.count);
    const toxic = rating.toxic / rating.count;
    return [
      {
        ...ALONE,
        source: "spans",
        text: row["comment_text"]!,
        labels: {
          toxic: 0.45 + 0.55 * toxic,
          hate: share("iden"),
          insult: share("insu"),
          profanity: share("prof"),
          threat: share("thre"),
        },
        weight: 0.7,
        split: isHeld(row["comment_text"]!, seed) ? "held" : "train",
        group: toxic === 1 ? "firm" : toxic >= 0.5 ? "mixed" : "weak",
      },
    ];
  });
  return { name: "toxic_spans", licence: "CC0 1.0", files, samples };
}

function ratingsOf(annotations: readonly Row[], spans: readonly Row[]): Map<string, Rating> {
  const ratings = new Map<string, Rating>();
  const ratingOf = new Map<string, Rating>();
  for (const row of annotations) {
    const comment = row["comment_id"]!;
    const rating = ratings.get(comment) ?? { toxic: 0, count: 0, types: new Map() };
    ratings.set(comment, rating);
    ratingOf.set(row["annotation"]!, rating);
    rating.count++;
    if (row["not toxic"] !== "True") rating.toxic++;
  }
  const seen = new Set<string>();
  for (const row of spans) {
    // Some types are cut short.
    const type = /^(?:Insu|Iden|Prof|Thre)/i.exec(row["type"]!)?.[0].toLowerCase();
    const key = `${row["annotation"]} ${type}`;
    const types = ratingOf.get(row["annotation"]!)?.types;
    if (type === undefined || types === undefined || seen.has(key)) continue;
    seen.add(key);
    types.set(type, (types.get(type) ?? 0) + 1);
  }
  return ratings;
}

function dialogues(folder: string): Corpus {
  const files = ["diasafety/train.json", "diasafety/val.json"];
  const samples = files.flatMap((path) => {
    const rows = JSON.parse(readFileSync(join(folder, path), "utf8")) as Row[];
    return rows.map((row): Sample => {
      return {
        source: "diasafety",
        text: row["response"]!,
        author: "b",
        context: [{ author: "a", text: row["context"]! }],
        labels: {},
        unsafe: row["label"] === "Unsafe" ? 1 : 0,
        kind: KINDS.find((kind) => kind === row["category"]),
        weight: 1,
        split: path.includes("val") ? "held" : "train",
        group: row["category"]!,
      };
    });
  });
  return { name: "diasafety", licence: "Apache-2.0", files, samples };
}

function talk(folder: string): Corpus {
  const path = "cat_context/gn.csv";
  const samples = rowsOf(folder, path).map((row): Sample => {
    const isToxic = Number(row["label"]) === 1;
    return {
      ...ALONE,
      source: "talk",
      text: row["text"]!,
      labels: isToxic ? { toxic: 1 } : CLEAN,
      weight: isToxic ? 2 : 0.5,
      split: hashText(row["id"]!, 5) % 3 === 0 ? "held" : "train",
      group: isToxic ? "toxic" : "clean",
    };
  });
  return { name: "cat_context", licence: "Apache-2.0 (text CC BY-SA)", files: [path], samples };
}

/** The texts of pairs one token apart, whose labels differ as a rule. */
export function emojiTwins(folder: string): ReadonlySet<string> {
  const rows = rowsOf(folder, "hatemoji/HatemojiBuild_train.csv");
  return new Set(rows.map((row) => row["matched_text"]!));
}

export type MarkedPost = { readonly text: string; readonly marks: ReadonlySet<number> };

/** Posts with the code points that a majority marked as toxic, without those trained on. */
export function markedPosts(folder: string): readonly MarkedPost[] {
  return rowsOf(folder, "toxic_spans/tsd_train.csv")
    .filter((row) => isHeld(row["text"]!, SPLIT_SEED))
    .map((row) => {
      return { text: row["text"]!, marks: new Set(JSON.parse(row["spans"]!) as number[]) };
    });
}

function emoji(folder: string): Corpus {
  const files = ["train", "validation"].map((part) => `hatemoji/HatemojiBuild_${part}.csv`);
  const samples = files.flatMap((path) =>
    rowsOf(folder, path).map((row): Sample => {
      const hate = Number(row["label_gold"]);
      const threat = row["type"] === "threateninglanguage" ? 1 : hate === 0 ? 0 : undefined;
      return {
        ...ALONE,
        source: "hatemoji",
        text: row["text"]!,
        labels: { hate, toxic: hate === 1 ? 1 : 0.15, ...(threat === undefined ? {} : { threat }) },
        weight: 1.5,
        split: path.includes("validation") ? "held" : "train",
        group: row["type"]!,
      };
    }),
  );
  return { name: "hatemoji", licence: "CC BY 4.0", files, samples };
}

function identities(folder: string): Corpus {
  const path = "identity_bias/en_sentence_templates.csv";
  const samples = rowsOf(folder, path).map((row): Sample => {
    return {
      ...ALONE,
      source: "identity",
      text: row["phrase"]!,
      labels: row["toxicity"] === "toxic" ? { toxic: 1 } : CLEAN,
      // Nearly all rows are one template.
      weight: 0.3,
      split: HELD_TERMS.has(row["term"]!) ? "held" : "train",
      group: row["term"]!,
    };
  });
  return { name: "identity_bias", licence: "CC BY 4.0", files: [path], samples };
}

function chat(folder: string): Corpus {
  const files = ["dev", "channel-two"].flatMap((part) =>
    readdirSync(join(folder, "irc_disentanglement", part))
      .filter((name) => name.endsWith(".ascii.txt"))
      .toSorted()
      .map((name) => `irc_disentanglement/${part}/${name}`),
  );
  const samples = files.flatMap((path) => {
    const group = path.split("/")[1]!;
    const isHeldLog = group === "channel-two" || HELD_LOGS.test(path);
    const lines = readFileSync(join(folder, path), "utf8").split("\n");
    const turns = lines.flatMap((line) => {
      const [, author, text] = /^\[\d\d:\d\d\] <([^>]+)> (.*)$/.exec(line) ?? [];
      return author === undefined || text === undefined ? [] : [{ author, text }];
    });
    return turns.map((turn, index): Sample => {
      return {
        source: "irc",
        text: turn.text,
        author: turn.author,
        context: turns.slice(Math.max(0, index - 3), index),
        labels: CLEAN,
        unsafe: 0,
        kind: undefined,
        weight: 0.7,
        split: isHeldLog ? "held" : "train",
        group,
      };
    });
  });
  return { name: "irc_disentanglement", licence: "CC BY 4.0", files, samples };
}
