import { assembleServer } from "#cli/server.ts";
import {
  CONVERSATION_BYTES_MAX,
  MODERATE_BODY_BYTES_MAX,
  MODERATE_COUNT_MAX,
  TEXT_BYTES_MAX,
} from "#model/limits.ts";
import {
  MessageSchema,
  TurnsSchema,
  VerdictListSchema,
  VerdictSchema,
} from "#model/moderation-schemas.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import {
  DEGRADED_VERDICT_EXAMPLE,
  MESSAGE_EXAMPLE,
  REVIEWED_EXAMPLE,
  TURNS_EXAMPLE,
  VERDICT_EXAMPLE,
} from "./moderation-examples.ts";

const URL = "/v1/tenants/acme/moderate";
const JSON_TYPE = { "content-type": "application/json" };
const NDJSON_TYPE = { "content-type": "application/x-ndjson" };

type Answer = Verdict & { warnings?: { code: string; message: string }[] };
type Listed = { index: number; problem: { code: string; status: number; detail: string } };
type Answers = { verdicts: (Answer | Listed)[]; problemCount: number };

async function open(engine = new FakeEngine()) {
  const { server } = await assembleServer(engine, openLog("silent"));
  const post = async (
    payload: unknown,
    headers: Record<string, string> = JSON_TYPE,
    url = URL,
  ): Promise<LightMyRequestResponse> => {
    const body =
      typeof payload === "string" || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
    return server.inject({ method: "POST", url, payload: body, headers });
  };
  return { engine, server, post };
}

function valid(schema: TSchema, value: unknown, references: Record<string, TSchema> = {}): void {
  assert.deepEqual([...Value.Errors(references, schema, value)], [], JSON.stringify(value));
}

test("moderate: one message, one verdict, as the schema says", async () => {
  const { server, post } = await open();
  const response = await post({ id: "m1", conversation: "general", user: "eve", text: "idiot" });
  assert.equal(response.statusCode, 200, response.body);
  assert.equal(response.headers["cache-control"], "no-store");
  const verdict: Answer = response.json();
  valid(VerdictSchema, verdict);
  const { tenant, messageId, conversation, user, action, flagged } = verdict;
  assert.deepEqual(
    { tenant, messageId, conversation, user, action, flagged },
    {
      tenant: "acme",
      messageId: "m1",
      conversation: "general",
      user: "eve",
      action: "flag",
      flagged: true,
    },
  );
  assert.equal(verdict.scores.insult, 0.92);
  assert.equal(verdict.thresholds.profanity, null);
  assert.deepEqual(verdict.policy, { version: 0, source: "default" });
  assert.equal(verdict.warnings, undefined);
  await server.close();
});

test("moderate: the examples keep to their schemas", () => {
  valid(MessageSchema, MESSAGE_EXAMPLE);
  for (const example of [VERDICT_EXAMPLE, REVIEWED_EXAMPLE, DEGRADED_VERDICT_EXAMPLE]) {
    valid(VerdictSchema, example);
  }
  valid(TurnsSchema, TURNS_EXAMPLE);
  const { start, end } = VERDICT_EXAMPLE.spans[0]!;
  assert.equal(MESSAGE_EXAMPLE.text.slice(start, end), "idiot");
});

test("moderate: three ways to send many, judged in order, each with those before it", async () => {
  const messages = [
    { id: "a", conversation: "general", text: "hello there" },
    { id: "b", conversation: "general", text: "you idiot" },
  ];
  const forms: [string, string, Record<string, string>][] = [
    ["messages", JSON.stringify({ messages }), JSON_TYPE],
    ["array", JSON.stringify(messages), JSON_TYPE],
    ["NDJSON", messages.map((each) => JSON.stringify(each)).join("\n"), NDJSON_TYPE],
    ["NDJSON untyped", messages.map((each) => `${JSON.stringify(each)}\r\n`).join("\n"), {}],
    ["array as text", JSON.stringify(messages), { "content-type": "text/plain" }],
  ];
  for (const [name, payload, headers] of forms) {
    const { server, post } = await open();
    const response = await post(payload, headers);
    assert.equal(response.statusCode, 200, name);
    const answer: Answers = response.json();
    valid(VerdictListSchema, answer, { "Verdict#": VerdictSchema });
    const [first, second] = answer.verdicts as Answer[];
    assert.deepEqual([first?.messageId, first?.action], ["a", "allow"], name);
    assert.deepEqual([second?.messageId, second?.action], ["b", "flag"], name);
    assert.deepEqual(
      second?.contextUsed.map(({ id }) => id),
      ["a"],
    );
    assert.equal(answer.problemCount, 0);
    await server.close();
  }
});

