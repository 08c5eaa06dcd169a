import { isTenantId } from "#model/tenant.ts";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import fc from "fast-check";
import { readIrcLog } from "./irc-log.ts";
import { findLogs, openLogFile } from "./log-files.ts";
import { SkipCounter, type LogMessage } from "./log-message.ts";
import { parseTime, readCsvLog, readJsonLog, tenantId } from "./record-log.ts";

const DAY_MS = Date.UTC(2008, 11, 11);
const REAL = fileURLToPath(new URL("../../../shared/data/irc_disentanglement", import.meta.url));

async function irc(...lines: string[]): Promise<LogMessage[]> {
  return Array.fromAsync(readIrcLog(lines, { dayMs: DAY_MS, tenant: "dev", idPrefix: "log" }));
}

const clock = (messages: readonly LogMessage[]): string[] =>
  messages.map(({ tsMs }) => new Date(tsMs).toISOString().slice(8, 19));

test("irc: messages, actions; the server's lines and empty ones are skipped", async () => {
  const messages = await irc(
    "=== topyli [~juha@dsl] has left #ubuntu []",
    "[12:18] <|trey|> usual, quite stable  :)",
    "[12:18]  * SinPro slaps Incarus around",
    "[12:18] <a> ",
    "[12:19] <@op> http://x.y/?a=<b>",
    "no log line",
  );
  assert.deepEqual(
    messages.map(({ id, user, text, tenant }) => [id, user, text, tenant]),
    [
      ["log:2", "|trey|", "usual, quite stable  :)", "dev"],
      ["log:3", "SinPro", "slaps Incarus around", "dev"],
      ["log:5", "op", "http://x.y/?a=<b>", "dev"],
    ],
  );
});

test("irc: the messages of a minute are spread over it, in order", async () => {
  const messages = await irc("[08:00] <a> 1", "[08:00] <a> 2", "[08:00] <a> 3", "[08:01] <a> 4");
  assert.deepEqual(clock(messages), ["11T08:00:00", "11T08:00:20", "11T08:00:40", "11T08:01:00"]);
});

for (const { name, hours, want } of [
  { name: "midnight", hours: ["23:59", "00:00"], want: ["11T23:59:00", "12T00:00:00"] },
  { name: "a gap over midnight", hours: ["22:10", "04:00"], want: ["11T22:10:00", "12T04:00:00"] },
  {
    name: "two midnights",
    hours: ["20:00", "03:00", "02:00", "01:00"],
    want: ["11T20:00:00", "12T03:00:00", "12T03:00:30", "13T01:00:00"],
  },
  {
    name: "a clock set back",
    hours: ["10:05", "10:01", "10:06"],
    want: ["11T10:05:00", "11T10:05:30", "11T10:06:00"],
  },
  {
    name: "a clock of 12 hours",
    hours: ["12:58", "01:02", "02:00"],
    want: ["11T12:58:00", "11T13:02:00", "11T14:00:00"],
  },
  {
    name: "12 hours, over midnight",
    hours: ["11:30", "12:10", "01:00", "11:59", "12:01", "01:00"],
    want: [
      "11T11:30:00",
      "11T12:10:00",
      "11T13:00:00",
      "11T23:59:00",
      "12T00:01:00",
      "12T01:00:00",
    ],
  },
  {
    name: "24 hours: noon after an evening is the next day",
    hours: ["13:00", "12:30", "01:00"],
    want: ["11T13:00:00", "11T13:00:30", "12T01:00:00"],
  },
]) {
  test(`irc: ${name}`, async () => {
    assert.deepEqual(clock(await irc(...hours.map((hour) => `[${hour}] <a> text`))), want);
  });
}

test("irc: time never runs backwards, whatever the log says", async () => {
  const times = fc.array(fc.tuple(fc.nat(23), fc.nat(59)), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(times, async (hours) => {
      const pad = (value: number): string => String(value).padStart(2, "0");
      const messages = await irc(...hours.map(([h, m]) => `[${pad(h)}:${pad(m)}] <a> t`));
      assert.equal(messages.length, hours.length);
      for (const [index, { tsMs }] of messages.entries()) {
        assert.ok(tsMs >= (messages[index - 1]?.tsMs ?? 0));
      }
    }),
  );
});

const record = () => ({ tenant: undefined, tenantDefault: "file", skipped: new SkipCounter() });

