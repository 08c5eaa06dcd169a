// The static table of the words that the moderator knows: of guests/moderate/lexicon/*.txt `npm run
// generate` makes guests/moderate/assembly/lexicon.gen.ts.
//
// A list file has parts; each begins with a line "= CLASS ... [+v] [+n] [+a]" and goes on with
// entries, separated by commas: words, emoji, phrases of up to four words. "+v" adds the forms of a
// verb, "+n" the plural, "+a" the comparative forms. A word may stand in many parts: its classes
// add up.
//
//   words    LEXICON_STARTS has, by the highest 10 bits of a word's hash, its bucket; an entry is
//            22 more bits of the hash and the number of its set of classes. An unlisted word passes
//            as listed once in a million. Phrases are entries of the mixed hashes of their words.
//   sets     CLASS_SETS: the masks of classes that occur.
//   spelled  SPELLED: the letters of the words that people write with stars in place of letters.
//   letters  BASE_LETTERS: letters with marks to the letter; LOOKALIKES: letters that are
//            drawn like an ASCII letter.
import { readdirSync, readFileSync } from "node:fs";
import { hash64, stopWords } from "./text-tables.ts";

const LISTS = new URL("../guests/moderate/lexicon/", import.meta.url);
/** From the root of the project. */
export const LEXICON_TABLES = "guests/moderate/assembly/lexicon.gen.ts";

/**
 * Bit n of a mask is class n. The order is the one in which a word's classes count: the first of
 * them is what the sequence of classes is made of; from HOT on they only mark.
 */
export const CLASSES = [
  "SLUR",
  "SELF_HARM",
  "HARM",
  "VEILED",
  "EXCLUSION",
  "CONTEMPT",
  "HATE_VERB",
  "INFERIOR",
  "CRIME",
  "DEHUMANIZING",
  "DISEASE",
  "INSULT",
  "SEXUAL",
  "PROFANITY",
  "TRAIT_BAD",
  "GROUP",
  "REFLEXIVE",
  "SECOND",
  "NEGATOR",
  "FIRST",
  "THIRD",
  "LOVE_VERB",
  "TRAIT_GOOD",
  "REPORTER",
  "REPROACH",
  "OBLIGATION",
  "WISH",
  "FUTURE",
  "COPULA",
  "CONDITION",
  "WEAPON",
  "BODY",
  "FAMILY",
  "DISTRESS",
  "GAME",
  "THING",
  "ANIMAL",
  "PERSON",
  "PLACE",
  "PRAISE",
  "PROUD",
  "DISMISSAL",
  "RIGHTS",
  "QUANTIFIER",
  "CARE",
  "THANKS",
  "LAUGH",
  "AGREEMENT",
  "DISSENT",
  "SOON",
  "GO",
  "FEELING",
  "HARMLESS",
  "ASKING",
  "CLAUSE",
  "HOT",
  "AMBIGUOUS",
  "MIGRANT",
  "FOREIGN_PROFANITY",
  "FOREIGN_SEXUAL",
  "FOREIGN_INSULT",
  "LISTED",
  "STARRED",
  "PHRASE_START",
] as const;
type ClassName = (typeof CLASSES)[number];

const BUCKET_BITS = 10n;
const FINGERPRINT_BITS = 22n;
const SET_BITS = 10;
const PHRASE_WORDS_MAX = 4;

