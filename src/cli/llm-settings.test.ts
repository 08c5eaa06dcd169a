import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "#config/load.ts";
import { llmSettingsOf, llmWarnings, llmWords } from "./llm-settings.ts";

type Variables = Readonly<Record<string, string>>;

function settingsOf(environment: Variables) {
  const { config } = loadConfig({ file: undefined, environment, flags: {} });
  return { config, settings: llmSettingsOf(config, environment) };
}

const ON = {
  NEXUSCORE_LLM_BASE_URL: "https://models.example/v1",
  NEXUSCORE_LLM_MODEL: "small-1",
  NEXUSCORE_LLM_API_KEY: "sk-secret",
};

test("llm settings: off, and how to turn it on", () => {
  const { config, settings } = settingsOf({});
  assert.equal(settings, undefined);
  assert.match(
    llmWords(settings, config),
    /^off, set NEXUSCORE_LLM_BASE_URL and NEXUSCORE_LLM_MODEL/,
  );
  const half = settingsOf({ NEXUSCORE_LLM_MODEL: "small-1" });
  assert.match(llmWords(half.settings, half.config), /^off, there is a model, but no address/);
});

test("llm settings: a price of a million tokens is millionths a token", () => {
  const { settings } = settingsOf({
    ...ON,
    NEXUSCORE_LLM_PROMPT_PRICE: "0.15",
    NEXUSCORE_LLM_MONEY_PER_DAY: "2.5",
    NEXUSCORE_LLM_EXTRA: '{"temperature": null}',
    NEXUSCORE_LLM_HEDGING: "on",
  });
  const { moderation } = settings!.jobs;
  assert.deepEqual(moderation!.prices, {
    promptMicros: 0.15,
    cachedMicros: 0,
    completionMicros: 0,
  });
  assert.equal(settings!.budget.microsPerDay, 2_500_000);
  assert.deepEqual(moderation!.extra, { temperature: null });
  assert.equal(moderation!.hedges, true);
  assert.equal(moderation!.apiKey, "sk-secret");
});

test("llm settings: without a bound there is none", () => {
  const { settings } = settingsOf({ ...ON, NEXUSCORE_LLM_CALLS_PER_MINUTE: "unlimited" });
  assert.equal(settings!.budget.callsPerMinute, Infinity);
  assert.equal(settings!.budget.microsPerDay, Infinity);
});

test("llm settings: what is asked where, in words that hold no key", () => {
  const { config, settings } = settingsOf({ ...ON, NEXUSCORE_LLM_TLDR_MODEL: "large-1" });
  const words = llmWords(settings, config);
  assert.equal(
    words,
    "small-1 at https://models.example for moderation, rolling; " +
      "large-1 at https://models.example for tldr",
  );
});

for (const { url, key = "sk-secret", isWarned } of [
  { url: "https://models.example/v1", isWarned: false },
  { url: "http://models.example/v1", isWarned: true },
  { url: "http://10.0.0.7:8000/v1", isWarned: true },
  { url: "http://127.0.0.1:8000/v1", isWarned: false },
  { url: "http://localhost:8000/v1", isWarned: false },
  { url: "http://[::1]:8000/v1", isWarned: false },
  { url: "http://localhost.example/v1", isWarned: true },
  { url: "http://models.example/v1", key: "", isWarned: false },
]) {
  const which = key === "" ? "without a key" : "with a key";
  test(`llm settings: ${url} ${which}: ${isWarned ? "a" : "no"} warning`, () => {
    const { settings } = settingsOf({
      ...ON,
      NEXUSCORE_LLM_BASE_URL: url,
      NEXUSCORE_LLM_API_KEY: key,
    });
    const warnings = llmWarnings(settings!);
    assert.equal(warnings.length, isWarned ? 1 : 0, "one for all jobs");
    if (isWarned) assert.match(warnings[0]!.what, /can read them/);
  });
}

test("llm settings: a budget of money without a price bounds nothing, which is told", () => {
  const budget = { ...ON, NEXUSCORE_LLM_MONEY_PER_DAY: "1" };
  const [warning] = llmWarnings(settingsOf(budget).settings!);
  assert.match(warning!.what, /llmMoneyPerDay bounds nothing for moderation, tldr, rolling/);
  const priced = { ...budget, NEXUSCORE_LLM_PROMPT_PRICE: "0.1" };
  assert.deepEqual(llmWarnings(settingsOf(priced).settings!), []);
});
