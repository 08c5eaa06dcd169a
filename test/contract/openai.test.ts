// The door in OpenAI's form, used by OpenAI's own client over a socket: only the base URL is ours.
import { assembleServer } from "#cli/server.ts";
import { TEXT_BYTES_MAX } from "#model/limits.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import { OPENAI_CATEGORIES, type OpenAiCategory } from "#model/openai-moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { Problem } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { FAKE_MODEL } from "#testing/fake-moderation.ts";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import OpenAI, {
  APIError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";

type Asked = { readonly tenant: string; readonly request: ModerationRequest };

class AskedEngine extends FakeEngine {
  readonly asked: Asked[] = [];
  callCount = 0;

  override async moderate(tenant: string, requests: readonly ModerationRequest[]) {
    this.callCount += 1;
    this.asked.push(...requests.map((request) => ({ tenant, request })));
    return super.moderate(tenant, requests);
  }
}

async function open(t: TestContext) {
  const engine = new AskedEngine();
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const options = { apiKey: "whatever it was before", maxRetries: 0 };
  const client = new OpenAI({ ...options, baseURL: `${url}/v1` });
  return { engine, url, client, options };
}

async function failure(request: Promise<unknown>): Promise<APIError> {
  try {
    await request;
  } catch (error) {
    assert.ok(error instanceof APIError, String(error));
    return error;
  }
  return assert.fail("it was answered");
}

const NAMES = [
  "harassment",
  "harassment/threatening",
  "hate",
  "hate/threatening",
  "illicit",
  "illicit/violent",
  "self-harm",
  "self-harm/instructions",
  "self-harm/intent",
  "sexual",
  "sexual/minors",
  "violence",
  "violence/graphic",
];

test("openai client: one text, answered in all thirteen categories", async (t) => {
  const { client } = await open(t);
  const moderation = await client.moderations.create({
    model: "omni-moderation-latest",
    input: "you are an idiot",
  });
  assert.match(moderation.id, /^modr-\w+$/);
  assert.equal(moderation._request_id, moderation.id);
  assert.equal(moderation.model, FAKE_MODEL, "what judged, not what was asked for");
  assert.equal(moderation.results.length, 1);
  const { flagged, categories, category_scores, category_applied_input_types } =
    moderation.results[0]!;
  for (const map of [categories, category_scores, category_applied_input_types]) {
    assert.deepEqual(Object.keys(map).toSorted(), NAMES);
  }
  assert.equal(flagged, true);
  const met = Object.entries(categories).filter(([, is]) => is);
  assert.deepEqual(
    met.map(([name]) => name),
    ["harassment"],
  );
  assert.equal(category_scores.harassment, 0.92);
  assert.deepEqual(category_applied_input_types.harassment, ["text"]);
  for (const name of ["illicit", "sexual/minors", "violence/graphic"] as const) {
    assert.deepEqual(
      [categories[name], category_scores[name], category_applied_input_types[name]],
      [false, 0, []],
      "what is not judged says so",
    );
  }
});

test("openai client: a clean text is not flagged, whatever the model that is named", async (t) => {
  const { client } = await open(t);
  for (const model of [undefined, "text-moderation-stable", "some other one"]) {
    const request = model === undefined ? { input: "hello" } : { input: "hello", model };
    const { results } = await client.moderations.create(request);
    assert.equal(results[0]?.flagged, false);
    assert.ok(Object.values(results[0]?.categories ?? {}).every((is) => is === false));
  }
});

test("openai client: every category that a score of ours stands behind", async (t) => {
  const { client } = await open(t);
  const met = async (input: string): Promise<string[]> => {
    const { results } = await client.moderations.create({ input });
    const categories = Object.entries(results[0]?.categories ?? {});
    return categories.flatMap(([name, is]) => (is === true ? [name] : [])).toSorted();
  };
  assert.deepEqual(await met("I will hurt you"), [
    "harassment",
    "harassment/threatening",
    "violence",
  ]);
  assert.deepEqual(await met("vermin"), ["harassment", "hate"]);
  assert.deepEqual(await met("hurt the vermin"), [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "violence",
  ]);
  assert.deepEqual(await met("naked"), ["sexual"]);
  const used = Object.values(OPENAI_CATEGORIES).flatMap((mapping) => {
    return "any" in mapping ? mapping.any : mapping.all;
  });
  const unused = CATEGORIES.filter((category) => !(used as string[]).includes(category));
  assert.deepEqual(unused, ["profanity", "harmfulReply"], "told in the migration guide");
});

test("openai client: many texts, in order", async (t) => {
  const { client, engine } = await open(t);
  const input = Array.from({ length: 64 }, (_, n) => (n % 3 === 0 ? `idiot ${n}` : `hello ${n}`));
  const { results } = await client.moderations.create({ input });
  assert.deepEqual(
    results.map(({ flagged }) => flagged),
    input.map((text) => text.startsWith("idiot")),
  );
  assert.equal(engine.callCount, 1);
});