test("jsonl: tolerant names, times in ms, s and ISO; what is not usable is counted", async () => {
  const options = record();
  const lines = [
    '{"id":"a","text":"one","user":"u","tsMs":1700000000000}',
    '{"message":"two","author":{"name":"v"},"ts":"1700000001.5","channel":"#Général"}',
    '{"body":"three","nick":"w","time":"2023-11-14T22:13:22Z","thread":"t","tenant":"acme"}',
    '{"text":"four","timestamp":1700000003}',
    "",
    '{"text":"no time"}',
    '{"tsMs":1700000000000}',
    "[1]",
    "{oops",
  ];
  const messages = await Array.fromAsync(readJsonLog(lines, options));
  assert.deepEqual(messages, [
    { tenant: "file", id: "a", user: "u", text: "one", tsMs: 1_700_000_000_000 },
    {
      tenant: "G-n-ral",
      conversation: "#Général",
      user: "v",
      text: "two",
      tsMs: 1_700_000_001_500,
    },
    { tenant: "acme", conversation: "t", user: "w", text: "three", tsMs: 1_700_000_002_000 },
    { tenant: "file", text: "four", tsMs: 1_700_000_003_000 },
  ]);
  assert.deepEqual(Object.fromEntries(options.skipped.counts), {
    "no time": 1,
    "no text": 1,
    "not a JSON object": 2,
  });
});

test("csv: quoted fields with line breaks, a byte order mark, one tenant for all", async () => {
  const text =
    '\uFEFFdate,user,text,channel\n2023-11-14 22:13:20,ada,"a, ""b""\nc",x\n,bo,late,x\n';
  const options = { ...record(), tenant: "forced" };
  const messages = await Array.fromAsync(readCsvLog(Readable.from([text]), options));
  assert.deepEqual(messages, [
    {
      tenant: "forced",
      user: "ada",
      conversation: "x",
      text: 'a, "b"\nc',
      tsMs: 1_700_000_000_000,
    },
  ]);
  assert.equal(options.skipped.counts.get("no time"), 1);
});

test("times that are none are refused", () => {
  for (const value of ["yesterday", -5, Number.NaN, Infinity, null, {}, "", 1e300]) {
    assert.equal(parseTime(value), undefined, JSON.stringify(value));
  }
});

test("any name becomes a tenant id", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => assert.ok(isTenantId(tenantId(name)))),
  );
});

test("files: format and tenant are told by name and content, in the order of replay", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-logs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "dev"));
  const line = "[10:00] <a> hello\n";
  const files: Record<string, string> = {
    "dev/2009-02-23_10.ascii.txt": line,
    "dev/2008-12-11_11.ascii.txt": line,
    "dev/2008-12-11_11.annotation.txt": "1000 1001 -\n1001 1002 -\n",
    "channel-two.pilot-dev.ascii.txt": line,
    "2010-01-02-#ubuntu.txt": line,
    "chat.jsonl": '{"text":"x","ts":1}\n',
    "chat.csv": "text,ts\nx,1\n",
    "README.md": "# nothing\n",
    "empty.txt": "",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const logs = await findLogs([folder]);
  assert.deepEqual(
    logs.map(({ path, format, tenant }) => [path.slice(folder.length + 1), format, tenant]),
    [
      ["channel-two.pilot-dev.ascii.txt", "irc", "channel-two"],
      ["chat.csv", "csv", "chat"],
      ["chat.jsonl", "jsonl", "chat"],
      ["dev/2008-12-11_11.ascii.txt", "irc", "dev"],
      ["dev/2009-02-23_10.ascii.txt", "irc", "dev"],
      ["2010-01-02-#ubuntu.txt", "irc", "ubuntu"],
    ],
  );
  await assert.rejects(findLogs([join(folder, "README.md")]), /neither IRC log, JSONL nor CSV/);
  await assert.rejects(findLogs([join(folder, "nowhere")]), /no such file/);
});

test(
  "files: the real logs are read to the last message",
  { skip: existsSync(REAL) ? false : "shared/data/irc_disentanglement is not here" },
  async () => {
    const logs = await findLogs([REAL]);
    assert.equal(logs.length, 11);
    const skipped = new SkipCounter();
    const counts: Record<string, number> = {};
    for (const log of logs) {
      let lastMs = 0;
      const ids = new Set<string>();
      for await (const message of openLogFile(log, { tenant: undefined, skipped })) {
        counts[message.tenant] = (counts[message.tenant] ?? 0) + 1;
        assert.ok(message.tsMs >= lastMs);
        lastMs = message.tsMs;
        assert.ok(message.id !== undefined && message.id.length <= 64);
        ids.add(message.id);
      }
      assert.ok(ids.size > 0);
    }
    assert.deepEqual(Object.keys(counts).toSorted(), ["channel-two", "dev"]);
    // 12,653 messages and 29 actions, of which 5 have no text.
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    assert.equal(total, 12_677);
    assert.equal(skipped.counts.size, 0);
  },
);
