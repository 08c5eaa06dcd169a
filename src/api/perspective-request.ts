/**
 * What Perspective's clients send, read as its JSON was: names in camel or in snake case, unknown
 * fields ignored, `null` for nothing.
 */
import { CLIENT_TOKEN_BYTES_MAX, TEXT_BYTES_MAX } from "#model/limits.ts";
import { HtmlText } from "#model/html-text.ts";
import { isObject, primaryTag } from "#model/moderation-input.ts";
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES_NOT_SCORED,
  type Attribute,
  attributeOf,
} from "#model/perspective.ts";
import type { Problem } from "#model/problem.ts";
import { isWithinBytes } from "#model/text-bytes.ts";
import { perspectiveProblem } from "./perspective-errors.ts";

export type Fields = Readonly<Record<string, unknown>>;

const HALF_PAIR = "it has half of a surrogate pair, which is no character";
/** HTML may be longer than the text in it; this much is looked at. */
const HTML_TEXTS_MAX = 8;

export type Comment = {
  /** As it is judged. */
  readonly text: string;
  /** The original's, in UTF-16 units: what the whole comment spans. */
  readonly length: number;
  readonly toSource: (span: { start: number; end: number }) => { start: number; end: number };
};

export type AskedAttribute = {
  /** As the request names it. */
  readonly name: string;
  readonly attribute: Attribute;
  readonly threshold: number | undefined;
};

export function invalidRequest(message: string): Problem {
  return perspectiveProblem("INVALID_REQUEST", message);
}

/** A field by either of its spellings. */
export function fieldOf(fields: Fields, name: string): unknown {
  const value = fields[name] ?? fields[snakeOf(name)];
  return value ?? undefined;
}

function snakeOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function objectOf(fields: Fields, name: string): Fields | undefined {
  const value = fieldOf(fields, name);
  if (value === undefined || isObject(value)) return value;
  throw invalidRequest(`Invalid value at '${snakeOf(name)}': it must be an object.`);
}

export function textOf(fields: Fields, name: string): string | undefined {
  const value = fieldOf(fields, name);
  if (value === undefined) return undefined;
  if (typeof value !== "string") {
    throw invalidRequest(`Invalid value at '${snakeOf(name)}': it must be a string.`);
  }
  if (!value.isWellFormed()) {
    throw invalidRequest(`Invalid value at '${snakeOf(name)}': ${HALF_PAIR}.`);
  }
  return value === "" ? undefined : value;
}

export function flagOf(fields: Fields, name: string): boolean {
  const value = fieldOf(fields, name);
  if (value === undefined || typeof value === "boolean") return value === true;
  throw invalidRequest(`Invalid value at '${snakeOf(name)}': it must be true or false.`);
}

/** Echoed as it came, so its size is bounded. */
export function tokenOf(fields: Fields): string | undefined {
  const token = textOf(fields, "clientToken");
  if (token === undefined || isWithinBytes(token, CLIENT_TOKEN_BYTES_MAX)) return token;
  throw invalidRequest(`client_token is over ${CLIENT_TOKEN_BYTES_MAX} bytes.`);
}

export function commentOf(fields: Fields): Comment {
  const entry = objectOf(fields, "comment");
  const text = entry === undefined ? undefined : textOf(entry, "text");
  if (entry === undefined || text === undefined) {
    throw perspectiveProblem("COMMENT_EMPTY", "Comment must be non-empty.");
  }
  const isHtml = typeOf(entry) === "HTML";
  if (!isWithinBytes(text, isHtml ? HTML_TEXTS_MAX * TEXT_BYTES_MAX : TEXT_BYTES_MAX)) {
    throw tooLong();
  }
  if (!isHtml) return { text, length: text.length, toSource: (span) => span };
  const html = new HtmlText(text);
  if (html.text.trim() === "") {
    throw perspectiveProblem("COMMENT_EMPTY", "Comment must be non-empty: it is markup alone.");
  }
  if (!isWithinBytes(html.text, TEXT_BYTES_MAX)) throw tooLong();
  return { text: html.text, length: text.length, toSource: (span) => html.toSource(span) };
}

function tooLong(): Problem {
  const message = `Comment text too long: over ${TEXT_BYTES_MAX} bytes of UTF-8.`;
  return perspectiveProblem("COMMENT_TOO_LONG", message);
}

