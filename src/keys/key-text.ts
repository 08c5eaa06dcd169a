/**
 * An API key as its owner has it: `nxc_<id>_<secret><check>`, letters and digits only, so that a
 * double click takes all of it. The prefix lets scanners of repositories find keys that leaked; the
 * check (CRC-32 of what comes before it) tells a typo from a key that is not known, without looking
 * anything up. The secret has 256 bits, so a plain SHA-256 of the text is as good as a slow hash
 * and takes a microsecond; only that hash is ever kept.
 */
import { hash, randomInt } from "node:crypto";
import { crc32 } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX = "nxc_";
const ID_CHARACTERS = 12;
/** log2(62^43) = 256.03. */
const SECRET_CHARACTERS = 43;
const CHECK_CHARACTERS = 6;
const SHAPE = new RegExp(
  `^${PREFIX}[0-9A-Za-z]{${ID_CHARACTERS}}_[0-9A-Za-z]{${SECRET_CHARACTERS + CHECK_CHARACTERS}}$`,
);

export type NewKey = { readonly id: string; readonly text: string };

/** A new secret, for a new id or an old one. */
export function newKey(id: string = randomText(ID_CHARACTERS)): NewKey {
  const body = `${PREFIX}${id}_${randomText(SECRET_CHARACTERS)}`;
  return { id, text: body + checkOf(body) };
}

/** The id of something that has the form of a key; undefined: it has not, or a typo in it. */
export function idOf(text: string): string | undefined {
  if (!SHAPE.test(text)) return undefined;
  const end = text.length - CHECK_CHARACTERS;
  if (checkOf(text.slice(0, end)) !== text.slice(end)) return undefined;
  return text.slice(PREFIX.length, PREFIX.length + ID_CHARACTERS);
}

export function hashOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** What may be shown and logged. */
export function maskOf(id: string): string {
  return `${PREFIX}${id}_…`;
}

function randomText(count: number): string {
  // Drawn without a bias; keys are made seldom.
  return Array.from({ length: count }, () => ALPHABET[randomInt(ALPHABET.length)]!).join("");
}

function checkOf(text: string): string {
  let rest = crc32(text);
  let check = "";
  for (let i = 0; i < CHECK_CHARACTERS; i++) {
    check = ALPHABET[rest % ALPHABET.length]! + check;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return check;
}
