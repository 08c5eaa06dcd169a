// What each door says of an upstream that was asked, or could not be: in its own form.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Compile } from "typebox/compile";
import { assembleServer } from "#cli/server.ts";
import { VerdictSchema } from "#model/moderation-schemas.ts";
import { CATEGORIES } from "#model/moderation.ts";
import type { ReviewEnd } from "#model/verdict.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";

const FAILED: ReviewEnd = {
  outcome: "overBudget",
  detail: "All of today's money is spent.",
  waitMs: 2,
  opinion: undefined,
};
const ANSWERED: ReviewEnd = {
  outcome: "cached",
  detail: undefined,
  waitMs: 1,
  opinion: {
    action: "flag",
    proposedAction: "flag",
    flagged: 1,
    scores: CATEGORIES.map((_, n) => (n === 0 ? 0.75 : 0.125)),
    severity: 50,
    reason: "It is sarcasm.",
    applied: true,
  },
};
const SAID = { text: "what a nice day" };
const isVerdict = Compile(VerdictSchema);

async function newServer(t: TestContext, reviewEnd: ReviewEnd | undefined) {
  const engine = new FakeEngine();
  engine.reviewEnd = reviewEnd;
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  const post = async (url: string, payload: object) => {
    const { json, headers, statusCode } = await server.inject({ method: "POST", url, payload });
    assert.equal(statusCode, 200);
    return { body: json(), headers };
  };
  return { post };
}

test("the native door has it all", async (t) => {
  const { post } = await newServer(t, FAILED);
  const { body } = await post("/v1/tenants/acme/moderate", SAID);
  assert.ok(isVerdict.Check(body));
  assert.equal(body.degraded, true);
  const { opinion, ...upstream } = FAILED;
  assert.deepEqual(body.upstream, { ...upstream, model: "fake-upstream" });
  assert.equal(opinion, undefined);
});

test("an answer of the upstream is the verdict", async (t) => {
  const { post } = await newServer(t, ANSWERED);
  const { body } = await post("/v1/tenants/acme/moderate", SAID);
  assert.ok(isVerdict.Check(body));
  assert.deepEqual([body.degraded, body.action, body.reason], [false, "flag", "It is sarcasm."]);
  assert.deepEqual(body.upstream, { outcome: "cached", model: "fake-upstream", waitMs: 1 });
  assert.equal(body.scores.toxicity, 0.75);
});

test("without an upstream nothing is said of one", async (t) => {
  const { post } = await newServer(t, undefined);
  const { body } = await post("/v1/tenants/acme/moderate", SAID);
  assert.equal(body.degraded, false);
  assert.ok(!("upstream" in body));
  const { body: openAi } = await post("/v1/moderations", { input: SAID.text });
  assert.equal(openAi.results[0].nexuscore.degraded, false);
  assert.ok(!("upstream" in openAi.results[0].nexuscore));
});

test("OpenAI's form has it beside what else is ours", async (t) => {
  const { post } = await newServer(t, FAILED);
  const { body } = await post("/v1/moderations", { input: [SAID.text, "and another"] });
  assert.equal(body.results.length, 2);
  const [{ nexuscore, ...result }] = body.results;
  assert.deepEqual(Object.keys(result), [
    "flagged",
    "categories",
    "category_scores",
    "category_applied_input_types",
  ]);
  assert.equal(nexuscore.degraded, true);
  assert.equal(nexuscore.upstream.outcome, "overBudget");
});

test("Perspective's form has no place for it: a header does", async (t) => {
  const ask = { comment: SAID, requestedAttributes: { TOXICITY: {} } };
  const failed = await (await newServer(t, FAILED)).post("/v1alpha1/comments:analyze", ask);
  assert.equal(failed.headers["nexuscore-degraded"], "overBudget");
  const answered = await (await newServer(t, ANSWERED)).post("/v1alpha1/comments:analyze", ask);
  assert.equal(answered.headers["nexuscore-degraded"], undefined);
  assert.deepEqual(Object.keys(answered.body), [
    "attributeScores",
    "languages",
    "detectedLanguages",
  ]);
  assert.equal(answered.body.attributeScores.TOXICITY.summaryScore.value, 0.75);
});
