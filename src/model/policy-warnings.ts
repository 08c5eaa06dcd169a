/** What a policy allows and hardly means. */
import { isCommonWord } from "./common-words.ts";
import { CATEGORIES } from "./moderation.ts";
import type { ListEntry, Policy } from "./policy.ts";

export const POLICY_WARNINGS = [
  "policyNeverMatches",
  "policyAlwaysMatches",
  "flagFollowsBlock",
  "contextOff",
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
