/**
 * A message to be judged, from JSON of whatever door: every mistake of it is found, each with its
 * JSON pointer, and what is right becomes the request that the engine takes.
 */
import { CONVERSATION_ALLOWED, isConversationId } from "./conversation-id.ts";
import {
  EVENT_ID_BYTES_MAX,
  FUTURE_MS_MAX,
  LANGUAGE_BYTES_MAX,
  ROLE_BYTES_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
} from "./limits.ts";
import type { GivenTurn, ModerationRequest } from "./moderation.ts";
import { Mistakes, pointerTo } from "./mistakes.ts";
import { Problem, type ProblemCode } from "./problem.ts";
import { bytesOf, isWithinBytes } from "./text-bytes.ts";

type Fields = Readonly<Record<string, unknown>>;

const FIELDS = [
  "id",
  "conversation",
  "user",
  "role",
  "text",
  "replyTo",
  "language",
  "context",
  "tsMs",
  "doNotStore",
] as const;
const TURN_FIELDS = ["id", "user", "text"] as const;

/** Throws the problem of a message that cannot be judged; `errors` of it lists the mistakes. */
export function messageOf(value: unknown, nowMs: number): ModerationRequest {
  const reader = new MessageReader(nowMs);
  const request = reader.read(value);
  if (reader.mistakes.count > 0) throw problemOfMistakes(reader.mistakes);
  return request;
}

function problemOfMistakes(mistakes: Mistakes): Problem {
  const { code = "badRequest", members } = mistakes;
  const limit = code === "textTooLong" ? { textBytesMax: TEXT_BYTES_MAX } : {};
  return new Problem(code, mistakes.sentence("message"), { members: { ...limit, ...members } });
}

class MessageReader {
  readonly mistakes = new Mistakes();
  readonly #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  read(value: unknown): ModerationRequest {
    if (!isObject(value)) {
      this.#add("", "must be an object with a text", "badRequest");
      return { text: "" };
    }
    this.#refuseStrangers(value, "", FIELDS);
    return {
      id: this.#name(value, "id", EVENT_ID_BYTES_MAX),
      conversation: this.#conversation(value),
      user: this.#name(value, "user", USER_BYTES_MAX),
      role: this.#name(value, "role", ROLE_BYTES_MAX),
      text: this.#text(value, "/text", true),
      replyTo: this.#name(value, "replyTo", EVENT_ID_BYTES_MAX),
      language: primaryTag(this.#name(value, "language", LANGUAGE_BYTES_MAX)),
      context: this.#context(value),
      tsMs: this.#time(value),
      doNotStore: this.#flag(value, "doNotStore"),
    };
  }

  #add(pointer: string, message: string, code: ProblemCode): void {
    this.mistakes.add(pointer, message, code);
  }

  #refuseStrangers(value: Fields, at: string, known: readonly string[]): void {
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue;
      const list = known.join(", ");
      this.#add(pointerTo(at, name), `is no field; there are ${list}`, "badRequest");
    }
  }

  #text({ text }: Fields, pointer: string, limited: boolean): string {
    if (text === undefined) this.#add(pointer, "is missing", "badRequest");
    else if (typeof text !== "string") this.#add(pointer, "must be a string", "badRequest");
    else if (text === "") this.#add(pointer, "must not be empty", "textEmpty");
    else if (limited && !isWithinBytes(text, TEXT_BYTES_MAX)) {
      const size = `has ${bytesOf(text)} bytes of UTF-8`;
      this.#add(pointer, `${size}, over ${TEXT_BYTES_MAX}`, "textTooLong");
    } else if (!text.isWellFormed()) this.#add(pointer, LONE, "textNotUnicode");
    else return text;
    return "";
  }

  /** `null` is as good as nothing: many languages write what is not set so. */
  #name(value: Fields, name: string, bytesMax: number, at = ""): string | undefined {
    const text = value[name] ?? undefined;
    if (text === undefined) return undefined;
    const pointer = pointerTo(at, name);
    if (typeof text !== "string") this.#add(pointer, "must be a string", "badRequest");
    else if (text === "" || !isWithinBytes(text, bytesMax)) {
      this.#add(pointer, `must have 1 to ${bytesMax} bytes of UTF-8`, "badRequest");
    } else if (!text.isWellFormed()) this.#add(pointer, LONE, "textNotUnicode");
    else return text;
    return undefined;
  }

  #conversation({ conversation }: Fields): string | undefined {
    const id = conversation ?? undefined;
    if (id === undefined) return undefined;
    if (typeof id !== "string") this.#add("/conversation", "must be a string", "badRequest");
    else if (!isConversationId(id)) {
      this.#add("/conversation", `must have ${CONVERSATION_ALLOWED}`, "conversationIllegal");
    } else if (!id.isWellFormed()) this.#add("/conversation", LONE, "textNotUnicode");
    else return id;
    return undefined;
  }

  #context({ context }: Fields): readonly GivenTurn[] | undefined {
    const turns: unknown = context ?? undefined;
    if (turns === undefined) return undefined;
    if (!Array.isArray(turns)) {
      this.#add("/context", "must be an array, the oldest message first", "badRequest");
      return undefined;
    }
    return turns.map((turn: unknown, index) => this.#turn(turn, `/context/${index}`));
  }

  /** A longer text than a message's own is fine: what does not fit is cut from its start. */
  #turn(turn: unknown, pointer: string): GivenTurn {
    if (!isObject(turn)) {
      this.#add(pointer, "must be an object with a text", "badRequest");
      return { text: "" };
    }
    this.#refuseStrangers(turn, pointer, TURN_FIELDS);
    return {
      id: this.#name(turn, "id", EVENT_ID_BYTES_MAX, pointer),
      user: this.#name(turn, "user", USER_BYTES_MAX, pointer),
      text: turn["text"] === "" ? "" : this.#text(turn, `${pointer}/text`, false),
    };
  }

  #time({ tsMs }: Fields): number | undefined {
    const time = tsMs ?? undefined;
    if (time === undefined) return undefined;
    const latestMs = Math.min(TS_MS_MAX, this.#nowMs + FUTURE_MS_MAX);
    if (typeof time !== "number") this.#add("/tsMs", "must be a number", "badRequest");
    else if (time >= 0 && time <= latestMs) return time;
    else if (time > latestMs && time <= TS_MS_MAX) {
      const ahead = `is over ${FUTURE_MS_MAX / 1_000} s ahead of the server's clock`;
      this.#add("/tsMs", ahead, "badRequest");
    } else {
      this.#add("/tsMs", "must be epoch milliseconds, not before 1970", "badRequest");
    }
    return undefined;
  }

  #flag(value: Fields, name: string): boolean | undefined {
    const flag = value[name] ?? undefined;
    if (flag === undefined || typeof flag === "boolean") return flag;
    this.#add(`/${name}`, "must be true or false", "badRequest");
    return undefined;
  }
}

const LONE = "has half of a surrogate pair, which is no character";

/** `en` of `en-GB` or `EN_gb`: what the classifier and its lists are chosen by. */
export function primaryTag(tag: string | undefined): string | undefined {
  return tag?.trim().split(/[-_]/, 1)[0]?.toLowerCase() || undefined;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
