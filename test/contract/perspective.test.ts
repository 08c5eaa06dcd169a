// The doors in Perspective's form, asked over a socket with what its clients are known to send.
import { tenantOfCommunity } from "#api/perspective.ts";
import { assembleServer } from "#cli/application.ts";
import type { Feedback } from "#model/feedback.ts";
import { TEXT_BYTES_MAX } from "#model/limits.ts";
import type { LanguageSource, LanguageSupport, ModerationRequest } from "#model/moderation.ts";
import { ATTRIBUTE_NAMES, ATTRIBUTES_NOT_SCORED } from "#model/perspective.ts";
import { MemoryPolicyStore, MemoryVerdictHistory } from "#model/policy-store.ts";
import { Problem } from "#model/problem.ts";
import { isTenantId } from "#model/tenant.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

const KEY = "AIzaSyNotAKeyButNotToBeLoggedEither";
const ANALYZE = `/v1alpha1/comments:analyze?key=${KEY}`;
const SUGGEST = `/v1alpha1/comments:suggestscore?key=${KEY}`;

type Score = { value: number; type: string };
type Scores = {
  summaryScore: Score;
  spanScores: { begin: number; end: number; score: Score }[];
};
type Answer = {
  attributeScores?: Record<string, Scores>;
  languages: string[];
  detectedLanguages: string[];
  clientToken?: string;
};
type Detail = {
  "@type": string;
  errorType: string;
  languageNotSupportedByAttributeError?: Record<string, unknown>;
};
type Failure = { error: { code: number; message: string; status: string; details?: Detail[] } };

/** As `engine`, in any language. */
class SpokenEngine extends FakeEngine {
  readonly asked: { tenant: string; request: ModerationRequest }[] = [];
  language: { tag: string; source: LanguageSource; support: LanguageSupport } | undefined;
  bug: Error | undefined;

  override async moderate(tenant: string, requests: readonly ModerationRequest[]) {
    if (this.bug !== undefined) throw this.bug;
    this.asked.push(...requests.map((request) => ({ tenant, request })));
    const outcomes = await super.moderate(tenant, requests);
    const { language } = this;
    if (language === undefined) return outcomes;
    return outcomes.map((outcome) => {
      return "verdict" in outcome ? { verdict: { ...outcome.verdict, language } } : outcome;
    });
  }
}

async function open(t: TestContext) {
  const engine = new SpokenEngine();
  const logged: string[] = [];
  const labels: Feedback[] = [];
  const log = openLog("trace", { write: (line: string) => void logged.push(line) });
  const { server } = await assembleServer(engine, log, undefined, undefined, {
    policies: new MemoryPolicyStore(),
    history: new MemoryVerdictHistory(),
    onFeedback: (feedback) => void labels.push(feedback),
  });
  t.after(async () => server.close());
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const post = async (
    body: unknown,
    path = ANALYZE,
    headers: Record<string, string> = { "content-type": "application/json" },
  ): Promise<Response> => {
    const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return fetch(`${url}${path}`, { method: "POST", body: text, headers });
  };
  const analyze = async (body: unknown, path = ANALYZE): Promise<Answer> => {
    const response = await post(body, path);
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as Answer;
  };
  const refused = async (body: unknown, path = ANALYZE): Promise<Failure["error"]> => {
    const response = await post(body, path);
    const { error } = (await response.json()) as Failure;
    assert.equal(response.status, error.code);
    return error;
  };
  return { engine, logged, labels, post, analyze, refused };
}

const idiot = { comment: { text: "you idiot" }, requestedAttributes: { TOXICITY: {} } };
const score = (value: number): Score => ({ value, type: "PROBABILITY" });

test("perspective: what most clients send and read", async (t) => {
  const { analyze } = await open(t);
  const answer = await analyze({ ...idiot, languages: ["en"] });
  assert.deepEqual(answer, {
    attributeScores: {
      TOXICITY: {
        spanScores: [{ begin: 0, end: 9, score: score(0.9) }],
        summaryScore: score(0.9),
      },
    },
    languages: ["en"],
    detectedLanguages: ["en"],
  });
});