test("openai client: parts of one message are one text; an image is refused clearly", async (t) => {
  const { client, engine } = await open(t);
  const text = (words: string) => ({ type: "text" as const, text: words });
  const { results } = await client.moderations.create({ input: [text("you"), text("idiot")] });
  assert.equal(results.length, 1);
  assert.equal(engine.asked[0]?.request.text, "you\nidiot");
  const image = { type: "image_url" as const, image_url: { url: "https://example.com/a.png" } };
  const error = await failure(client.moderations.create({ input: [text("look"), image] }));
  assert.ok(error instanceof BadRequestError);
  assert.deepEqual([error.param, error.code], ["input[1]", "image_not_supported"]);
  assert.match(error.message, /Images are not judged here/);
});

const mistakes: [name: string, body: unknown, param: string, code: string, message: RegExp][] = [
  ["only a model", { model: "m" }, "input", "missing_required_parameter", /'input'/],
  ["null", { input: null }, "input", "missing_required_parameter", /'input'/],
  ["an empty text", { input: "" }, "input", "empty_string", /must not be empty/],
  ["an empty text of many", { input: ["a", ""] }, "input[1]", "empty_string", /'input\[1\]'/],
  ["no texts", { input: [] }, "input", "empty_array", /empty/],
  ["a number", { input: 3 }, "input", "invalid_type", /a string or an array/],
  ["tokens", { input: [1, 2] }, "input[0]", "invalid_type", /all strings, or all parts/],
  ["mixed", { input: ["a", { type: "text", text: "b" }] }, "input[0]", "invalid_type", /input/],
  ["an unknown part", { input: [{ type: "audio" }] }, "input[0].type", "invalid_type", /"text"/],
  ["a bad model", { input: "a", model: 3 }, "model", "invalid_type", /'model'/],
  [
    "a long text",
    { input: ["a", "x".repeat(TEXT_BYTES_MAX + 1)] },
    "input[1]",
    "string_above_max_length",
    /over 16384/,
  ],
  [
    "too many texts",
    { input: Array.from({ length: 257 }, () => "a") },
    "input",
    "array_above_max_length",
    /257/,
  ],
  ["half a pair", { input: "\uD83D" }, "input", "textNotUnicode", /surrogate/],
  [
    "a long conversation",
    { input: "a", conversation: "c".repeat(200) },
    "conversation",
    "conversationIllegal",
    /128 bytes/,
  ],
  ["a bad user", { input: "a", user: 3 }, "user", "invalid_value", /must be a string/],
  ["bad context", { input: "a", context: [{}] }, "context[0].text", "invalid_value", /missing/],
];

for (const [name, body, param, code, message] of mistakes) {
  test(`openai client: ${name} is a BadRequestError with its parameter`, async (t) => {
    const { client } = await open(t);
    const request = client.moderations.create(body as OpenAI.ModerationCreateParams);
    const error = await failure(request);
    assert.ok(error instanceof BadRequestError, error.message);
    const { type } = error;
    assert.deepEqual([type, error.param, error.code], ["invalid_request_error", param, code]);
    assert.match(error.message, message);
  });
}

test("openai client: bodies that its types would not let through", async (t) => {
  const { url } = await open(t);
  for (const [body, status, code] of [
    ["{", 400, "malformedJson"],
    ["", 400, "malformedJson"],
    ["[]", 400, "invalid_type"],
    [Buffer.from([0x22, 0xff, 0x22]), 400, "invalidUtf8"],
    [JSON.stringify({ input: "x".repeat(1_100_000) }), 413, "bodyTooLarge"],
  ] as const) {
    const response = await fetch(`${url}/v1/moderations`, { method: "POST", body });
    assert.equal(response.status, status);
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    const answer = (await response.json()) as { error: Record<string, unknown> };
    assert.deepEqual(Object.keys(answer.error), ["message", "type", "param", "code"]);
    assert.equal(answer.error["code"], code);
    assert.equal(answer.error["param"], code === "invalid_type" ? "input" : null);
  }
});

test("openai client: what passes is tried again by the client, what lasts is not", async (t) => {
  const { engine, url, client, options } = await open(t);
  engine.failNext(new Problem("busy", "The ring is full.", { retryAfterSeconds: 2 }));
  const busy = await failure(client.moderations.create({ input: "hello" }));
  assert.ok(busy instanceof RateLimitError);
  assert.deepEqual([busy.code, busy.type], ["rate_limit_exceeded", "rate_limit_error"]);
  assert.equal(busy.headers?.get("retry-after"), "2");
  assert.equal(busy.headers?.get("retry-after-ms"), "2000");

  const patient = new OpenAI({ ...options, baseURL: `${url}/v1`, maxRetries: 2 });
  engine.callCount = 0;
  engine.failNext(new Problem("internal", "Once."));
  assert.equal((await patient.moderations.create({ input: "hello" })).results.length, 1);
  assert.equal(engine.callCount, 2);

  engine.callCount = 0;
  engine.failNext(new Problem("tenantQuarantined", "acme is in quarantine."));
  const lasting = await failure(patient.moderations.create({ input: "hello" }));
  assert.ok(lasting instanceof ConflictError);
  assert.equal(engine.callCount, 1, "a quarantine does not end by asking again");

  engine.failingText = "fails";
  const failed = await failure(client.moderations.create({ input: ["hello", "fails"] }));
  assert.ok(failed instanceof InternalServerError, "no text of the request goes unjudged unseen");
  assert.deepEqual([failed.code, failed.type], ["guestFailed", "server_error"]);
});

