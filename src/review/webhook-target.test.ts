import { Problem } from "#model/problem.ts";
import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { test } from "node:test";
import {
  guardedLookup,
  reachOf,
  requireWebhookUrl,
  type WebhookTargets,
} from "./webhook-target.ts";

const cases: [url: string, https: string, loopback: string, any: string][] = [
  ["https://example.org/hooks", "ok", "ok", "ok"],
  ["http://example.org/hooks", "https", "https", "ok"],
  ["https://127.0.0.1/x", "machine", "ok", "ok"],
  ["http://localhost:8080/x", "machine", "ok", "ok"],
  ["http://a.localhost./x", "machine", "ok", "ok"],
  ["http://[::1]:8080/x", "machine", "ok", "ok"],
  ["http://2130706433/", "machine", "ok", "ok"],
  ["http://0x7f.1/", "machine", "ok", "ok"],
  ["https://10.1.2.3/", "private", "private", "ok"],
  ["https://192.168.0.1/", "private", "private", "ok"],
  ["https://169.254.169.254/latest/meta-data", "private", "private", "ok"],
  ["https://0.0.0.0/", "private", "private", "ok"],
  ["https://[::]/", "private", "private", "ok"],
  ["https://[fd00::1]/", "private", "private", "ok"],
  ["https://[fe80::1]/", "private", "private", "ok"],
  ["https://[::ffff:10.0.0.1]/", "private", "private", "ok"],
  ["https://[64:ff9b::a00:1]/", "private", "private", "ok"],
  ["https://user:secret@example.org/", "password", "password", "password"],
  ["ftp://example.org/", "such as", "such as", "such as"],
  ["file:///etc/passwd", "such as", "such as", "such as"],
  ["no url", "such as", "such as", "such as"],
  [`https://example.org/${"x".repeat(3_000)}`, "bytes", "bytes", "bytes"],
];

for (const [url, ...expected] of cases) {
  test(`webhook target: ${url.slice(0, 50)}`, () => {
    const targets: WebhookTargets[] = ["https", "loopback", "any"];
    for (const [index, target] of targets.entries()) {
      const refusal = refusalOf(url, target);
      const want = expected[index]!;
      assert.ok(want === "ok" ? refusal === "ok" : refusal.includes(want), `${target}: ${refusal}`);
    }
  });
}

test("webhook target: mapped addresses are what they map to", () => {
  assert.equal(reachOf("::ffff:127.0.0.1"), "loopback");
  assert.equal(reachOf("::ffff:a00:1"), "private");
  assert.equal(reachOf("8.8.8.8"), "public");
  assert.equal(reachOf("2606:4700::1111"), "public");
});

test("webhook target: a name that resolves elsewhere is not connected to", async () => {
  // localhost is the one name that resolves without a network: asked for as if it were public.
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const lookup = guardedLookup(new URL("https://example.org/"), "https");
  lookup("localhost", { all: true }, (error) => resolve(error));
  assert.match(String((await promise)?.message), /resolves to .* not allowed/);
  const own = Promise.withResolvers<string | LookupAddress[]>();
  const allowed = guardedLookup(new URL("http://localhost/"), "loopback");
  allowed("localhost", { all: false, family: 4 }, (_error, address) => own.resolve(address));
  assert.equal(await own.promise, "127.0.0.1");
});

function refusalOf(url: string, targets: WebhookTargets): string {
  try {
    requireWebhookUrl(url, targets);
    return "ok";
  } catch (error) {
    assert(error instanceof Problem && error.code === "webhookRefused", String(error));
    return error.message;
  }
}