const shapes: {
  readonly name: string;
  readonly body: unknown;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly tenant?: string;
}[] = [
  {
    name: "Google's client for Python",
    body: idiot,
    path: `${ANALYZE}&alt=json`,
    headers: {
      accept: "application/json",
      "accept-encoding": "gzip, deflate",
      "user-agent": "(gzip)",
      "x-goog-api-client": "gdcl/2.0 gl-python/3.11",
      "content-type": "application/json",
    },
  },
  {
    name: "Google's client for Node",
    body: idiot,
    path: `${ANALYZE}&$.xgafv=2&prettyPrint=false`,
    headers: { "content-type": "application/json", "x-goog-api-client": "gdcl/7 gl-node/20" },
  },
  {
    name: "requests.post(data=json.dumps(…)), without a content type",
    body: Buffer.from(JSON.stringify({ ...idiot, languages: ["en"] })),
    headers: {},
  },
  {
    name: "curl -d, which calls it a form",
    body: idiot,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  },
  {
    name: "a bot that fills everything in",
    body: {
      comment: { text: "you idiot", type: "PLAIN_TEXT" },
      context: {},
      requestedAttributes: { TOXICITY: { scoreType: "PROBABILITY", scoreThreshold: 0 } },
      languages: ["en"],
      doNotStore: true,
      sessionId: "",
    },
  },
  {
    name: "a chat bot with a community for each channel",
    body: { ...idiot, languages: ["en"], doNotStore: true, communityId: "Some Server/général" },
    tenant: tenantOfCommunity("Some Server/général"),
  },
  {
    name: "languages of which one is not judged",
    body: { ...idiot, languages: ["id", "en"], clientToken: "moderation-1" },
  },
  {
    name: "JSON in snake case, as protobuf writes it if told to",
    body: {
      comment: { text: "you idiot", type: "PLAIN_TEXT" },
      requested_attributes: { TOXICITY: { score_type: "PROBABILITY", score_threshold: 0.1 } },
      do_not_store: true,
      client_token: "t",
      span_annotations: false,
    },
  },
  {
    name: "fields that the original does not know",
    body: { ...idiot, withCredentials: true, authentication: { key: "x" } },
  },
  {
    name: "a threshold in a wrapper, and options of null",
    body: {
      comment: { text: "you idiot" },
      requestedAttributes: { TOXICITY: { scoreThreshold: { value: 0.5 } }, INSULT: null },
    },
  },
];

for (const { name, body, path, headers, tenant = "default" } of shapes) {
  test(`perspective: ${name}`, async (t) => {
    const { engine, post } = await open(t);
    const response = await post(body, path, headers);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const { attributeScores, clientToken } = JSON.parse(text) as Answer;
    assert.equal(attributeScores?.["TOXICITY"]?.summaryScore.value, 0.9);
    const sent = body as { clientToken?: string; client_token?: string };
    assert.equal(clientToken, sent.clientToken ?? sent.client_token);
    assert.equal(engine.asked[0]?.tenant, tenant);
  });
}

test("perspective: all attributes, aliases under the name that was asked for", async (t) => {
  const { analyze } = await open(t);
  const names = [...ATTRIBUTE_NAMES, "TOXICITY_EXPERIMENTAL", "OBSCENE"];
  const requestedAttributes = Object.fromEntries(names.map((name) => [name, {}]));
  const answer = await analyze({ comment: { text: "damn vermin" }, requestedAttributes });
  const values = Object.entries(answer.attributeScores ?? {}).map(([name, { summaryScore }]) => {
    return [name, summaryScore.value];
  });
  assert.deepEqual(Object.fromEntries(values), {
    TOXICITY: 0.9,
    SEVERE_TOXICITY: 0.9,
    IDENTITY_ATTACK: 0.95,
    INSULT: 0.02,
    PROFANITY: 0.95,
    THREAT: 0.02,
    SEXUALLY_EXPLICIT: 0.02,
    SELF_HARM: 0.02,
    HARMFUL_REPLY: 0.02,
    TOXICITY_EXPERIMENTAL: 0.9,
    OBSCENE: 0.95,
  });
});

test("perspective: scores below their threshold are left out, and the map with the last of them", async (t) => {
  const { analyze } = await open(t);
  const ask = async (toxicity: number, insult: number): Promise<string[] | undefined> => {
    const { attributeScores } = await analyze({
      comment: { text: "idiot" },
      requestedAttributes: {
        TOXICITY: { scoreThreshold: toxicity },
        INSULT: { scoreThreshold: insult },
      },
    });
    return attributeScores === undefined ? undefined : Object.keys(attributeScores);
  };
  assert.deepEqual(await ask(0.9, 0.5), ["TOXICITY", "INSULT"], "at it is not below it");
  assert.deepEqual(await ask(0.91, 0.5), ["INSULT"]);
  assert.equal(await ask(0.91, 0.99), undefined);
});

