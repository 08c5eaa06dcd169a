// A request with a million mistakes is answered as shortly as one with a few.
import { assembleServer } from "#cli/server.ts";
import { MISTAKES_LISTED_MAX } from "#model/limits.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";

const ANSWER_BYTES_MAX = 8 * 1024;

async function answerTo(method: "POST" | "PUT", url: string, payload: string) {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  const headers = { "content-type": "application/json" };
  const { statusCode, body } = await server.inject({ method, url, headers, payload });
  await server.close();
  return { status: statusCode, body };
}

const items = (count: number, item: string): string => Array<string>(count).fill(item).join(",");
const members = (count: number): string =>
  Array.from({ length: count }, (_, index) => `"m${index}":1`).join(",");

for (const [name, method, url, payload] of [
  ["tenants of a wrong kind", "POST", "/v1/summaries:merge", `{"tenants":[${items(1e6, "[]")}]}`],
  ["sketches of a wrong kind", "POST", "/v1/summaries:merge", `{"sketches":[${items(1e6, "{}")}]}`],
  ["members nobody knows", "POST", "/v1/summaries:merge", `{${members(400_000)}}`],
  ["a long window", "POST", "/v1/summaries:merge", `{"window":"${"z".repeat(1e6)}"}`],
  ["windows of a wrong kind", "PUT", "/v1/tenants/acme", `{"windows":[${items(1_000, "[]")}]}`],
] as const) {
  test(`${name}: many mistakes have a short answer`, async () => {
    const { status, body } = await answerTo(method, url, payload);
    assert.equal(status, 400, body.slice(0, 500));
    assert(Buffer.byteLength(body) <= ANSWER_BYTES_MAX, `${body.length} bytes`);
    const { errors = [], code } = JSON.parse(body) as { errors?: unknown[]; code: string };
    assert(errors.length <= MISTAKES_LISTED_MAX);
    assert.match(code, /^(?:badRequest|windowUnknown)$/);
  });
}
