import assert from "node:assert/strict";
import test from "node:test";
import { Batcher } from "#batcher/batcher.ts";
import type { EventErrorCode } from "#model/event-error.ts";
import * as limits from "#model/limits.ts";
import { bytesOf, comparable, judge, NOW_MS } from "#testing/batcher-driver.ts";
import { judgeElement } from "#testing/event-oracle.ts";

const long = (count: number): string => "x".repeat(count);
const metrics = (count: number): string =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i])));
const nested = (depth: number): string =>
  `{"tenant":"t","text":"a","x":${"[".repeat(depth)}${"]".repeat(depth)}}`;

/** What each line is answered with; `ok` is accepted. */
const TABLE: readonly [string, EventErrorCode | "ok"][] = [
  ["x", "malformedJson"],
  ["{", "malformedJson"],
  ["{}}", "malformedJson"],
  ['{"tenant":"t","text":"a"} x', "malformedJson"],
  ['{"tenant":"t","text":"a",}', "malformedJson"],
  ['{"tenant":"t" "text":"a"}', "malformedJson"],
  ["{'tenant':'t'}", "malformedJson"],
  ['{"tenant":"t","text":"a\tb"}', "malformedJson"],
  ['{"tenant":"t","text":"a\0b"}', "malformedJson"],
  ['{"tenant":"t","text":"a"}\0', "malformedJson"],
  ['\0{"tenant":"t","text":"a"}', "malformedJson"],
  ['{"tenant":"t","text":"\\x"}', "malformedJson"],
  ['{"tenant":"t","text":"\\u12g4"}', "malformedJson"],
  ['{"tenant":"t","text":"\\', "malformedJson"],
  ['{"tenant":"t","text":"a","x":NaN}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":Infinity}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":01}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":1.}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":tru}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":[1,]}', "malformedJson"],
  ['{"tenant":"t","text":"a","x":{"a":1]}', "malformedJson"],
  [nested(63), "ok"],
  [nested(64), "malformedJson"],
  [nested(10_000), "malformedJson"],
  ["[1]", "notAnObject"],
  ["null", "notAnObject"],
  ['"text"', "notAnObject"],
  ["[1", "malformedJson"],
  [`{"tenant":"t","text":"a","x":"${long(limits.LINE_BYTES_MAX - 32)}"}`, "ok"],
  [`{"tenant":"t","text":"a","x":"${long(limits.LINE_BYTES_MAX - 31)}"}`, "eventTooLarge"],
  ['{"tenant":"t"}', "eventEmpty"],
  ['{"tenant":"t","text":""}', "eventEmpty"],
  ['{"tenant":"t","text":" \\t\\n\u3000\u00a0"}', "eventEmpty"],
  ['{"tenant":"t","text":" \\u200b"}', "ok"],
  ['{"tenant":"t","terms":[],"metrics":{}}', "eventEmpty"],
  ['{"tenant":"t","metrics":{"a":null}}', "eventEmpty"],
  ['{"tenant":"t","text":" ","terms":["a"]}', "ok"],
  ['{"text":"a"}', "tenantMissing"],
  ['{"tenant":null,"text":"a"}', "tenantMissing"],
  ['{"tenant":"","text":"a"}', "tenantIllegal"],
  ['{"tenant":"a b","text":"a"}', "tenantIllegal"],
  ['{"tenant":"a/b","text":"a"}', "tenantIllegal"],
  ['{"tenant":"é","text":"a"}', "tenantIllegal"],
  ['{"tenant":5,"text":"a"}', "tenantIllegal"],
  [`{"tenant":"${long(64)}","text":"a"}`, "ok"],
  [`{"tenant":"${long(65)}","text":"a"}`, "tenantIllegal"],
  ['{"ten\\u0061nt":"\\u0074","te\\u0078t":"a"}', "ok"],
  ['{"tenant":"t","text":"a","id":""}', "idInvalid"],
  ['{"tenant":"t","text":"a","id":true}', "idInvalid"],
  ['{"tenant":"t","text":"a","id":1.5}', "idInvalid"],
  ['{"tenant":"t","text":"a","id":"\\u0000"}', "idInvalid"],
  [`{"tenant":"t","text":"a","id":${"9".repeat(64)}}`, "ok"],
  [`{"tenant":"t","text":"a","id":${"9".repeat(65)}}`, "idInvalid"],
  [`{"tenant":"t","text":"a","user":"${long(128)}"}`, "ok"],
  [`{"tenant":"t","text":"a","user":"${long(129)}"}`, "userInvalid"],
  ['{"tenant":"t","text":"a","user":5}', "userInvalid"],
  ['{"tenant":"t","text":"a","user":"a\u007f"}', "userInvalid"],
  [`{"tenant":"t","text":"a","user":"${long(20)}\\n"}`, "userInvalid"],
  ['{"tenant":"t","text":"a","conversation":""}', "conversationInvalid"],
  [`{"tenant":"t","text":"a","conversation":"${"é".repeat(65)}"}`, "conversationInvalid"],
  ['{"tenant":"t","text":"a","tsMs":-1}', "tsInvalid"],
  ['{"tenant":"t","text":"a","tsMs":-0}', "ok"],
  ['{"tenant":"t","text":"a","tsMs":1e400}', "tsInvalid"],
  ['{"tenant":"t","text":"a","tsMs":8640000000000001}', "tsInvalid"],
  ['{"tenant":"t","text":"a","tsMs":"2026-01-01T00:00:00Z"}', "tsInvalid"],
  [`{"tenant":"t","text":"a","tsMs":${NOW_MS + limits.FUTURE_MS_MAX}}`, "ok"],
  [`{"tenant":"t","text":"a","tsMs":${NOW_MS + limits.FUTURE_MS_MAX + 1}}`, "tsInFuture"],
  ['{"tenant":"t","text":5}', "textInvalid"],
  ['{"tenant":"t","text":"\\u0000"}', "ok"],
  ['{"tenant":"t","text":"\\ud83d\\ude00 \\uD83D\\uDE00"}', "ok"],
  ['{"tenant":"t","text":"\\udc00\\udc00"}', "ok"],
  ['{"tenant":"t","text":"\\ud800\\ud800\\udc00"}', "ok"],
  ['{"tenant":"t","text":"\\ud800x\\ud800\\n\\ud800"}', "ok"],
  ['{"tenant":"t","text":"\\ud800\\u12"}', "malformedJson"],
  [`{"tenant":"t","text":"${long(limits.TEXT_BYTES_MAX)}"}`, "ok"],
  [`{"tenant":"t","text":"${long(limits.TEXT_BYTES_MAX + 1)}"}`, "textTooLong"],
  [`{"tenant":"t","text":"${"\\n".repeat(limits.TEXT_BYTES_MAX)}x"}`, "textTooLong"],
  ['{"tenant":"t","terms":"a"}', "termsInvalid"],
  ['{"tenant":"t","terms":["a",1]}', "termsInvalid"],
  [`{"tenant":"t","terms":${JSON.stringify(Array.from({ length: 64 }, () => "a"))}}`, "ok"],
  [
    `{"tenant":"t","terms":${JSON.stringify(Array.from({ length: 65 }, () => "a"))}}`,
    "termsInvalid",
  ],
  ['{"tenant":"t","terms":[""]}', "termInvalid"],
  [`{"tenant":"t","terms":["${long(41)}"]}`, "termInvalid"],
  ['{"tenant":"t","terms":["\\u0001"]}', "termInvalid"],
  ['{"tenant":"t","metrics":[1]}', "metricsInvalid"],
  [`{"tenant":"t","metrics":${metrics(16)}}`, "ok"],
  [`{"tenant":"t","metrics":${metrics(17)}}`, "metricsInvalid"],
  ['{"tenant":"t","metrics":{"":1}}', "metricsInvalid"],
  [`{"tenant":"t","metrics":{"${long(64)}":1}}`, "ok"],
  [`{"tenant":"t","metrics":{"${long(65)}":1}}`, "metricsInvalid"],
  ['{"tenant":"t","metrics":{"a":"1"}}', "metricsInvalid"],
  ['{"tenant":"t","metrics":{"a":"1","a":1}}', "ok"],
  ['{"tenant":"t","metrics":{"a":1e400}}', "metricsInvalid"],
  ['{"tenant":"t","text":"a","weight":0}', "weightInvalid"],
  ['{"tenant":"t","text":"a","weight":1.5}', "weightInvalid"],
  ['{"tenant":"t","text":"a","weight":"1"}', "weightInvalid"],
  ['{"tenant":"t","text":"a","weight":1e6}', "ok"],
  ['{"tenant":"t","text":"a","weight":1000001}', "weightInvalid"],
  ['{"tenant":"t","text":"a","user":5,"user":"b"}', "ok"],
  ['{"tenant":"t","text":"a","user":"b","user":5}', "userInvalid"],
  ['{"specversion":"1.0","id":"1","tenant":"t","data":"hello"}', "ok"],
  ['{"specversion":"1.0","id":"1","data":{"tenant":"t","text":"a"}}', "ok"],
  ['{"specversion":"1.0","id":"1","tenant":"t","data_base64":"aGk="}', "dataUnsupported"],
  ['{"specversion":"1.0","id":"1","tenant":"t","data":[1]}', "dataUnsupported"],
  ['{"specversion":"1.0","id":"1","tenant":"t"}', "eventEmpty"],
  ['{"specversion":"1.0","id":"1","tenant":"t","time":"yesterday","data":"a"}', "tsInvalid"],
  [
    '{"specversion":"1.0","id":"1","tenant":"t","time":"yesterday","data":{"text":"a","tsMs":1}}',
    "ok",
  ],
  ['{"data":{"tenant":"t","text":"a"}}', "tenantMissing"],
];