test("moderate: what is wrong with one message of many costs only that one", async () => {
  const { engine, server, post } = await open();
  engine.failingText = "makes the moderator fail";
  const long = "x".repeat(TEXT_BYTES_MAX + 1);
  const lines = [
    Buffer.from('{"text":"fine"}'),
    Buffer.from('{"text":"half'),
    Buffer.from([0x7b, 0x22, 0x74, 0x65, 0x78, 0x74, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
    Buffer.from('{"text":""}'),
    Buffer.from(JSON.stringify({ text: long })),
    Buffer.from('{"text":"x","converstion":"general"}'),
    Buffer.from('{"text":"makes the moderator fail"}'),
    Buffer.from("3"),
    Buffer.from('{"text":"you idiot"}'),
  ];
  const response = await post(
    Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")])),
    NDJSON_TYPE,
  );
  assert.equal(response.statusCode, 200);
  const { verdicts, problemCount }: Answers = response.json();
  const fates = verdicts.map((each) => ("problem" in each ? each.problem.code : each.action));
  assert.deepEqual(fates, [
    "allow",
    "malformedJson",
    "invalidUtf8",
    "textEmpty",
    "textTooLong",
    "badRequest",
    "guestFailed",
    "badRequest",
    "flag",
  ]);
  assert.equal(problemCount, 7);
  for (const [index, each] of verdicts.entries()) {
    if ("problem" in each) assert.equal(each.index, index);
  }
  assert.match((verdicts[5] as Listed).problem.detail, /\/converstion is no field; there are id, /);
  await server.close();
});

const lone = "\uD83D"; // Half of an emoji.

const refusals: {
  readonly name: string;
  readonly message: unknown;
  readonly code: ProblemCode;
  readonly detail: RegExp;
  readonly members?: object;
}[] = [
  { name: "no text", message: {}, code: "badRequest", detail: /\/text is missing/ },
  { name: "an empty text", message: { text: "" }, code: "textEmpty", detail: /must not be empty/ },
  {
    name: "a text too long by one byte of UTF-8",
    message: { text: `${"x".repeat(TEXT_BYTES_MAX - 1)}é` },
    code: "textTooLong",
    detail: new RegExp(`has ${TEXT_BYTES_MAX + 1} bytes of UTF-8, over ${TEXT_BYTES_MAX}`),
    members: { textBytesMax: TEXT_BYTES_MAX },
  },
  {
    name: "half of a surrogate pair",
    message: { text: `hello ${lone}` },
    code: "textNotUnicode",
    detail: /half of a surrogate pair/,
  },
  {
    name: "half of a pair in a user's name",
    message: { text: "x", user: lone },
    code: "textNotUnicode",
    detail: /\/user has half/,
  },
  { name: "a text of another type", message: { text: 3 }, code: "badRequest", detail: /a string/ },
  { name: "no object", message: "hello", code: "badRequest", detail: /must be an object/ },
  {
    name: "a typo",
    message: { text: "x", usr: "eve" },
    code: "badRequest",
    detail: /\/usr is no field; there are id, conversation, user/,
  },
  {
    name: "a prototype",
    message: '{"text":"x","__proto__":{"user":"eve"}}',
    code: "badRequest",
    detail: /\/__proto__ is no field/,
  },
  {
    name: "a conversation too long",
    message: { text: "x", conversation: "c".repeat(CONVERSATION_BYTES_MAX + 1) },
    code: "conversationIllegal",
    detail: /\/conversation must have 1 to 128 bytes/,
  },
  {
    name: "an empty conversation",
    message: { text: "x", conversation: "" },
    code: "conversationIllegal",
    detail: /\/conversation/,
  },
  {
    name: "a conversation with controls",
    message: { text: "x", conversation: "a\u0000b" },
    code: "conversationIllegal",
    detail: /no controls/,
  },
  { name: "a negative time", message: { text: "x", tsMs: -1 }, code: "badRequest", detail: /1970/ },
  {
    name: "a time beyond all dates",
    message: { text: "x", tsMs: 1e300 },
    code: "badRequest",
    detail: /epoch milliseconds/,
  },
  {
    name: "a time ahead",
    message: { text: "x", tsMs: Date.now() + 3_600_000 },
    code: "badRequest",
    detail: /over 60 s ahead/,
  },
  {
    name: "a time in words",
    message: { text: "x", tsMs: "2026-11-21" },
    code: "badRequest",
    detail: /\/tsMs must be a number/,
  },
  {
    name: "context that is no array",
    message: { text: "x", context: "before" },
    code: "badRequest",
    detail: /\/context must be an array/,
  },
  {
    name: "a stranger in the context",
    message: { text: "x", context: [{ text: "a" }, { text: "b", from: "eve" }] },
    code: "badRequest",
    detail: /\/context\/1\/from is no field/,
  },
  {
    name: "a flag in words",
    message: { text: "x", doNotStore: "yes" },
    code: "badRequest",
    detail: /\/doNotStore must be true or false/,
  },
];

for (const { name, message, code, detail, members = {} } of refusals) {
  test(`moderate: ${name} is ${code}`, async () => {
    const { server, post } = await open();
    const response = await post(message === "hello" ? '"hello"' : message);
    assert.equal(response.statusCode, 400, response.body);
    assert.match(String(response.headers["content-type"]), /^application\/problem\+json/);
    const problem: { code: string; detail: string; errors: unknown[] } = response.json();
    assert.equal(problem.code, code);
    assert.match(problem.detail, detail);
    assert.ok(problem.errors.length > 0);
    for (const [key, value] of Object.entries(members)) {
      assert.deepEqual((problem as unknown as Record<string, unknown>)[key], value);
    }
    await server.close();
  });
}

test("moderate: all mistakes of a message are told at once, each with its pointer", async () => {
  const { server, post } = await open();
  const response = await post({ text: 1, user: 2, tsMs: -1, "a/b": 0 });
  const { errors }: { errors: { pointer: string }[] } = response.json();
  assert.deepEqual(errors.map(({ pointer }) => pointer).toSorted(), [
    "/a~1b",
    "/text",
    "/tsMs",
    "/user",
  ]);
  await server.close();
});

const bodies: [string, string | Buffer, Record<string, string>, number, string, RegExp][] = [
  ["nothing", "", JSON_TYPE, 400, "malformedJson", /empty/],
  ["no JSON", '{"text":', JSON_TYPE, 400, "malformedJson", /not valid JSON/],
  ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), JSON_TYPE, 400, "invalidUtf8", /not valid UTF-8/],
  ["no message", "[]", JSON_TYPE, 400, "badRequest", /no message to judge/],
  ["messages of no array", '{"messages":3}', JSON_TYPE, 400, "badRequest", /\/messages must be/],
  ["more than messages", '{"messages":[],"tenant":"b"}', JSON_TYPE, 400, "badRequest", /"tenant"/],
  [
    "too many",
    JSON.stringify(Array.from({ length: MODERATE_COUNT_MAX + 1 }, () => ({ text: "x" }))),
    JSON_TYPE,
    400,
    "messageLimit",
    /257 messages; send at most 256/,
  ],
  [
    "1 MB of text",
    JSON.stringify({ text: "x".repeat(MODERATE_BODY_BYTES_MAX) }),
    JSON_TYPE,
    413,
    "bodyTooLarge",
    /over 1048576 bytes/,
  ],
  [
    "a form",
    "text=x",
    { "content-type": "application/x-www-form-urlencoded" },
    415,
    "mediaTypeUnsupported",
    /curl -d/,
  ],
  ["an image", "x", { "content-type": "image/png" }, 415, "mediaTypeUnsupported", /image\/png/],
  ["gzip", "x", { ...JSON_TYPE, "content-encoding": "gzip" }, 415, "encodingUnsupported", /plain/],
];

