/**
 * Answers that the upstream gave before: the same question need not be asked twice.
 *
 * The key is of all that the answer follows from: tenant, job, version of the policy, and a hash of
 * the parts of the prompt, which are what was said before and the text, this one in normal form.
 * (Model and wording of the prompt are the same for as long as the process runs.) Tenants share
 * nothing: an answer that comes at once would tell one of them what another has asked. Errors are
 * never kept. The hash is one that nobody can find a second text for: who could would have a text
 * judged as another one was.
 *
 * The oldest used leaves first, when there are too many bytes in all or too many answers of one
 * tenant; so a tenant that floods pushes out its own. The order of use is that of a Map's
 * insertions, one Map a tenant and one of the tenants, so an answer that leaves is found at once.
 *
 * A Map that is asked for a text enters it in V8's table of all texts first, which takes as long as
 * the hash. So answers are found by a number, the key's first bits, and the key is compared; of two
 * keys with one number the newer one is kept.
 */
import { hash } from "node:crypto";
import {
  ANSWER_CACHE_BYTES_MAX,
  ANSWER_CACHE_MS_MAX,
  ANSWERS_OF_TENANT_MAX,
} from "#model/limits.ts";
import { type PromptPart, writePromptParts } from "#model/prompt-parts.ts";

export type AnswerKeyParts = {
  readonly tenant: number;
  readonly job: number;
  readonly policyVersion: number;
  /** The bytes and what they say: one question is not read twice. */
  readonly prompt: Uint8Array;
  readonly parts: readonly PromptPart[];
};

export type AnswerCacheOptions = {
  readonly bytesMax?: number;
  readonly answersOfTenantMax?: number;
  readonly ageMsMax?: number;
};

type Entry = { readonly key: string; readonly answer: Uint8Array; readonly untilMs: number };

/** Bytes that an entry takes beside its answer: key, two Map places, Buffer; measured at 400. */
const ENTRY_BYTES = 400;

export class AnswerCache {
  readonly #bytesMax: number;
  readonly #answersOfTenantMax: number;
  readonly #ageMsMax: number;
  /** The tenant that used or added an answer last is the last. */
  readonly #tenants = new Map<string, Map<number, Entry>>();
  /** The last of them, unless it is empty. */
  #newest: Map<number, Entry> | undefined;
  #bytes = 0;

  constructor(options: AnswerCacheOptions = {}) {
    this.#bytesMax = options.bytesMax ?? ANSWER_CACHE_BYTES_MAX;
    this.#answersOfTenantMax = options.answersOfTenantMax ?? ANSWERS_OF_TENANT_MAX;
    this.#ageMsMax = options.ageMsMax ?? ANSWER_CACHE_MS_MAX;
  }

  get bytes(): number {
    return this.#bytes;
  }

  find(tenant: string, key: string, nowMs: number): Uint8Array | undefined {
    const answers = this.#tenants.get(tenant);
    const number = numberOfKey(key);
    const entry = answers?.get(number);
    if (answers === undefined || entry === undefined || entry.key !== key) return undefined;
    if (entry.untilMs <= nowMs) {
      this.#remove(tenant, answers, number, entry);
      return undefined;
    }
    answers.delete(number);
    answers.set(number, entry);
    this.#touch(tenant, answers);
    return entry.answer;
  }

  add(tenant: string, key: string, answer: Uint8Array, nowMs: number): void {
    const answers = this.#tenants.get(tenant) ?? new Map<number, Entry>();
    const number = numberOfKey(key);
    const before = answers.get(number);
    if (before !== undefined) this.#remove(tenant, answers, number, before);
    answers.set(number, { key, answer, untilMs: nowMs + this.#ageMsMax });
    this.#bytes += bytesOf(answer);
    this.#touch(tenant, answers);
    if (answers.size > this.#answersOfTenantMax) this.#removeOldest(tenant, answers);
    while (this.#bytes > this.#bytesMax) {
      const [oldest, theirs] = this.#tenants.entries().next().value!;
      this.#removeOldest(oldest, theirs);
    }
  }

  /** No key finds them any more. */
  forget(tenant: string): void {
    for (const { answer } of this.#tenants.get(tenant)?.values() ?? []) {
      this.#bytes -= bytesOf(answer);
    }
    if (this.#newest === this.#tenants.get(tenant)) this.#newest = undefined;
    this.#tenants.delete(tenant);
  }

  #touch(tenant: string, answers: Map<number, Entry>): void {
    if (this.#newest === answers) return;
    this.#newest = answers;
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, answers);
  }

  #removeOldest(tenant: string, answers: Map<number, Entry>): void {
    const [number, entry] = answers.entries().next().value!;
    this.#remove(tenant, answers, number, entry);
  }

  #remove(tenant: string, answers: Map<number, Entry>, number: number, { answer }: Entry): void {
    answers.delete(number);
    this.#bytes -= bytesOf(answer);
    if (answers.size > 0) return;
    this.#tenants.delete(tenant);
    if (this.#newest === answers) this.#newest = undefined;
  }
}

/** Lengths stand before the texts in the bytes, so that no two questions read the same. */
export function answerKey(question: AnswerKeyParts): string {
  const { tenant, job, policyVersion, prompt, parts } = question;
  const said = normal(prompt, parts);
  const end = KEY_HEAD_BYTES + said.length;
  if (end > hashed.length) hashed = Buffer.alloc(2 * end);
  hashed.writeUInt32LE(tenant, 0);
  hashed.writeUInt32LE(job, 4);
  hashed.writeDoubleLE(policyVersion, 8);
  hashed.set(said, KEY_HEAD_BYTES);
  return hash("sha256", hashed.subarray(0, end), "latin1");
}

/** What a Map finds the key by; others may have the same. */
export function numberOfKey(key: string): number {
  return (
    key.charCodeAt(0) |
    (key.charCodeAt(1) << 8) |
    (key.charCodeAt(2) << 16) |
    (key.charCodeAt(3) << 24)
  );
}

const KEY_HEAD_BYTES = 16;
/** What is hashed, one question at a time. */
let hashed = Buffer.alloc(8_192);

/** The prompt with its subject in normal form, which it is in as a rule. */
function normal(prompt: Uint8Array, parts: readonly PromptPart[]): Uint8Array {
  const at = parts.findLastIndex(isSubject);
  if (at === -1) return prompt;
  const part = parts[at]!;
  const text = normalText(part.text);
  return text === part.text ? prompt : writePromptParts(parts.with(at, { ...part, text }));
}

function isSubject({ kind }: PromptPart): boolean {
  return kind === "subject";
}

/**
 * What makes no difference to what a text says: compatibility forms, runs of white space, what
 * cannot be seen. Case stays: it can be shouting.
 */
export function normalText(text: string): string {
  // Most texts are: one look is cheaper than four.
  if (!/[^!-~ ]| {2}|^ | $/.test(text)) return text;
  return text
    .normalize("NFKC")
    .replaceAll(/[[\p{Cf}\p{Cc}]--[\t\n\r\u200d]]/gv, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

function bytesOf(answer: Uint8Array): number {
  return ENTRY_BYTES + answer.length;
}
