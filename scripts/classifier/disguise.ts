/** Spelling as people use it to get past a list: what a disguise does to one word of a text. */
import type { Writer } from "./grammar.ts";

const LEET: Readonly<Record<string, string>> = {
  a: "4",
  e: "3",
  i: "1",
  o: "0",
  s: "$",
  t: "7",
  b: "8",
  g: "9",
  l: "1",
};
/** Letters of other scripts that look the same. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  a: "а",
  c: "с",
  e: "е",
  i: "і",
  o: "о",
  p: "р",
  s: "ѕ",
  x: "х",
  y: "у",
  n: "ո",
  u: "ս",
  v: "ν",
  k: "κ",
  t: "τ",
};
const HIDDEN = ["\u200b", "\u200d", "\u00ad", "\u2060"];
const MATHEMATICAL = [0x1d41a, 0x1d44e, 0x1d482, 0x1d5ba, 0x1d68a, 0xff41, 0x24d0];
const LETTERS_MIN = 4;

const letters = (word: string): string[] => Array.from(word);

const WAYS: readonly ((word: string, writer: Writer) => string)[] = [
  (word) => letters(word).join(" "),
  (word) => letters(word).join("."),
  (word) => letters(word).join("-"),
  (word) => letters(word).join("_"),
  (word) =>
    letters(word)
      .map((letter) => LEET[letter.toLowerCase()] ?? letter)
      .join(""),
  (word) => word.replace(/[aeios]/i, (letter) => LEET[letter.toLowerCase()]!),
  (word) => `${word[0]}*${word.slice(2)}`,
  (word) => `${word[0]}${"*".repeat(word.length - 2)}${word.at(-1)}`,
  (word) => word.replace(/[aeiou]/i, (letter) => letter.repeat(5)),
  (word) => `${word}${word.at(-1)!.repeat(4)}`,
  (word) =>
    letters(word)
      .map((letter) => LOOKALIKES[letter.toLowerCase()] ?? letter)
      .join(""),
  (word, writer) => {
    const at = 1 + writer.below(word.length - 1);
    return word.slice(0, at) + writer.pick(HIDDEN) + word.slice(at);
  },
  (word, writer) => {
    const first = writer.pick(MATHEMATICAL);
    const shift = (letter: string) => {
      const index = letter.toLowerCase().codePointAt(0)! - 97;
      return index >= 0 && index < 26 ? String.fromCodePoint(first + index) : letter;
    };
    return letters(word).map(shift).join("");
  },
  (word) =>
    letters(word)
      .map((letter) => `${letter}\u0336`)
      .join(""),
  (word) => word.replace(/(?<=.)[aeiou](?=.)/i, ""),
  (word, writer) => {
    const at = 1 + writer.below(word.length - 2);
    return word.slice(0, at) + word[at + 1]! + word[at]! + word.slice(at + 2);
  },
  (word) => word.replace(/u/i, "v").replace(/ck/i, "kk").replace(/s$/, "z"),
];

/** The text with those of its words disguised that `isWanted` names, or with one word at random. */
export function disguise(
  text: string,
  writer: Writer,
  isWanted: ((word: string) => boolean) | undefined,
): string {
  let isDone = false;
  const words = text.split(/(?<=\s)/).map((piece) => {
    const [, word, rest] = /^([a-zA-Z]+)(.*)$/s.exec(piece) ?? [];
    if (word === undefined || word.length < LETTERS_MIN) return piece;
    if (isWanted === undefined ? writer.below(4) > 0 : !isWanted(word.toLowerCase())) return piece;
    isDone = true;
    return writer.pick(WAYS)(word, writer) + rest;
  });
  return isDone ? words.join("") : text;
}
