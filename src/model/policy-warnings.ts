/** What a policy allows and hardly means. */
import { isCommonWord } from "./common-words.ts";
import { CATEGORIES } from "./moderation.ts";
import { POLICY_DEFAULT } from "./policy-default.ts";
import type { ListEntry, Policy } from "./policy.ts";

export const POLICY_WARNINGS = [
  "policyNeverMatches",
  "policyAlwaysMatches",
  "flagFollowsBlock",
  "contextOff",
  "consultWeighsNothing",
  "consultNeverUnsure",
  "consultAlwaysUnsure",
  "consultOff",
  "roleNeverFlagged",
  "listEntryCommonWord",
  "listEntryNeverMet",
  "listEntryInBoth",
  "listEntryTwice",
] as const;

export type PolicyWarning = {
  readonly code: (typeof POLICY_WARNINGS)[number];
  readonly pointer: string;
  readonly message: string;
};

/** `at`: where the policy stands in its body. */
export function policyWarnings(policy: Policy, at = ""): PolicyWarning[] {
  return [
    ...matchWarnings(policy, at),
    ...consultWarnings(policy, `${at}/consult`),
    ...roleWarnings(policy, at),
    ...listWarnings(policy, "blockList", at),
    ...listWarnings(policy, "allowList", at),
  ];
}

function matchWarnings({ categories, blockList, context }: Policy, at: string): PolicyWarning[] {
  const warnings: PolicyWarning[] = [];
  // A score is a probability: that it is 1 does not happen.
  const flags = CATEGORIES.some((category) => (categories[category].flagAt ?? 1) < 1);
  if (!flags && blockList.length === 0) {
    const message = "No threshold is on and no term is blocked: nothing is ever flagged.";
    warnings.push({ code: "policyNeverMatches", pointer: `${at}/categories`, message });
  }
  for (const category of CATEGORIES) {
    if (categories[category].flagAt !== 0) continue;
    const message = `Every score reaches 0, so every message is flagged for ${category}.`;
    const pointer = `${at}/categories/${category}/flagAt`;
    warnings.push({ code: "policyAlwaysMatches", pointer, message });
  }
  if (context.turnsMax === 0 && categories.harmfulReply.flagAt !== null) {
    const message =
      "Remembered messages are not read, so harmfulReply stands on context that is sent along.";
    warnings.push({ code: "contextOff", pointer: `${at}/context/turnsMax`, message });
  }
  return warnings;
}

function consultWarnings({ consult, categories }: Policy, at: string): PolicyWarning[] {
  const { mode, weight, below, guidance } = consult;
  const warning = (code: PolicyWarning["code"], name: string, message: string): PolicyWarning[] => [
    { code, pointer: `${at}/${name}`, message },
  ];
  if (mode === "never") {
    if (guidance === "") return [];
    const message = "It is for the upstream, which is never asked.";
    return warning("consultOff", "guidance", message);
  }
  if (weight === 0) {
    const message = "The upstream is asked, and its answer weighs nothing: no verdict changes.";
    return warning("consultWeighsNothing", "weight", message);
  }
  if (mode === "all") return [];
  const on = CATEGORIES.flatMap((category) => {
    const { flagAt } = categories[category];
    return flagAt === null ? [] : [{ category, flagAt }];
  });
  if (on.length === 0) {
    // A list alone moderates, and nobody asked for anything else.
    if (JSON.stringify(consult) === JSON.stringify(POLICY_DEFAULT.consult)) return [];
    const message = "No threshold is on, so no score is near one: the upstream is never asked.";
    return warning("consultNeverUnsure", "mode", message);
  }
  const wide = on.find(({ flagAt }) => flagAt > 0 && flagAt <= below);
  if (wide === undefined) return [];
  const message =
    `A score of 0 is within ${below} of ${wide.category}'s threshold, ${wide.flagAt}, ` +
    `so an upstream, if there is one, is asked about nearly every message.`;
  return warning("consultAlwaysUnsure", "below", message);
}

function roleWarnings({ categories, roles }: Policy, at: string): PolicyWarning[] {
  const on = CATEGORIES.flatMap((category) => categories[category].flagAt ?? []);
  const lowest = Math.min(...on);
  return roles.flatMap(({ role, leniency, exempt }, index) => {
    if (exempt === true || on.length === 0 || lowest + leniency < 1) return [];
    const message = `With this leniency no threshold is below 1: nothing of ${role} is flagged.`;
    const pointer = `${at}/roles/${index}/leniency`;
    return [{ code: "roleNeverFlagged" as const, pointer, message }];
  });
}

function listWarnings(
  policy: Policy,
  name: "allowList" | "blockList",
  at: string,
): PolicyWarning[] {
  const warnings: PolicyWarning[] = [];
  const other = new Set(policy[name === "blockList" ? "allowList" : "blockList"].map(keyOf));
  const seen = new Set<string>();
  for (const [index, entry] of policy[name].entries()) {
    const key = keyOf(entry);
    const pointer = `${at}/${name}/${index}`;
    const term = JSON.stringify(entry.term);
    const add = (code: PolicyWarning["code"], what: string): void => {
      warnings.push({ code, pointer, message: `${term} ${what}` });
    };
    const met = key.replaceAll(SIGNS, "").trim();
    if (seen.has(key)) add("listEntryTwice", "stands in the list before.");
    else if (met === "") {
      add("listEntryNeverMet", "has no letter, digit or emoji, and signs are passed over.");
    } else if (name === "blockList" && (isCommonWord(met) || LETTER.test(met))) {
      const as = met === key ? "" : `is met as ${JSON.stringify(met)}, which `;
      add("listEntryCommonWord", `${as}is so common that most messages have it.`);
    }
    if (name === "blockList" && other.has(key)) {
      add("listEntryInBoth", "stands in both lists, so one of them is without effect.");
    }
    seen.add(key);
  }
  return warnings;
}

/** What a moderator passes over around and within the words of an entry. */
const SIGNS = /[^\p{L}\p{M}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}\s]/gu;
/** One that is a word now and then, unlike a character of Chinese. */
const LETTER = /^[\p{sc=Latin}\p{sc=Cyrillic}\p{sc=Greek}\p{N}]$/u;

/** Two spellings that a reader takes for one. */
function keyOf({ term }: ListEntry): string {
  return term.normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " ").trim();
}
