// The envelopes are made by the CNCF's own SDK, so that we and it agree on the wire format.
import { assembleServer } from "#cli/server.ts";
import { BODY_BYTES_MAX } from "#model/limits.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { CloudEvent, HTTP } from "cloudevents";

const DATA = { user: "ada", text: "boss fight – ünïcode 🔥" };

function cloudEvent(id: string): CloudEvent<unknown> {
  const subject = 'general "chat" ü';
  return new CloudEvent({ id, source: "/chat", type: "message.created", subject, data: DATA });
}

async function post(headers: Record<string, unknown>, payload: string, tenant = "acme") {
  const engine = new FakeEngine();
  const { server } = await assembleServer(engine, openLog("silent"));
  const url = `/v1/tenants/${tenant}/events`;
  const response = await server.inject({
    method: "POST",
    url,
    payload,
    headers: headers as Record<string, string>,
  });
  await server.close();
  const offers = engine.offers.map(({ body, format }) => ({
    format,
    value: JSON.parse(Buffer.from(body).toString("utf8")) as Record<string, unknown>,
  }));
  const answer = response.json() as { accepted?: number; code?: string; detail?: string };
  return { status: response.statusCode, answer, offers, engine };
}

test("CloudEvents: structured mode", async () => {
  const { headers, body } = HTTP.structured(cloudEvent("m1"));
  const { status, answer, offers, engine } = await post(headers, String(body));
  assert.equal(status, 202);
  assert.equal(answer.accepted, 1);
  assert.equal(offers[0]?.value["id"], "m1");
  assert.deepEqual(offers[0]?.value["data"], DATA);
  assert.equal((await engine.tenant("acme")).eventCount, 1);
});

test("CloudEvents: binary mode becomes the structured envelope, decoded", async () => {
  const { headers, body } = HTTP.binary(cloudEvent("m1"));
  const { status, offers } = await post(headers, String(body));
  assert.equal(status, 202);
  const { format, value } = offers[0] ?? assert.fail("nothing was offered");
  assert.equal(format, "json");
  const { time, ...rest } = value;
  assert.ok(!Number.isNaN(Date.parse(String(time))));
  assert.deepEqual(rest, {
    specversion: "1.0",
    id: "m1",
    source: "/chat",
    type: "message.created",
    subject: 'general "chat" ü',
    data: DATA,
  });
});

test("CloudEvents: binary mode with a plain text", async () => {
  const { headers } = HTTP.binary(cloudEvent("m1"));
  const plain = { ...headers, "content-type": "text/plain" };
  const { status, offers } = await post(plain, 'he said "hi"\nand left');
  assert.equal(status, 202);
  assert.deepEqual(offers[0]?.value["data"], { text: 'he said "hi"\nand left' });
});

test("CloudEvents: a text too long for an event is refused, however it is quoted", async () => {
  const { headers } = HTTP.binary(cloudEvent("m1"));
  const plain = { ...headers, "content-type": "text/plain" };
  const { status, answer } = await post(plain, "\u0001".repeat(BODY_BYTES_MAX - 1));
  assert.equal(status, 413);
  assert.equal(answer.code, "bodyTooLarge");
});

test("CloudEvents: a batch", async () => {
  const batch = [cloudEvent("m1"), cloudEvent("m2")].map((event) => event.toJSON());
  const headers = { "content-type": "application/cloudevents-batch+json; charset=UTF-8" };
  const { status, answer } = await post(headers, JSON.stringify(batch));
  assert.equal(status, 202);
  assert.equal(answer.accepted, 2);
});

const BINARY = {
  "content-type": "application/json",
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/s",
  "ce-type": "t",
};

for (const { name, headers, status, code, detail } of [
  { name: "another version", headers: { ...BINARY, "ce-specversion": "0.3" }, detail: /use 1\.0/ },
  { name: "no id", headers: { ...BINARY, "ce-id": "" }, detail: /ce-id/ },
  { name: "broken percent-encoding", headers: { ...BINARY, "ce-type": "%zz" }, detail: /ce-type/ },
  {
    name: "an attribute too long",
    headers: { ...BINARY, "ce-source": "s".repeat(2_000) },
    detail: /1 KiB/,
  },
  {
    name: "data that is neither JSON nor text",
    headers: { ...BINARY, "content-type": "image/png" },
    status: 415,
    code: "mediaTypeUnsupported",
    detail: /image\/png/,
  },
]) {
  test(`CloudEvents: binary mode with ${name} is refused`, async () => {
    const { status: got, answer, offers } = await post(headers, '{"text":"x"}');
    assert.equal(got, status ?? 400);
    assert.equal(answer.code, code ?? "badRequest");
    assert.match(String(answer.detail), detail);
    assert.equal(offers.length, 0);
  });
}