/** Entries in normal form and their classes. */
export function lexicon(): Map<string, bigint> {
  const entries = new Map<string, bigint>();
  const foreign = maskOf(["FOREIGN_PROFANITY", "FOREIGN_SEXUAL", "FOREIGN_INSULT"], "here");
  // A Dutch insult is "not" in German, a French one "with" in Spanish: such words are in no list.
  const common = new Set([...stopWords().values()].flat().map(normalForm));
  const add = (entry: string, classes: bigint): void => {
    entries.set(entry, (entries.get(entry) ?? 0n) | classes);
  };
  for (const name of readdirSync(LISTS).toSorted()) {
    if (!name.endsWith(".txt")) continue;
    let classes = 0n;
    let forms = "";
    for (const line of readFileSync(new URL(name, LISTS), "utf8").split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      if (line.startsWith("= ")) {
        const codes = line.slice(2).split(" ");
        forms = codes.filter((code) => code.startsWith("+")).join("");
        classes = maskOf(
          codes.filter((code) => !code.startsWith("+")),
          name,
        );
        continue;
      }
      for (const part of line.split(",").map((each) => each.trim())) {
        if (part === "") continue;
        // A hyphen between words is read as the space between them.
        const entry = normalForm(part).replace(/(?<=\p{L})-(?=\p{L})/gu, " ");
        for (const form of inflected(entry, forms)) {
          if ((classes & foreign) === 0n || !common.has(form)) add(form, classes);
        }
      }
    }
  }
  for (const entry of entries.keys()) {
    const words = entry.split(" ");
    if (words.length > PHRASE_WORDS_MAX) throw new Error(`the lexicon has a long phrase: ${entry}`);
    const start = 1n << BigInt(CLASSES.indexOf("PHRASE_START"));
    for (let count = 1; count < words.length; count++) add(words.slice(0, count).join(" "), start);
  }
  return entries;
}

function maskOf(codes: readonly string[], file: string): bigint {
  let mask = 0n;
  for (const code of codes) {
    const bit = CLASSES.indexOf(code as ClassName);
    if (bit < 0) throw new Error(`${file} has a class "${code}"`);
    mask |= 1n << BigInt(bit);
  }
  return mask;
}

/** As reading.ts reads it: small letters without marks, no letter more than twice in a row. */
export function normalForm(text: string): string {
  const bare = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\p{M}\ufe0f]/gu, (mark) => (/[\u0300-\u036f\ufe0f]/u.test(mark) ? "" : mark))
    .replaceAll("’", "'")
    .replaceAll("ß", "s")
    .replaceAll("ł", "l")
    .replaceAll("ø", "o");
  return bare.normalize("NFC").replace(/(\p{L})\1{2,}/gu, "$1$1");
}

/** The entry and, of its first word (verbs) or its last (nouns, adjectives), the regular forms. */
function inflected(entry: string, forms: string): string[] {
  const found = [entry];
  const spaceAt = entry.indexOf(" ");
  const first = spaceAt < 0 ? entry : entry.slice(0, spaceAt);
  const rest = entry.slice(first.length);
  if (forms.includes("+v")) found.push(...verbForms(first).map((form) => form + rest));
  if (forms.includes("+n")) found.push(plural(entry));
  if (forms.includes("+a")) found.push(...comparatives(entry));
  return found;
}

function verbForms(verb: string): string[] {
  const irregular = IRREGULAR[verb];
  const isShort = /^[^aeiou]*[aeiou][bdgkmnprt]$/.test(verb) || DOUBLING.has(verb);
  const stem = isShort ? verb + verb.at(-1)! : /[^eoy]e$/.test(verb) ? verb.slice(0, -1) : verb;
  const third = /[^aeiou]y$/.test(verb) ? `${verb.slice(0, -1)}ies` : plural(verb);
  const past = /[^aeiou]y$/.test(verb)
    ? `${verb.slice(0, -1)}ied`
    : verb.endsWith("e")
      ? `${verb}d`
      : `${stem}ed`;
  const continuous = verb === "die" ? "dying" : verb === "lie" ? "lying" : `${stem}ing`;
  return [third, continuous, continuous.replace(/g$/, ""), ...(irregular ?? [past])];
}

