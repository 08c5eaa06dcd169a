// What Perspective's clients get for what cannot be answered: Google's form, and nothing logged.
import { TEXT_BYTES_MAX } from "#model/limits.ts";
import { ATTRIBUTES_NOT_SCORED } from "#model/perspective.ts";
import { Problem } from "#model/problem.ts";
import { idiot, openPerspective as open } from "#testing/perspective-server.ts";
import assert from "node:assert/strict";
import { test } from "node:test";

const TEXT = { text: "hello" };
const failures: [name: string, body: unknown, type: string | undefined, message: RegExp][] = [
  ["no comment", { requestedAttributes: { TOXICITY: {} } }, "COMMENT_EMPTY", /non-empty/],
  ["an empty one", { ...idiot, comment: { text: "" } }, "COMMENT_EMPTY", /non-empty/],
  ["a null one", { ...idiot, comment: { text: null } }, "COMMENT_EMPTY", /non-empty/],
  [
    "markup alone",
    { ...idiot, comment: { text: "<p></p>", type: "HTML" } },
    "COMMENT_EMPTY",
    /markup/,
  ],
  [
    "a long one",
    { ...idiot, comment: { text: "x".repeat(TEXT_BYTES_MAX + 1) } },
    "COMMENT_TOO_LONG",
    /over 16384 bytes/,
  ],
  [
    "1 MB",
    { ...idiot, comment: { text: "x".repeat(1_048_576) } },
    "COMMENT_TOO_LONG",
    /over 1048576 bytes/,
  ],
  [
    "a number",
    { ...idiot, comment: { text: 3 } },
    "INVALID_REQUEST",
    /'text': it must be a string/,
  ],
  ["half a pair", { ...idiot, comment: { text: "\uD83D" } }, "INVALID_REQUEST", /surrogate/],
  [
    "an unknown type",
    { ...idiot, comment: { ...TEXT, type: "PDF" } },
    "INVALID_REQUEST",
    /text type/,
  ],
  ["no attributes", { comment: TEXT }, "NO_REQUESTED_ATTRIBUTES", /Missing requested_attributes/],
  [
    "an empty map of them",
    { comment: TEXT, requestedAttributes: {} },
    "NO_REQUESTED_ATTRIBUTES",
    /Missing/,
  ],
  [
    "an unknown one",
    { comment: TEXT, requestedAttributes: { TOXICTY: {} } },
    "INVALID_REQUEST",
    /Unknown requested attribute: TOXICTY; there are TOXICITY, /,
  ],
  [
    "one that is not scored",
    { comment: TEXT, requestedAttributes: { FLIRTATION: {} } },
    "INVALID_REQUEST",
    /FLIRTATION is not scored here/,
  ],
  [
    "a prototype",
    '{"comment":{"text":"x"},"requestedAttributes":{"__proto__":{},"constructor":{}}}',
    "INVALID_REQUEST",
    /Unknown requested attribute: __proto__/,
  ],
  [
    "another kind of score",
    { comment: TEXT, requestedAttributes: { TOXICITY: { scoreType: "PERCENTILE" } } },
    "INVALID_REQUEST",
    /score type PERCENTILE is not supported by attribute TOXICITY/,
  ],
  [
    "a threshold in words",
    { comment: TEXT, requestedAttributes: { TOXICITY: { scoreThreshold: "high" } } },
    "INVALID_REQUEST",
    /score_threshold of attribute TOXICITY/,
  ],
  ["languages of no array", { ...idiot, languages: "en" }, "INVALID_REQUEST", /'languages'/],
  ["a language of no code", { ...idiot, languages: ["en", "!"] }, "INVALID_REQUEST", /'languages'/],
  [
    "two kinds of context",
    { ...idiot, context: { entries: [TEXT], articleAndParentComment: { article: TEXT } } },
    "INVALID_REQUEST",
    /both fields were populated/,
  ],
  ["context of no array", { ...idiot, context: { entries: 3 } }, "INVALID_REQUEST", /an array/],
  ["a flag in words", { ...idiot, doNotStore: "yes" }, "INVALID_REQUEST", /'do_not_store'/],
  ["a token of a number", { ...idiot, clientToken: 3 }, "INVALID_REQUEST", /'client_token'/],
  ["a huge token", { ...idiot, clientToken: "x".repeat(5_000) }, "INVALID_REQUEST", /4096 bytes/],
  ["a broken community", { ...idiot, communityId: "\uD83D" }, "INVALID_REQUEST", /'community_id'/],
  ["no JSON", "{", undefined, /not valid JSON/],
  ["no object", "[]", "INVALID_REQUEST", /root must be an object/],
  ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), undefined, /not valid UTF-8/],
  ["nothing", "", undefined, /empty/],
];

