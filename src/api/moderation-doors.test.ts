// No body makes a door fail: whatever JSON comes, it is a verdict or an error in the door's form.
import { assembleServer } from "#cli/server.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { SEED } from "#testing/seed.ts";
import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";

const RUNS = 150;

const text = fc.oneof(
  fc.constantFrom("", " ", "idiot", "\uD800", "\u0000", "<p>&#x110000;<b", "😀".repeat(9)),
  fc.string({ unit: "binary", maxLength: 30 }),
);
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(1e308, -0, 2 ** 53, "__proto__", "constructor"),
);
/** Right at most places, and anything at the others. */
const mostly = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: anything });
const fields = (names: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> => {
  const all = Object.entries(names).map(([name, value]) => [name, mostly(value)] as const);
  return fc.record(Object.fromEntries([...all, ["toString", anything], ["__proto__", anything]]), {
    requiredKeys: [],
  });
};

const turn = fields({ id: text, user: text, text });
const message = fields({
  id: text,
  conversation: text,
  user: text,
  role: text,
  text,
  replyTo: text,
  language: fc.constantFrom("en", "de", "xx", "EN_us", "-"),
  context: fc.array(mostly(turn)),
  tsMs: fc.double(),
  doNotStore: fc.boolean(),
});
const threshold = fc.oneof(fc.double(), fc.constant(null));
const policy = fields({
  categories: fields({ insult: fields({ flagAt: threshold, blockAt: threshold }) }),
  observeOnly: fc.boolean(),
  allowList: fc.array(mostly(fields({ term: text }))),
  blockList: fc.array(mostly(fields({ term: text, action: fc.constantFrom("flag", "block") }))),
  roles: fc.array(mostly(fields({ role: text, leniency: fc.double() }))),
  context: fields({ turnsMax: fc.nat(), ageMsMax: fc.double() }),
  note: text,
});
const entry = fields({ text, type: fc.constantFrom("PLAIN_TEXT", "HTML") });
const comment = {
  comment: entry,
  context: fields({ entries: fc.array(mostly(entry)) }),
  languages: fc.array(fc.constantFrom("en", "de", "ja")),
  communityId: text,
  clientToken: text,
};
const attribute = fc.constantFrom("TOXICITY", "THREAT", "OBSCENE", "SPAM", "__proto__");
const doors: [
  name: string,
  url: string,
  body: fc.Arbitrary<unknown>,
  right: object,
  problem: RegExp,
][] = [
  [
    "native",
    "/v1/tenants/acme/moderate",
    fc.oneof(message, fc.array(mostly(message)), fields({ messages: fc.array(mostly(message)) })),
    [{ text: "hello" }],
    /^\{"type":"about:blank"/,
  ],
  [
    "policy",
    "/v1/tenants/acme/policy:dryRun",
    policy,
    { observeOnly: true },
    /^\{"type":"about:blank"/,
  ],
  [
    "openai",
    "/v1/moderations",
    fields({
      input: fc.oneof(
        text,
        fc.array(mostly(text)),
        fc.array(fields({ type: fc.constant("text"), text })),
      ),
      model: text,
      conversation: text,
      user: text,
      context: fc.array(mostly(fc.oneof(text, turn))),
    }),
    { input: ["hello"] },
    /^\{"error":\{"message":".*","type":"invalid_request_error","param":.*,"code":".*"\}\}$/s,
  ],
  [
    "perspective",
    "/v1alpha1/comments:analyze",
    fields({
      ...comment,
      requestedAttributes: fc.dictionary(attribute, fields({ scoreThreshold: fc.double() })),
      spanAnnotations: fc.boolean(),
      dropUnsupportedAttributes: fc.boolean(),
    }),
    { comment: { text: "hello" }, requestedAttributes: { INSULT: {} } },
    /^\{"error":\{"code":4\d\d,"message":".*","status":"INVALID_ARGUMENT"/s,
  ],
  [
    "perspective's feedback",
    "/v1alpha1/comments:suggestscore",
    fields({
      ...comment,
      attributeScores: fc.dictionary(
        attribute,
        fields({ summaryScore: fields({ value: fc.double() }) }),
      ),
    }),
    { comment: { text: "a" }, attributeScores: { INSULT: { summaryScore: { value: 0 } } } },
    /^\{"error":\{"code":4\d\d,"message":".*","status":"INVALID_ARGUMENT"/s,
  ],
];

for (const [name, url, body, right, problem] of doors) {
  test(`doors: no JSON makes the one of ${name} fail`, async (t) => {
    t.diagnostic(`SEED=${SEED}`);
    const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
    t.after(async () => server.close());
    const answered = { 200: 0, 400: 0 };
    const property = fc.asyncProperty(mostly(body), async (value) => {
      const payload = JSON.stringify(value) ?? "null";
      const headers = { "content-type": "application/json" };
      const response = await server.inject({ method: "POST", url, payload, headers });
      const { statusCode } = response;
      assert.ok(statusCode === 200 || statusCode === 400, `${payload}\n${response.body}`);
      if (statusCode === 400) assert.match(response.body, problem);
      JSON.parse(response.body);
      answered[statusCode] += 1;
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS, examples: [[right]] });
    assert.ok(answered[200] > 0 && answered[400] > 0, JSON.stringify(answered));
  });
}