test("openai client: what there is not is a NotFoundError that says so", async (t) => {
  const { client } = await open(t);
  const error = await failure(client.models.list());
  assert.ok(error instanceof NotFoundError);
  assert.deepEqual([error.code, error.type], ["notFound", "invalid_request_error"]);
  assert.match(error.message, /There is no \/v1\/models/);
});

test("openai client: tenants by path, header or project, else the default", async (t) => {
  const { engine, url, client, options } = await open(t);
  const base = `${url}/v1`;
  const header = { defaultHeaders: { "x-nexuscore-tenant": "by-header" } };
  const clients = [
    client,
    new OpenAI({ ...options, baseURL: base, project: "proj_abc" }),
    new OpenAI({ ...options, baseURL: base, project: "proj_abc", ...header }),
    new OpenAI({ ...options, baseURL: `${base}/tenants/by.path`, ...header }),
  ];
  for (const each of clients) await each.moderations.create({ input: "hello" });
  const tenants = engine.asked.map(({ tenant }) => tenant);
  assert.deepEqual(tenants, ["default", "proj_abc", "by-header", "by.path"]);
  const illegal = new OpenAI({ ...options, baseURL: base, project: "no tenant" });
  const error = await failure(illegal.moderations.create({ input: "hello" }));
  assert.deepEqual([error.status, error.code], [400, "tenantIllegal"]);
});

test("openai client: conversation, user and context are read; strangers are ignored", async (t) => {
  const { engine, client } = await open(t);
  const body = {
    input: ["first", "second"],
    conversation: "general",
    user: "eve",
    context: ["before that", { user: "ada", text: "before", colour: "red" }],
    safety_identifier: "ignored",
    doNotStore: false,
    role: "",
  };
  const { results } = await client.moderations.create(body as OpenAI.ModerationCreateParams);
  const { request } = engine.asked[0]!;
  assert.deepEqual([request.conversation, request.user], ["general", "eve"]);
  assert.equal(request.role, undefined);
  assert.deepEqual(request.context, [
    { id: undefined, user: undefined, text: "before that" },
    { id: undefined, user: "ada", text: "before" },
  ]);
  const { nexuscore } = results[1] as unknown as {
    nexuscore: { action: string; reason: string; contextUsed: unknown[] };
  };
  assert.equal(nexuscore.action, "allow");
  assert.equal(nexuscore.contextUsed.length, 2, "given context is read in place of what was said");
  assert.ok(nexuscore.reason.length > 0);
  const more = { input: ["third"], conversation: "general" };
  const third = await client.moderations.create(more as OpenAI.ModerationCreateParams);
  const after = third.results[0] as unknown as { nexuscore: { contextUsed: unknown[] } };
  assert.equal(after.nexuscore.contextUsed.length, 2, "both were remembered");
});

test("openai client: flagged is what the tenant's policy does", async (t) => {
  const { engine, client } = await open(t);
  const set = async (policy: Partial<typeof POLICY_DEFAULT>): Promise<void> =>
    engine.putPolicy("default", {
      version: 1,
      setAtMs: 1,
      note: undefined,
      policy: { ...POLICY_DEFAULT, ...policy },
    });
  const judged = async (input: string) => (await client.moderations.create({ input })).results[0]!;
  await set({ observeOnly: true });
  const observed = await judged("idiot");
  assert.equal(observed.flagged, false);
  assert.ok(Object.values(observed.categories).every((is) => is === false));
  assert.equal(observed.category_scores.harassment, 0.92);
  assert.match(JSON.stringify(observed), /"proposedAction":"flag"/);

  // What OpenAI has no category for: flagged all the same, and told where there is room for it.
  await set({
    categories: { ...POLICY_DEFAULT.categories, profanity: { flagAt: 0.9, blockAt: null } },
  });
  const profane = await judged("damn");
  assert.equal(profane.flagged, true);
  assert.ok(Object.values(profane.categories).every((is) => is === false));
  assert.match(JSON.stringify(profane), /"categories":\["profanity"\]/);
});

test("the names of the categories are OpenAI's", () => {
  assert.deepEqual((Object.keys(OPENAI_CATEGORIES) as OpenAiCategory[]).toSorted(), NAMES);
});