for (const [name, payload, headers, status, code, detail] of bodies) {
  test(`moderate: a body of ${name} is ${status} ${code}`, async () => {
    const { server, post } = await open();
    const response = await post(payload, headers);
    assert.equal(response.statusCode, status, response.body);
    const problem: { code: string; detail: string } = response.json();
    assert.equal(problem.code, code);
    assert.match(problem.detail, detail);
    // What was said is repeated by no error.
    assert.doesNotMatch(response.body, /xxxx/);
    await server.close();
  });
}

test("moderate: the tenant is checked before the body; problems of the whole pass", async () => {
  const { engine, server, post } = await open();
  const illegal = await post({ text: "x" }, JSON_TYPE, "/v1/tenants/a%20b/moderate");
  assert.equal(illegal.json<{ code: string }>().code, "tenantIllegal");
  engine.failNext(new Problem("busy", "Full.", { retryAfterSeconds: 3 }));
  const busy = await post({ text: "x" });
  assert.equal(busy.statusCode, 429);
  assert.equal(busy.headers["retry-after"], "3");
  engine.failingText = "x";
  const failed = await post({ text: "x" });
  assert.equal(failed.statusCode, 500);
  assert.equal(failed.json<{ code: string }>().code, "guestFailed");
  const elsewhere = await post({ text: "x" }, { ...JSON_TYPE, "sec-fetch-site": "cross-site" });
  assert.equal(elsewhere.statusCode, 403);
  await server.close();
});