for (const [name, body, type, message] of failures) {
  test(`perspective: ${name} is refused in Google's form`, async (t) => {
    const { engine, refused } = await open(t);
    const error = await refused(body);
    assert.equal(error.status, "INVALID_ARGUMENT");
    assert.match(error.message, message);
    assert.equal(error.details?.[0]?.errorType, type);
    assert.deepEqual(
      error.details?.map((detail) => detail["@type"]),
      type && ["type.googleapis.com/google.commentanalyzer.v1alpha1.Error"],
    );
    assert.equal(engine.asked.length, 0);
  });
}

test("perspective: calls that are not there are refused in their form, by any path", async (t) => {
  const { url } = await open(t);
  for (const [method, path, status] of [
    ["POST", "/v1alpha1/comments:translate?key=secret", 404],
    ["GET", "/v1alpha1/comments:analyze", 405],
    ["POST", "/v1/tenants/acme/v1alpha1/comments", 404],
  ] as const) {
    const response = await fetch(`${url}${path}`, { method });
    const answer = (await response.json()) as { error: { code: number; message: string } };
    assert.equal(response.status, status, path);
    assert.equal(answer.error.code, status);
    assert.doesNotMatch(answer.error.message, /secret/);
  }
  const ours = await fetch(`${url}/v1/tenants/v1alpha1/nothing`);
  assert.equal(((await ours.json()) as { code: string }).code, "notFound");
});

test("perspective: attributes that are not scored can be dropped, typos cannot", async (t) => {
  const { analyze, refused } = await open(t);
  const others = Object.fromEntries([...ATTRIBUTES_NOT_SCORED].map((name) => [name, {}]));
  const body = { comment: TEXT, dropUnsupportedAttributes: true };
  const answer = await analyze({ ...body, requestedAttributes: { ...others, INSULT: {} } });
  assert.deepEqual(Object.keys(answer.attributeScores ?? {}), ["INSULT"]);
  const error = await refused({ ...body, requestedAttributes: { INSLT: {} } });
  assert.match(error.message, /INSLT/);
});

test("perspective: a server that is behind says when to come back", async (t) => {
  const { engine, post } = await open(t);
  for (const [code, status, word] of [
    ["busy", 429, "RESOURCE_EXHAUSTED"],
    ["shardRestarting", 503, "UNAVAILABLE"],
    ["guestFailed", 500, "INTERNAL"],
  ] as const) {
    engine.failNext(new Problem(code, "Later.", { retryAfterSeconds: 4 }));
    const response = await post(idiot);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("retry-after"), status === 500 ? null : "4");
    assert.deepEqual(await response.json(), {
      error: { code: status, message: "Later.", status: word },
    });
  }
});

test("perspective: neither key nor text nor token reaches the log or an error", async (t) => {
  const { engine, logged, post } = await open(t);
  const body = { ...idiot, comment: { text: "a secret text" }, clientToken: "a token" };
  engine.bug = new Error("a bug of ours");
  const bug = await post(body);
  assert.equal(bug.status, 500);
  await post({ ...body, languages: 3 });
  await post("{ a secret text");
  assert.match(logged.join(""), /a bug of ours/, "bugs are logged");
  assert.doesNotMatch(`${logged.join("")}${await bug.text()}`, /AIza|secret|a token/);
});