test("perspective: spans in UTF-16 units of the text as it came, in HTML between the tags", async (t) => {
  const { analyze } = await open(t);
  const requestedAttributes = { TOXICITY: {}, PROFANITY: {} };
  const spansOf = async (text: string, type: string): Promise<[string, string]> => {
    const answer = await analyze({
      comment: { text, type },
      requestedAttributes,
      spanAnnotations: true,
    });
    const cut = (name: string): string => {
      const { begin, end } = answer.attributeScores![name]!.spanScores[0]!;
      return text.slice(begin, end);
    };
    return [cut("TOXICITY"), cut("PROFANITY")];
  };
  assert.deepEqual(await spansOf("😀😀 you idiot 👋", "PLAIN_TEXT"), [
    "idiot",
    "😀😀 you idiot 👋",
  ]);
  const html = "<p class='idiot'>😀 &amp; you <b>id</b>iot</p>";
  assert.deepEqual(await spansOf(html, "HTML"), ["id</b>iot", html]);
});

test("perspective: HTML is judged as it is read, and plain text as it stands", async (t) => {
  const { engine, analyze } = await open(t);
  const text = "<b>bold</b> &amp; <script>idiot</script>brave";
  await analyze({ ...idiot, comment: { text, type: "HTML" } });
  await analyze({ ...idiot, comment: { text, type: "PLAIN_TEXT" } });
  const [html, plain] = engine.asked.map(({ request }) => request.text);
  assert.equal(html, "bold & \nbrave");
  assert.equal(plain, text);
});

test("perspective: context is used: entries, or an article and what was said of it", async (t) => {
  const { engine, analyze } = await open(t);
  const entry = (text: string) => ({ text, type: "PLAIN_TEXT" });
  await analyze({
    ...idiot,
    context: { entries: [entry("first"), { text: "<i>then</i>", type: "HTML" }, {}] },
  });
  const article = { article: entry("news"), parentComment: entry("hm") };
  await analyze({ ...idiot, context: { articleAndParentComment: article } });
  await analyze({ ...idiot, context: { entries: [] }, conversation: "general", user: "eve" });
  const [entries, both, none] = engine.asked.map(({ request }) => request);
  assert.deepEqual(
    entries?.context?.map(({ text }) => text),
    ["first", "then"],
  );
  assert.deepEqual(
    both?.context?.map(({ text }) => text),
    ["news", "hm"],
  );
  assert.deepEqual([none?.context, none?.conversation, none?.user], [undefined, "general", "eve"]);
});

test("perspective: doNotStore goes all the way; without it the tenant may remember", async (t) => {
  const { engine, analyze } = await open(t);
  await analyze({ ...idiot, doNotStore: true, conversation: "general" });
  assert.deepEqual(await engine.turns("default", "general"), []);
  await analyze({ ...idiot, conversation: "general" });
  assert.equal((await engine.turns("default", "general")).length, 1);
});

test("perspective: languages are those given, or the one detected", async (t) => {
  const { engine, analyze } = await open(t);
  engine.language = { tag: "en", source: "detected", support: "full" };
  const detected = await analyze(idiot);
  assert.deepEqual([detected.languages, detected.detectedLanguages], [["en"], ["en"]]);
  engine.language = { tag: "en", source: "given", support: "full" };
  const given = await analyze({ ...idiot, languages: ["en-GB"] });
  assert.deepEqual([given.languages, given.detectedLanguages], [["en-GB"], ["en"]]);
  assert.equal(engine.asked.at(-1)?.request.language, "en");
  engine.language = { tag: "und", source: "unknown", support: "none" };
  const unknown = await analyze(idiot);
  assert.equal(unknown.attributeScores?.["TOXICITY"]?.summaryScore.value, 0.9);
  assert.deepEqual(unknown.languages, ["und"]);
});