test("moderate: an unknown language has a warning; a region does not matter", async () => {
  class Polyglot extends FakeEngine {
    readonly asked: (string | undefined)[] = [];

    override async moderate(tenant: string, requests: readonly ModerationRequest[]) {
      this.asked.push(...requests.map(({ language }) => language));
      const outcomes = await super.moderate(tenant, requests);
      return outcomes.map((outcome, index) => {
        if (!("verdict" in outcome) || requests[index]?.language !== "xx") return outcome;
        const language = { ...outcome.verdict.language, support: "none" as const };
        return { verdict: { ...outcome.verdict, language } };
      });
    }
  }
  const engine = new Polyglot();
  const { server, post } = await open(engine);
  const unknown: Answer = (await post({ text: "zzz", language: "xx" })).json();
  assert.deepEqual(
    unknown.warnings?.map(({ code }) => code),
    ["languageUnsupported"],
  );
  assert.match(unknown.warnings?.[0]?.message ?? "", /"xx"/);
  const british: Answer = (await post({ text: "hello", language: "EN-gb" })).json();
  assert.equal(british.warnings, undefined);
  assert.deepEqual(engine.asked, ["xx", "en"]);
  await server.close();
});

test("moderate: of too much context the newest counts, and the answer says so", async () => {
  const { server, post } = await open();
  const { turnsMax } = POLICY_DEFAULT.context;
  const context = Array.from({ length: turnsMax + 1 }, (_, n) => ({ text: `turn ${n}` }));
  const answer: Answer = (await post({ text: "hello", context })).json();
  assert.equal(answer.contextUsed.length, turnsMax);
  assert.deepEqual(
    answer.warnings?.map(({ code }) => code),
    ["contextShortened"],
  );
  assert.match(answer.warnings?.[0]?.message ?? "", /^Of 7 messages of context the newest 6 were /);
  const whole: Answer = (await post({ text: "hello", context: context.slice(1) })).json();
  assert.equal(whole.warnings, undefined);
  await server.close();
});

test("turns: what is remembered is shown and forgotten, if it leaves a trace", async () => {
  const { server, post } = await open();
  const turns = "/v1/tenants/acme/conversations/caf%C3%A9/turns";
  const ask = async (method: "GET" | "DELETE", tenant = "acme") =>
    server.inject({ method, url: turns.replace("acme", tenant) });
  assert.equal((await ask("GET")).statusCode, 404);
  await post({ id: "m1", conversation: "café", user: "eve", text: "hello" });
  await post({ id: "m2", conversation: "café", text: "a secret", doNotStore: true });
  const shown = await ask("GET");
  assert.equal(shown.statusCode, 200);
  valid(TurnsSchema, shown.json());
  const said = shown.json<{ turns: { id: string; text: string }[] }>().turns;
  assert.deepEqual(
    said.map(({ id, text }) => [id, text]),
    [["m1", "hello"]],
  );
  // The same name is another tenant's other conversation.
  const other = await ask("GET", "other");
  assert.equal(other.json<{ code: string }>().code, "conversationUnknown");
  assert.doesNotMatch(other.body, /hello/);
  const json = { "content-type": "application/json" };
  const forgotten = await server.inject({ method: "DELETE", url: turns, headers: json });
  assert.equal(forgotten.statusCode, 204, "many clients say JSON and send nothing");
  assert.equal((await ask("DELETE")).statusCode, 404);
  const long = "c".repeat(CONVERSATION_BYTES_MAX + 1);
  const url = `/v1/tenants/acme/conversations/${long}/turns`;
  const illegal = await server.inject({ method: "GET", url });
  assert.equal(illegal.json<{ code: string }>().code, "conversationIllegal");
  await server.close();
});
