import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ConfigError } from "./config-error.ts";
import { llmJobsOf } from "./llm-checks.ts";
import { llmKeyOf } from "./llm-keys.ts";
import { parseFile } from "./file.ts";
import { loadConfig, type LoadedConfig } from "./load.ts";
import { printConfig } from "./print.ts";

type Variables = Readonly<Record<string, string>>;

const SERVER = "http://127.0.0.1:8080/v1";
const ON = { NEXUSCORE_LLM_BASE_URL: SERVER, NEXUSCORE_LLM_MODEL: "small-1" };
const SECRET = "sk-very-secret";

function load(environment: Variables, file?: string): LoadedConfig {
  return loadConfig({ file, environment, flags: {} });
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-llm-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("llm options: nothing is set, nothing is asked", () => {
  assert.deepEqual(llmJobsOf(load({}).config), []);
  const keyAlone = load({ NEXUSCORE_LLM_API_KEY: SECRET, NEXUSCORE_LLM_MODEL: "small-1" });
  assert.deepEqual(llmJobsOf(keyAlone.config), []);
});

test("llm options: an address and a model serve all jobs, and each may have its own", () => {
  const { config, origins } = load({
    ...ON,
    NEXUSCORE_LLM_TLDR_MODEL: "large-1",
    NEXUSCORE_LLM_ROLLING_PROMPT_PRICE: "0.25",
  });
  assert.deepEqual(llmJobsOf(config), ["moderation", "tldr", "rolling"]);
  assert.deepEqual(
    [config.llmModerationModel, config.llmTldrModel, config.llmRollingModel],
    ["small-1", "large-1", "small-1"],
  );
  assert.equal(config.llmTldrBaseUrl, SERVER);
  assert.equal(origins.llmTldrBaseUrl, "as llmBaseUrl");
  assert.equal(origins.llmTldrModel, "NEXUSCORE_LLM_TLDR_MODEL");
  assert.deepEqual([config.llmTldrPromptPrice, config.llmRollingPromptPrice], [0, 0.25]);
});

test("llm options: jobs are those named, in the order of their rank", () => {
  const { config } = load({ ...ON, NEXUSCORE_LLM_JOBS: "tldr, moderation" });
  assert.deepEqual(llmJobsOf(config), ["moderation", "tldr"]);
  const one = { NEXUSCORE_LLM_TLDR_BASE_URL: SERVER, NEXUSCORE_LLM_TLDR_MODEL: "small-1" };
  assert.deepEqual(llmJobsOf(load(one).config), ["tldr"]);
});

test("llm options: lists and mappings of a file, and how they are printed", (t) => {
  const file = join(folderOf(t), "n.yaml");
  const yaml = `llmBaseUrl: ${SERVER}/\nllmModel: small-1\nllmJobs: [rolling, tldr]\n`;
  writeFileSync(file, `${yaml}llmExtra: {seed: 1, top_k: 5}\nllmMoneyPerDay: unlimited\n`);
  const loaded = load({ NEXUSCORE_LLM_API_KEY: SECRET }, file);
  const { config } = loaded;
  assert.equal(config.llmBaseUrl, SERVER, "without the slash at its end");
  assert.equal(config.llmJobs, "tldr,rolling");
  assert.equal(config.llmExtra, '{"seed":1,"top_k":5}');
  assert.equal(config.llmMoneyPerDay, Infinity);
  const printed = printConfig(loaded);
  assert.match(printed, /^llmMoneyPerDay: unlimited # /m);
  assert.match(printed, /^# NEXUSCORE_LLM_API_KEY is set, and not shown\.$/m);
  assert(!printed.includes(SECRET) && !JSON.stringify(loaded).includes(SECRET));
  writeFileSync(file, printed);
  assert.deepEqual(load({}, file).config, config, "what is printed is read as it was");
  assert(parseFile("printed", printed).length > 40);
});

for (const { name, environment, code, message } of [
  {
    name: "an address that is none",
    environment: { NEXUSCORE_LLM_BASE_URL: "127.0.0.1:8080/v1" },
    code: "configType",
    message: /^NEXUSCORE_LLM_BASE_URL: llmBaseUrl is "127.+; use an address such as http:/,
  },
  {
    name: "another protocol",
    environment: { NEXUSCORE_LLM_BASE_URL: "localhost:8080/v1" },
    code: "configRange",
    message: /is neither http:\/\/ nor https:\/\//,
  },
  {
    name: "a password in the address",
    environment: { NEXUSCORE_LLM_TLDR_BASE_URL: `https://me:${SECRET}@example.com/v1` },
    code: "configRange",
    message: /^NEXUSCORE_LLM_TLDR_BASE_URL: .+ has a user name or a password in it/,
  },
  {
    name: "a query in the address",
    environment: { NEXUSCORE_LLM_BASE_URL: "https://example.com/v1?version=2" },
    code: "configRange",
    message: /has a \? or a #/,
  },
  {
    name: "an address that goes too far",
    environment: { NEXUSCORE_LLM_BASE_URL: "https://example.com/v1/chat/completions" },
    code: "configRange",
    message: /it ends before \/chat\/completions/,
  },
  {
    name: "no model",
    environment: { NEXUSCORE_LLM_BASE_URL: SERVER },
    code: "configContradictory",
    message:
      /^NEXUSCORE_LLM_BASE_URL: an address for moderation, but no model: set NEXUSCORE_LLM_MO/,
  },
  {
    name: "a job without an address",
    environment: {
      NEXUSCORE_LLM_TLDR_BASE_URL: SERVER,
      NEXUSCORE_LLM_TLDR_MODEL: "small-1",
      NEXUSCORE_LLM_JOBS: "tldr,rolling",
    },
    code: "configContradictory",
    message: /^NEXUSCORE_LLM_JOBS: llmJobs has rolling, but no address: .+_ROLLING_BASE_URL for it/,
  },
  {
    name: "a job that there is not",
    environment: { NEXUSCORE_LLM_JOBS: "tldr,poems" },
    code: "configRange",
    message: /some of moderation, tldr, rolling/,
  },
  {
    name: "a model with a line break",
    environment: { NEXUSCORE_LLM_MODEL: "small\n1" },
    code: "configType",
    message: /a line of text/,
  },
  {
    name: "extra fields that are no object",
    environment: { NEXUSCORE_LLM_EXTRA: "[1]" },
    code: "configType",
    message: /is no JSON object/,
  },
  {
    name: "extra fields that are ours",
    environment: { NEXUSCORE_LLM_EXTRA: '{"messages":[],"stream":true,"seed":1}' },
    code: "configRange",
    message: /has messages, stream, which requests have already/,
  },
  {
    name: "a budget below zero",
    environment: { NEXUSCORE_LLM_MONEY_PER_DAY: "-1" },
    code: "configType",
    message: /a number from 0 on, or unlimited/,
  },
  {
    name: "a price in words",
    environment: { NEXUSCORE_LLM_PROMPT_PRICE: "cheap" },
    code: "configType",
    message: /a number from 0 on\./,
  },
]) {
  test(`llm options: ${name}`, () => {
    assert.throws(
      () => load(environment as unknown as Variables),
      (error: unknown) => {
        assert(error instanceof ConfigError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert(!error.message.includes(SECRET), "no secret is repeated");
        return true;
      },
    );
  });
}

test("llm options: a budget of nothing is one", () => {
  assert.equal(load({ NEXUSCORE_LLM_CALLS_PER_MINUTE: "0" }).config.llmCallsPerMinute, 0);
});

test("llm keys: of the environment or of a file, for all jobs or for one", (t) => {
  const file = join(folderOf(t), "key");
  writeFileSync(file, `${SECRET}\n`);
  const common = { ...ON, NEXUSCORE_LLM_API_KEY: "one", NEXUSCORE_LLM_TLDR_API_KEY: "two" };
  const { config } = load(common);
  assert.equal(llmKeyOf("moderation", config, common), "one");
  assert.equal(llmKeyOf("tldr", config, common), "two");
  const filed = { ...ON, NEXUSCORE_LLM_API_KEY_FILE: file };
  assert.equal(llmKeyOf("rolling", load(filed).config, filed), SECRET);
  assert.equal(llmKeyOf("rolling", load(ON).config, ON), undefined);
});

test("llm keys: the common key goes to the common server only", () => {
  const variables = {
    ...ON,
    NEXUSCORE_LLM_API_KEY: SECRET,
    NEXUSCORE_LLM_TLDR_BASE_URL: "https://elsewhere.example/v1",
    NEXUSCORE_LLM_ROLLING_BASE_URL: "http://127.0.0.1:8080/other/v1",
  };
  const { config } = load(variables);
  assert.equal(llmKeyOf("moderation", config, variables), SECRET);
  assert.equal(llmKeyOf("tldr", config, variables), undefined);
  assert.equal(llmKeyOf("rolling", config, variables), SECRET, "the same server");
  const two = {
    NEXUSCORE_LLM_API_KEY: SECRET,
    NEXUSCORE_LLM_MODEL: "small-1",
    NEXUSCORE_LLM_TLDR_BASE_URL: SERVER,
    NEXUSCORE_LLM_ROLLING_BASE_URL: "https://elsewhere.example/v1",
  };
  assert.equal(llmKeyOf("tldr", load(two).config, two), undefined, "whose would it be?");
  const { NEXUSCORE_LLM_ROLLING_BASE_URL: _other, ...one } = two;
  assert.equal(llmKeyOf("tldr", load(one).config, one), SECRET);
});

for (const { name, variables, message } of [
  {
    name: "a line break",
    variables: { NEXUSCORE_LLM_API_KEY: `${SECRET}\nx: y` },
    message: /line/,
  },
  {
    name: "signs that no header has",
    variables: { NEXUSCORE_LLM_API_KEY: "schlüssel" },
    message: /ASCII/,
  },
  { name: "nothing but spaces", variables: { NEXUSCORE_LLM_API_KEY: "  " }, message: /is empty/ },
  {
    name: "itself where its file belongs",
    variables: { NEXUSCORE_LLM_API_KEY_FILE: SECRET },
    message: /^llmApiKeyFile: the file it names cannot be read \(ENOENT\)/,
  },
  {
    name: "two of them",
    variables: { NEXUSCORE_LLM_API_KEY: SECRET, NEXUSCORE_LLM_API_KEY_FILE: "/dev/null" },
    message: /both give a key/,
  },
  {
    name: "an empty file",
    variables: { NEXUSCORE_LLM_API_KEY_FILE: "/dev/null" },
    message: /empty/,
  },
]) {
  test(`llm keys: ${name}`, () => {
    const environment = { ...ON, ...variables } as unknown as Variables;
    const { config } = load(environment);
    assert.throws(
      () => llmKeyOf("moderation", config, environment),
      (error: unknown) => {
        assert(error instanceof ConfigError);
        assert.match(error.message, message);
        assert(!error.message.includes(SECRET));
        return true;
      },
    );
  });
}

test("llm keys: one in the file of options is refused, with what to do", (t) => {
  const file = join(folderOf(t), "n.yaml");
  writeFileSync(file, `llmApiKey: ${SECRET}\n`);
  assert.throws(() => load({}, file), {
    message: /:1:1: a key is not kept in this file; set NEXUSCORE_LLM_API_KEY, or llmApiKeyFile\.$/,
  });
});