test("perspective: an attribute that a language has nothing for is refused, before anything is kept", async (t) => {
  const { engine, refused, analyze } = await open(t);
  const all = {
    comment: { text: "du idiot" },
    requestedAttributes: { TOXICITY: {}, THREAT: {}, PROFANITY: {} },
    conversation: "general",
  };
  const german = await refused({ ...all, languages: ["de"] });
  assert.deepEqual(german, {
    code: 400,
    message: "Attribute THREAT does not support request languages: de",
    status: "INVALID_ARGUMENT",
    details: [
      {
        "@type": "type.googleapis.com/google.commentanalyzer.v1alpha1.Error",
        errorType: "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
        languageNotSupportedByAttributeError: {
          requestedLanguages: ["de"],
          detectedLanguages: ["de"],
          attribute: "THREAT",
        },
      },
    ],
  });
  assert.equal(engine.asked.length, 0);
  const japanese = await refused({ ...idiot, languages: ["ja"] });
  assert.match(japanese.message, /TOXICITY does not support request languages: ja/);

  engine.language = { tag: "ja", source: "detected", support: "none" };
  const found = await refused(idiot);
  assert.deepEqual(found.details?.[0]?.languageNotSupportedByAttributeError, {
    detectedLanguages: ["ja"],
    attribute: "TOXICITY",
  });

  engine.language = { tag: "de", source: "given", support: "lists" };
  const dropped = await analyze({ ...all, languages: ["de"], dropUnsupportedAttributes: true });
  assert.deepEqual(Object.keys(dropped.attributeScores ?? {}), ["TOXICITY", "PROFANITY"]);
});

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

test("perspective: attributes of theirs that are not scored can be dropped, typos cannot", async (t) => {
  const { analyze, refused } = await open(t);
  const others = Object.fromEntries([...ATTRIBUTES_NOT_SCORED].map((name) => [name, {}]));
  const body = { comment: TEXT, dropUnsupportedAttributes: true };
  const answer = await analyze({ ...body, requestedAttributes: { ...others, INSULT: {} } });
  assert.deepEqual(Object.keys(answer.attributeScores ?? {}), ["INSULT"]);
  const error = await refused({ ...body, requestedAttributes: { INSLT: {} } });
  assert.match(error.message, /INSLT/);
});

test("perspective: a server that is behind says RESOURCE_EXHAUSTED, and when to come back", async (t) => {
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

test("perspective: tenants of communities and of the path", async (t) => {
  const { engine, analyze, refused } = await open(t);
  await analyze({ ...idiot, communityId: "forum.movies" });
  await analyze({ ...idiot, communityId: "/forum/movies" });
  await analyze({ ...idiot, communityId: "x" }, "/v1/tenants/acme/v1alpha1/comments:analyze");
  const tenants = engine.asked.map(({ tenant }) => tenant);
  assert.equal(tenants[0], "forum.movies");
  assert.match(tenants[1] ?? "", /^forum-movies\.[0-9a-f]{12}$/);
  assert.equal(tenants[2], "acme");
  const error = await refused(idiot, "/v1/tenants/no%20tenant/v1alpha1/comments:analyze");
  assert.equal(error.status, "INVALID_ARGUMENT");
});

test("perspective: no two communities share a tenant", () => {
  const communities = [
    "/a/b",
    "a/b",
    "a-b/",
    "a b",
    "a\u0000b",
    "é",
    "日本",
    "x".repeat(65),
    `${"x".repeat(65)}y`,
  ];
  const tenants = communities.map(tenantOfCommunity);
  assert.equal(new Set(tenants).size, communities.length);
  for (const tenant of tenants) assert.ok(isTenantId(tenant), tenant);
  assert.deepEqual(communities.map(tenantOfCommunity), tenants);
});

test("perspective: a suggested score becomes a label of the tenant, and the token comes back", async (t) => {
  const { labels, post, refused } = await open(t);
  const body = {
    comment: { text: "get busy living" },
    attributeScores: { TOXICITY: { summaryScore: { value: 0 } } },
    communityId: "movies",
    clientToken: "comment-53922",
    languages: ["en"],
    sessionId: "s1",
  };
  const response = await post(body, SUGGEST);
  assert.deepEqual(await response.json(), { clientToken: "comment-53922" });
  const { atMs, ...label } = labels[0]!;
  assert.ok(atMs > 0);
  assert.deepEqual(label, {
    tenant: "movies",
    text: "get busy living",
    language: "en",
    scores: { toxicity: 0 },
    clientToken: "comment-53922",
    sessionId: "s1",
  });
  const { clientToken: _token, ...silent } = body;
  assert.deepEqual(await (await post(silent, SUGGEST)).json(), {});
  for (const attributeScores of [
    undefined,
    {},
    { TOXICITY: {} },
    { TOXICITY: { summaryScore: { value: 2 } } },
    { FLIRTATION: { summaryScore: { value: 1 } } },
  ]) {
    const error = await refused({ ...body, attributeScores }, SUGGEST);
    assert.equal(error.details?.[0]?.errorType, "INVALID_REQUEST");
  }
  assert.equal(labels.length, 2);
});
