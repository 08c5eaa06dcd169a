/**
 * Whether a text that was generated from a record says only numbers of the record. One number that
 * is not there, and the extractive text stands.
 *
 * A number is any run of digits of any script, with separators between them, a sign, a percent or a
 * `k`, `M` or `B` behind it, and the words for numbers that English has. They are compared by
 * value. A rounded number is another number: "about 1,200" of 1,187 is refused. So are words that
 * hide one ("doubled", "half", "most"), unless the record has the word.
 */
const SCALES: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, b: 1e9 };

const UNITS =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen " +
  "sixteen seventeen eighteen nineteen";
const TENS = "twenty thirty forty fifty sixty seventy eighty ninety";
const WORDS: ReadonlyMap<string, number> = new Map<string, number>([
  ...UNITS.split(" ").map((word, index): [string, number] => [word, index]),
  ...TENS.split(" ").map((word, index): [string, number] => [word, (index + 2) * 10]),
  ["dozen", 12],
  ["dozens", 12],
  ["hundred", 100],
  ["hundreds", 100],
  ["thousand", 1e3],
  ["thousands", 1e3],
  ["million", 1e6],
  ["millions", 1e6],
  ["billion", 1e9],
]);
const PROPORTIONS = new Set(
  "half quarter third double doubled doubling triple tripled twice thrice majority most".split(" "),
);

/** The first number or proportion of the text that the record does not have; undefined: none. */
export function numberBeyond(text: string, record: readonly string[]): string | undefined {
  const known = new Set(
    record.flatMap((line) => [...quantitiesOf(line)].map(({ value }) => value)),
  );
  for (const { value, said } of quantitiesOf(text)) if (!known.has(value)) return said;
  return undefined;
}

export type Quantity = {
  /** Of a proportion its word, of a percentage the number with its sign. */
  readonly value: number | string;
  readonly said: string;
  /** Where it begins, in the text's form NFKC. */
  readonly at: number;
};

const NUMBER = /(?<number>[-−]?\p{Nd}+(?:[.,'’\u00a0\u202f](?=\p{Nd})\p{Nd}+)*)/u;
const BEHIND = /(?<scale>[kKMB](?!\p{L}))?(?<percent>\s?[%٪％])?/u;
const OTHERS = /(?<word>\p{L}+)|(?<other>[\p{No}\p{Nl}])/u;
const QUANTITY = new RegExp(`${NUMBER.source}${BEHIND.source}|${OTHERS.source}`, "gu");

/** Of a text, in their order. */
export function* quantitiesOf(text: string): Generator<Quantity> {
  for (const match of text.normalize("NFKC").matchAll(QUANTITY)) {
    const { 0: said, index: at } = match;
    const { number, scale, percent, word, other } = match.groups!;
    if (number !== undefined) {
      const value = valueOf(number) * (SCALES[scale?.toLowerCase() ?? ""] ?? 1);
      yield { value: percent === undefined ? value : `${value}%`, said, at };
    } else if (word !== undefined) {
      const lower = word.toLowerCase();
      const value = WORDS.get(lower) ?? (PROPORTIONS.has(lower) ? lower : undefined);
      // "One" is rather a pronoun.
      if (value !== undefined && lower !== "one") yield { value, said, at };
    } else if (other !== undefined) yield { value: other, said, at };
  }
}

/** Separators before exactly three digits are of thousands; the last other one is the point. */
function valueOf(number: string): number {
  const ascii = number
    .replaceAll(/\p{Nd}/gu, (digit) => `${digitOf(digit)}`)
    .replaceAll("−", "-")
    .replaceAll(/['’\u00a0\u202f]/g, "");
  const points = ascii.match(/[.,]/g) ?? [];
  const isThousands = /^-?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*$/.test(ascii);
  // "1,234" is a thousand, "1.234" might be either; it is what it is in English.
  if (isThousands && (points.length > 1 || points[0] === ",")) {
    return Number(ascii.replaceAll(/[.,]/g, ""));
  }
  const last = Math.max(ascii.lastIndexOf("."), ascii.lastIndexOf(","));
  if (last === -1) return Number(ascii);
  return Number(`${ascii.slice(0, last).replaceAll(/[.,]/g, "")}.${ascii.slice(last + 1)}`);
}

/** Digits of a script stand in a row from its zero on. */
function digitOf(digit: string): number {
  const code = digit.codePointAt(0)!;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return code - zero;
}