void test("every element gets the answer of the table, and the oracle's", () => {
  const batcher = new Batcher();
  for (const [line, expected] of TABLE) {
    const bytes = bytesOf(line);
    const [answer] = judge(batcher, [bytes]);
    const label = line.slice(0, 100);
    assert.equal(typeof answer === "string" ? answer : "ok", expected, label);
    const oracle = judgeElement(bytes, { tenant: undefined, nowMs: NOW_MS });
    assert.deepEqual(comparable(answer!), comparable(oracle), label);
  }
});

void test("a text is blank where String.prototype.trim leaves nothing, for every character", () => {
  const batcher = new Batcher();
  let blankCount = 0;
  for (let start = 0; start <= 0xffff; start += 64) {
    const lines = Array.from({ length: 64 }, (_, i) =>
      bytesOf({ tenant: "t", text: `\u3000${String.fromCharCode(start + i)} ` }),
    );
    for (const [i, answer] of judge(batcher, lines).entries()) {
      const blank = String.fromCharCode(start + i).trim() === "";
      assert.equal(answer === "eventEmpty", blank, `U+${(start + i).toString(16)}`);
      if (blank) blankCount += 1;
    }
  }
  assert.equal(blankCount, 25);
});

/** `time` of a CloudEvent, and whether RFC 3339 allows it. */
const TIMES: readonly [string, boolean][] = [
  ["2026-10-21T10:00:00Z", true],
  ["2026-10-21t10:00:00z", true],
  ["2026-10-21T10:00:00.5Z", true],
  ["2026-10-21T10:00:00.123999999999Z", true],
  ["2026-10-21T10:00:00+05:30", true],
  ["2026-10-21T10:00:00-23:59", true],
  ["1970-01-01T00:00:00Z", true],
  ["1969-12-31T23:30:00-00:30", true],
  ["2000-02-29T00:00:00Z", true],
  ["2024-02-29T00:00:00Z", true],
  ["2016-12-31T23:59:60Z", true],
  ["1969-12-31T23:59:59Z", false],
  ["1972-13-01T00:00:00Z", false],
  ["2023-02-29T00:00:00Z", false],
  ["2100-02-29T00:00:00Z", false],
  ["2026-00-10T00:00:00Z", false],
  ["2026-04-31T00:00:00Z", false],
  ["2026-10-00T00:00:00Z", false],
  ["2026-10-21T24:00:00Z", false],
  ["2026-10-21T10:60:00Z", false],
  ["2026-10-21T10:00:61Z", false],
  ["2026-10-21T10:00:00", false],
  ["2026-10-21T10:00:00.Z", false],
  ["2026-10-21T10:00:00.5", false],
  ["2026-10-21T10:00:00+24:00", false],
  ["2026-10-21T10:00:00+05:60", false],
  ["2026-10-21T10:00:00+0530", false],
  ["2026-10-21T10:00:00Zx", false],
  ["2026-10-21 10:00:00Z", false],
  ["+026-11-21T10:00:00Z", false],
  ["2026/11/21T10:00:00Z", false],
  ["", false],
];

void test("the time of a CloudEvent is an RFC 3339 date-time", () => {
  const batcher = new Batcher();
  for (const [time, right] of TIMES) {
    const bytes = bytesOf({ specversion: "1.0", id: "1", tenant: "t", time, data: "a" });
    const [answer] = judge(batcher, [bytes]);
    assert.equal(typeof answer === "string" ? answer : "ok", right ? "ok" : "tsInvalid", time);
    assert.deepEqual(answer, judgeElement(bytes, { tenant: undefined, nowMs: NOW_MS }), time);
  }
});

void test("every day since 1970 and to 2400 is where Date puts it", () => {
  const batcher = new Batcher();
  const tenant = batcher.tenantAdd("t");
  batcher.tenantFlagsSet(tenant, 1);
  const dayMs = 86_400_000;
  for (let day = 0; day < 157_000; day += 100) {
    const times = Array.from({ length: 100 }, (_, i) => (day + i) * dayMs);
    const events = times.map((time) =>
      bytesOf({ specversion: "1.0", tenant: "t", time: new Date(time), data: "a" }),
    );
    for (const [i, answer] of judge(batcher, events).entries()) {
      assert.ok(typeof answer !== "string");
      assert.equal(answer.event.tsMs, times[i]);
    }
  }
});
