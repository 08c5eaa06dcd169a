import assert from "node:assert/strict";
import test from "node:test";
import { FakeEngine } from "#testing/fake-engine.ts";
import { FakeLlm, turn } from "#testing/fake-llm.ts";
import { Retellings } from "./retellings.ts";

test("there are none without an upstream for one of their jobs", () => {
  const engine = new FakeEngine();
  assert.equal(Retellings.of(engine), undefined);
  const llm = new FakeLlm();
  engine.llm = llm;
  llm.models = { moderation: "small-0" };
  assert.equal(Retellings.of(engine), undefined);
  for (const models of [{ tldr: "small-1" }, { rolling: "small-2" }]) {
    llm.models = models;
    assert.notEqual(Retellings.of(engine), undefined);
  }
});

test("lists of a tenant refine for as long as somebody follows it", async () => {
  const engine = new FakeEngine();
  const llm = new FakeLlm();
  engine.llm = llm;
  llm.answer = () => "timedOut";
  let nowMs = 0;
  const retellings = Retellings.of(engine, () => nowMs) ?? assert.fail("there is an upstream");
  const list = async (): Promise<number> => {
    nowMs += 60_000;
    const events = Array.from({ length: 9 }, () => ({ conversation: "general", text: "boss?" }));
    const body = Buffer.from(JSON.stringify(events));
    await engine.offer({ tenant: "acme", body, format: "json" });
    retellings.listed("acme", await engine.conversations("acme", { limit: 10 }));
    await turn();
    return llm.asks.splice(0).length;
  };
  assert.equal(await list(), 0);
  const ends = [retellings.follow("acme"), retellings.follow("acme")];
  const other = retellings.follow("beta");
  assert.equal(await list(), 1);
  ends[0]!();
  assert.equal(await list(), 1);
  ends[1]!();
  assert.equal(await list(), 0);
  other();
  retellings.follow("acme");
  assert.equal(await list(), 1);
});