/** Verbs of two syllables that double their last letter. */
const DOUBLING = new Set(["expel", "admit", "regret"]);
const IRREGULAR: Readonly<Record<string, readonly string[]>> = {
  hang: ["hung", "hanged"],
  shoot: ["shot"],
  beat: ["beaten"],
  hurt: [],
  cut: [],
  burn: ["burned", "burnt"],
  break: ["broke", "broken"],
  say: ["said"],
  tell: ["told"],
  think: ["thought"],
  write: ["wrote", "written"],
  hear: ["heard"],
  read: [],
  speak: ["spoke", "spoken"],
  send: ["sent"],
  throw: ["threw", "thrown"],
  drive: ["drove", "driven"],
  keep: ["kept"],
  leave: ["left"],
  strike: ["struck"],
  bite: ["bit", "bitten"],
  tear: ["tore", "torn"],
  put: [],
  get: ["got"],
  go: ["went", "gone"],
  find: ["found"],
  feel: ["felt"],
  fight: ["fought"],
  slay: ["slew", "slain"],
  stick: ["stuck"],
  take: ["took", "taken"],
  stink: ["stank"],
  suck: ["sucked"],
  forbid: ["forbade", "forbidden"],
  shit: ["shat"],
  bleed: ["bled"],
  drown: ["drowned"],
};

function plural(noun: string): string {
  if (/(?:s|x|z|ch|sh)$/.test(noun)) return `${noun}es`;
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return `${noun}s`;
}

function comparatives(adjective: string): string[] {
  if (adjective.length > 7) return [];
  const stem = adjective.replace(/y$/, "i").replace(/e$/, "");
  return [`${stem}er`, `${stem}est`];
}

/** The whole text of lexicon.gen.ts. */
export function lexiconTables(): string {
  const entries = lexicon();
  const sets = [...new Set(entries.values())].toSorted((a, b) => (a < b ? -1 : 1));
  if (sets.length > 1 << SET_BITS) throw new Error(`${sets.length} sets of classes`);
  const setNumbers = new Map(sets.map((set, index) => [set, index]));
  const buckets = Array.from({ length: 1 << Number(BUCKET_BITS) }, (): number[] => []);
  for (const [entry, set] of entries) {
    const hash = entryHash(entry);
    const bucket = Number(hash >> (64n - BUCKET_BITS));
    const fingerprint = Number((hash >> (64n - BUCKET_BITS - FINGERPRINT_BITS)) & 0x3fffffn);
    buckets[bucket]!.push(((fingerprint << SET_BITS) | setNumbers.get(set)!) >>> 0);
  }
  const starts = [0];
  for (const bucket of buckets) starts.push(starts.at(-1)! + bucket.length);
  const spelled = spelledWords(entries);
  return [
    "// Generated by scripts/lexicon.ts; do not edit.",
    `// ${entries.size} words and phrases in ${sets.length} sets of classes.`,
    "",
    ...CLASSES.map((name, bit) => `export const ${name}: u64 = 1 << ${bit};`),
    "/** All classes that tell something by themselves. */",
    "export const TELLING: u64 = HOT - 1;",
    "",
    data("LEXICON_STARTS", "u16", starts),
    data("LEXICON", "u32", buckets.flat()),
    data("CLASS_SETS", "u64", sets),
    ...spelled,
    ...letterTables(),
    "",
  ].join("\n");
}

/** As the guest finds it: see `phraseHash` in lexicon.ts. */
function entryHash(entry: string): bigint {
  const [first, ...others] = entry.split(" ").map((word) => hash64(Buffer.from(word)));
  let hash = first!;
  for (const other of others) {
    const turned = BigInt.asUintN(64, (hash << 23n) | (hash >> 41n));
    hash = BigInt.asUintN(64, (turned ^ other) * 0x9e3779b97f4a7c15n);
    hash ^= hash >> 32n;
  }
  return hash;
}

/** By first letter: u8 letters, the letters; a list of a letter ends with 0. */
function spelledWords(entries: ReadonlyMap<string, bigint>): string[] {
  const wanted = maskOf(["STARRED"], "scripts/lexicon.ts");
  const bytes: number[] = [];
  const starts: number[] = [];
  for (let letter = 0; letter < 26; letter++) {
    starts.push(bytes.length);
    for (const [entry, classes] of entries) {
      if (entry.charCodeAt(0) - 97 !== letter || (classes & wanted) === 0n) continue;
      bytes.push(entry.length, ...Buffer.from(entry));
    }
    bytes.push(0);
  }
  return [data("SPELLED_STARTS", "u16", starts), data("SPELLED", "u8", bytes)];
}