function typeOf(entry: Fields): "PLAIN_TEXT" | "HTML" {
  const type = fieldOf(entry, "type") ?? "PLAIN_TEXT";
  if (type === "HTML") return "HTML";
  if (type === "PLAIN_TEXT" || type === "TEXT_TYPE_UNSPECIFIED") return "PLAIN_TEXT";
  throw invalidRequest("Unknown text type: use PLAIN_TEXT or HTML.");
}

/** The oldest first; an article comes before what was said about it. */
export function contextOf(fields: Fields): readonly { text: string }[] | undefined {
  const context = objectOf(fields, "context");
  if (context === undefined) return undefined;
  const entries = fieldOf(context, "entries");
  const article = objectOf(context, "articleAndParentComment");
  if (entries !== undefined && article !== undefined) {
    throw invalidRequest(
      "Context can have either entries or article_and_parent_comment, " +
        "but both fields were populated.",
    );
  }
  if (entries !== undefined && !Array.isArray(entries)) {
    throw invalidRequest("Invalid value at 'context.entries': it must be an array.");
  }
  const given: readonly unknown[] =
    article === undefined
      ? (entries ?? [])
      : [objectOf(article, "article"), objectOf(article, "parentComment")];
  const turns = given.flatMap((entry) => {
    if (entry === undefined || entry === null) return [];
    if (!isObject(entry)) {
      throw invalidRequest("Invalid value at 'context.entries': each must be an object.");
    }
    const text = textOf(entry, "text");
    if (text === undefined) return [];
    return [{ text: typeOf(entry) === "HTML" ? new HtmlText(text).text : text }];
  });
  return turns.length === 0 ? undefined : turns;
}

/** Primary tags as we know them, beside the languages as they were given. */
export function languagesOf(
  fields: Fields,
): { readonly given: readonly string[]; readonly tags: readonly string[] } | undefined {
  const value = fieldOf(fields, "languages");
  if (value === undefined) return undefined;
  const given: readonly unknown[] = Array.isArray(value) ? value : [undefined];
  const tags = given.map((language) => {
    const tag = typeof language === "string" ? primaryTag(language) : undefined;
    if (tag !== undefined && /^[a-z]{2,8}$/.test(tag)) return tag;
    throw invalidRequest("Invalid value at 'languages': use codes such as en, in an array.");
  });
  return tags.length === 0 ? undefined : { given: given as readonly string[], tags };
}

/** Known ones; `dropped`: the caller said that the others may be left out. */
export function attributesOf(fields: Fields, drops: boolean): readonly AskedAttribute[] {
  const requested = objectOf(fields, "requestedAttributes");
  if (requested === undefined || Object.keys(requested).length === 0) {
    throw perspectiveProblem("NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes");
  }
  return Object.entries(requested).flatMap(([name, options]) => {
    const attribute = attributeOf(name);
    if (attribute === undefined) {
      if (drops && ATTRIBUTES_NOT_SCORED.has(name)) return [];
      throw unknownAttribute(name);
    }
    return [{ name, attribute, threshold: thresholdOf(name, options) }];
  });
}

export function unknownAttribute(name: string): Problem {
  const shown = JSON.stringify(name.slice(0, 80)).slice(1, -1);
  const scored = ATTRIBUTE_NAMES.join(", ");
  return invalidRequest(
    ATTRIBUTES_NOT_SCORED.has(name)
      ? `Attribute ${shown} is not scored here; there are ${scored}.`
      : `Unknown requested attribute: ${shown}; there are ${scored}.`,
  );
}

function thresholdOf(name: string, options: unknown): number | undefined {
  if (options === null) return undefined;
  if (!isObject(options)) {
    throw invalidRequest(`Invalid value at 'requested_attributes.${name}': it must be an object.`);
  }
  const type = fieldOf(options, "scoreType") ?? "PROBABILITY";
  if (type !== "PROBABILITY" && type !== "SCORE_TYPE_UNSPECIFIED") {
    const shown = typeof type === "string" ? type.slice(0, 40) : "it";
    throw invalidRequest(
      `Requested score type ${shown} is not supported by attribute ${name}; use PROBABILITY.`,
    );
  }
  const value = fieldOf(options, "scoreThreshold");
  if (value === undefined) return undefined;
  // A number in quotes, and one in a wrapper, are numbers to their JSON, too.
  const inner = isObject(value) ? value["value"] : value;
  const threshold = typeof inner === "string" && inner.trim() !== "" ? Number(inner) : inner;
  if (typeof threshold === "number" && Number.isFinite(threshold)) return threshold;
  throw invalidRequest(`Invalid score_threshold of attribute ${name}: it must be a number.`);
}
