/**
 * Answers that the upstream gave before: the same question need not be asked twice.
 *
 * The key is a hash of all that the answer follows from: tenant, job, model, version of the policy
 * and of the prompt, the text in normal form, and what was said before. Tenants share nothing: an
 * answer that comes at once would tell one of them what another has asked. Errors are never kept.
 *
 * The oldest used leaves first, when there are too many bytes in all or too many answers of one
 * tenant; so a tenant that floods pushes out its own. The order of use is that of a Map's
 * insertions, one Map a tenant and one of the tenants, so an answer that leaves is found at once.
 */
import { hash } from "node:crypto";
import {
  ANSWER_CACHE_BYTES_MAX,
  ANSWER_CACHE_MS_MAX,
  ANSWERS_OF_TENANT_MAX,
} from "#model/limits.ts";

export type AnswerKeyParts = {
  readonly tenant: string;
  readonly job: string;
  readonly model: string;
  readonly policyVersion: number;
  /** Of the prompt's and the schema's wording. */
  readonly promptVersion: number;
  /** What was said before, as it goes into the prompt. */
  readonly context: readonly string[];
  readonly text: string;
};

export type AnswerCacheOptions = {
  readonly bytesMax?: number;
  readonly answersOfTenantMax?: number;
  readonly ageMsMax?: number;
};

type Entry = { readonly answer: Buffer; readonly untilMs: number };

/** Bytes that an entry takes beside its answer: key, two Map places, Buffer; measured at 400. */
const ENTRY_BYTES = 400;
const KEY_BYTES = 16;

export class AnswerCache {
  readonly #bytesMax: number;
  readonly #answersOfTenantMax: number;
  readonly #ageMsMax: number;
  /** The tenant that used or added an answer last is the last. */
  readonly #tenants = new Map<string, Map<string, Entry>>();
  #bytes = 0;
  hits = 0;
  misses = 0;

  constructor(options: AnswerCacheOptions = {}) {
    this.#bytesMax = options.bytesMax ?? ANSWER_CACHE_BYTES_MAX;
    this.#answersOfTenantMax = options.answersOfTenantMax ?? ANSWERS_OF_TENANT_MAX;
    this.#ageMsMax = options.ageMsMax ?? ANSWER_CACHE_MS_MAX;
  }

  get bytes(): number {
    return this.#bytes;
  }

  find(tenant: string, key: string, nowMs: number): Buffer | undefined {
    const answers = this.#tenants.get(tenant);
    const entry = answers?.get(key);
    if (answers === undefined || entry === undefined || entry.untilMs <= nowMs) {
      if (entry !== undefined) this.#remove(tenant, answers!, key, entry);
      this.misses += 1;
      return undefined;
    }
    this.hits += 1;
    answers.delete(key);
    answers.set(key, entry);
    this.#touch(tenant, answers);
    return entry.answer;
  }

  add(tenant: string, key: string, answer: Buffer, nowMs: number): void {
    const answers = this.#tenants.get(tenant) ?? new Map<string, Entry>();
    const before = answers.get(key);
    if (before !== undefined) this.#remove(tenant, answers, key, before);
    answers.set(key, { answer, untilMs: nowMs + this.#ageMsMax });
    this.#bytes += bytesOf(answer);
    this.#touch(tenant, answers);
    if (answers.size > this.#answersOfTenantMax) this.#removeOldest(tenant, answers);
    while (this.#bytes > this.#bytesMax) {
      const [oldest, theirs] = this.#tenants.entries().next().value!;
      this.#removeOldest(oldest, theirs);
    }
  }

  /** Its policy or its data changed in a way that no key shows. */
  forget(tenant: string): void {
    for (const { answer } of this.#tenants.get(tenant)?.values() ?? []) {
      this.#bytes -= bytesOf(answer);
    }
    this.#tenants.delete(tenant);
  }

  #touch(tenant: string, answers: Map<string, Entry>): void {
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, answers);
  }

  #removeOldest(tenant: string, answers: Map<string, Entry>): void {
    const [key, entry] = answers.entries().next().value!;
    this.#remove(tenant, answers, key, entry);
  }

  #remove(tenant: string, answers: Map<string, Entry>, key: string, { answer }: Entry): void {
    answers.delete(key);
    this.#bytes -= bytesOf(answer);
    if (answers.size === 0) this.#tenants.delete(tenant);
  }
}

/** Lengths stand before the texts, so that no two questions read the same. */
export function answerKey(parts: AnswerKeyParts): string {
  const { tenant, job, model, policyVersion, promptVersion, context, text } = parts;
  const own = [tenant, job, model, `${policyVersion}`, `${promptVersion}`, normalText(text)];
  let all = "";
  for (const each of own) all += `${each.length}:${each}`;
  for (const each of context) all += `${each.length}:${each}`;
  return hash("sha256", all, "buffer").toString("base64url", 0, KEY_BYTES);
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

function bytesOf(answer: Buffer): number {
  return ENTRY_BYTES + answer.length;
}
