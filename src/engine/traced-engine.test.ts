import assert from "node:assert/strict";
import { test } from "node:test";
import { assembleServer } from "#cli/server.ts";
import { Problem } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import { Tracing } from "#observe/tracing.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { PlayedLlm } from "#testing/played-llm.ts";
import { type RecordedSpan, RecordedSpans } from "#testing/recorded-spans.ts";
import { tracedEngine } from "./traced-engine.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const OUTER = "b7ad6b7169203331";

async function open() {
  const recorded = new RecordedSpans();
  const tracing = new Tracing("test");
  const bare = new FakeEngine();
  bare.llm = new PlayedLlm();
  const engine = tracedEngine(bare, tracing);
  const log = openLog("silent");
  const { server } = await assembleServer(engine, log, { tracing });
  return { recorded, engine, bare, server };
}

test("traces: a request, within its sender's trace, and what the engine did for it", async (t) => {
  const { recorded, server, bare, engine } = await open();
  t.after(async () => server.close());
  const headers = { "content-type": "application/json", traceparent: `00-${TRACE}-${OUTER}-01` };
  const payload = '{"user":"CANARY","text":"CANARY","conversation":"CANARY"}';
  const url = "/v1/tenants/acme/events";
  await server.inject({ method: "POST", url: `${url}?x=CANARY`, payload, headers });
  const named = (name: string): RecordedSpan =>
    recorded.spans.find((span) => span.name === name) ?? assert.fail(`no ${name}`);
  const request = named("POST /v1/tenants/:tenant/events");
  assert.equal(request.traceId, TRACE);
  assert.equal(request.parentId, OUTER);
  assert.equal(request.attributes["http.response.status_code"], 202);
  const ingest = named("nexuscore.ingest");
  assert.equal(ingest.parentId, request.spanId, "also after the body was read");
  assert.equal(ingest.attributes["nexuscore.accepted"], 1);

  await server.inject({ method: "GET", url: "/v1/tenants/acme/conversations/CANARY" });
  await server.inject({ method: "GET", url: "/v1/tenants/acme/trending" });
  const question = recorded.spans.find(
    ({ attributes }) => attributes["nexuscore.question"] === "trending",
  )!;
  assert.equal(question.attributes["nexuscore.tenant"], "acme");
  assert.notEqual(question.traceId, TRACE, "another request, another trace");

  bare.failNext(new Problem("busy", "CANARY"));
  await server.inject({ method: "POST", url, payload, headers: { ...headers, traceparent: "" } });
  const failed = recorded.spans.findLast(({ name }) => name === "nexuscore.ingest")!;
  assert.equal(failed.isError, true);
  assert.equal(failed.attributes["error.type"], "busy");

  await engine.llm!.ask("acme", "tldr", [], 1_000).catch(() => undefined);
  const call = recorded.spans.at(-1)!;
  assert.match(call.name, /^chat /);
  assert.equal(call.attributes["gen_ai.operation.name"], "chat");
  assert.equal(call.attributes["nexuscore.job"], "tldr");

  assert(recorded.spans.every(({ isEnded }) => isEnded));
  assert.doesNotMatch(JSON.stringify(recorded.spans), /CANARY/);
});