/** Letters drawn like an ASCII letter, beyond those that have it as their base. */
const LOOKALIKES =
  "аa еe оo рp сc уy хx іi ѕs јj ԁd һh ԛq ԝw вb кk мm нh тt " +
  "гr пn зz ьb ӏl ғf ԍg ц4 щw шw иu лn яr эe чy ыb ј j " +
  "αa βb γy δd εe ζz ηn ιi κk λl μu νv οo πn ρp σo ςs τt υu φo χx ωw ϲc ϳj " +
  "ɑa ɡg ɩi ɪi ıi ʟl łl øo đd ħh ŧt ƒf ʀr ɴn ʙb ɢg ʜh ʏy " +
  "ᴀa ᴄc ᴅd ᴇe ꜰf ᴊj ᴋk ᴍm ᴏo ᴘp ǫq ꜱs ᴛt ᴜu ᴠv ᴡw ᴢz " +
  "ɐa ǝe ɔc ɟf ɥh ɹr ʇt ʌv ʍw ʎy ßs æa œo ðd þp ɓb ɗd ɠg ɦh " +
  "ɨi ɲn ɵo ʂs ʈt ʋv ʐz ᵃa ᵇb ᶜc ᵈd ᵉe ᶠf ᵍg ʰh ⁱi ʲj ᵏk ˡl " +
  "ᵐm ⁿn ᵒo ᵖp ʳr ˢs ᵗt ᵘu ᵛv ʷw ˣx ʸy ᶻz օo ոn սu հh ցg զq գq աw տs ԍg ꮪs ꭺa ꮯc ꭼe ꮋh ꮮl ꮇm ꭲt " +
  "ℴo ℯe ℊg ℎh ℬb ℰe ℱf ℋh ℐi ℒl ℳm ℛr ℂc ℍh ℕn ℙp ℚq ℝr ℤz ℭc ℌh ℑi ℜr ℨz ℓl ℹi";

function letterTables(): string[] {
  const base = (from: number, to: number): number[] =>
    Array.from({ length: to - from }, (_, index) => {
      const letter = String.fromCodePoint(from + index);
      const plain = normalForm(letter);
      return /^[a-z]$/.test(plain) ? plain.charCodeAt(0) : 0;
    });
  const pairs = new Map<number, number>();
  for (const pair of LOOKALIKES.split(" ")) {
    if (pair.length !== 2) continue;
    pairs.set(pair.charCodeAt(0), pair.charCodeAt(1));
  }
  const sorted = [...pairs].toSorted((a, b) => a[0] - b[0]);
  return [
    data("BASE_LETTERS", "u8", base(0xc0, 0x250)),
    data("BASE_LETTERS_MORE", "u8", base(0x1e00, 0x1f00)),
    `export const LOOKALIKE_COUNT: u32 = ${sorted.length};`,
    data(
      "LOOKALIKES",
      "u16",
      sorted.map(([from]) => from),
    ),
    data(
      "LOOKALIKE_LETTERS",
      "u8",
      sorted.map(([, to]) => to),
    ),
  ];
}

function data(
  name: string,
  type: "u8" | "u16" | "u32" | "u64",
  values: readonly (number | bigint)[],
): string {
  const lines: string[] = [""];
  for (const value of values) {
    const text = `${value > 0xffff_ffffn ? `0x${value.toString(16)}` : value},`;
    if (lines.at(-1)!.length + text.length > 98) lines.push("");
    lines[lines.length - 1] += text;
  }
  const align = Number(type.slice(1)) / 8;
  return `export const ${name}: usize = memory.data<${type}>([\n${lines.join("\n")}\n], ${align});`;
}
