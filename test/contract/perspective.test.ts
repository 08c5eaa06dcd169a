// The doors in Perspective's form, asked over a socket with what its clients are known to send.
import { tenantOfCommunity } from "#api/perspective.ts";
import { ATTRIBUTE_NAMES } from "#model/perspective.ts";
import { isTenantId } from "#model/tenant.ts";
import {
  ANALYZE,
  type Answer,
  idiot,
  openPerspective as open,
  type Score,
  SUGGEST,
} from "#testing/perspective-server.ts";
import assert from "node:assert/strict";
import { test } from "node:test";

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

test("perspective: scores below their threshold are left out", async (t) => {
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

test("perspective: spans in UTF-16 units of the text as it came", async (t) => {
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
  assert.equal(html, "bold & brave");
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

test("perspective: an attribute that a language has nothing for is refused", async (t) => {
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

test("perspective: a suggested score becomes a label of the tenant", async (t) => {
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
