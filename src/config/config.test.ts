import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError } from "./config-error.ts";
import { loadConfig, parseFile } from "./load.ts";
import { defaultOf, OPTION_NAMES, optionSpec } from "./options.ts";
import { printConfig, printDefaults } from "./print.ts";

const NOTHING = { file: undefined, environment: {}, flags: {} };

test("config: without sources, the defaults", () => {
  const { config, origins } = loadConfig(NOTHING);
  for (const name of OPTION_NAMES) {
    assert.equal(config[name], defaultOf(name));
    assert.equal(origins[name], "default");
  }
});

test("config: file < environment < flags, and each value knows where it comes from", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "own.yaml");
  writeFileSync(file, "# mine\nhttpPort: 1\nslotCount: 2\nshardCount: 3\nimageBytesMax: 2GiB\n");
  const environment = { NEXUSCORE_SLOT_COUNT: "20", NEXUSCORE_SHARD_COUNT: "30", OTHER: "1" };
  const { config, origins } = loadConfig({ file, environment, flags: { shardCount: "200" } });
  assert.deepEqual(
    [config.httpPort, config.slotCount, config.shardCount, config.imageBytesMax, config.logLevel],
    [1, 20, 200, 2 * 1024 ** 3, "info"],
  );
  assert.equal(origins.httpPort, `${file}:2:11`);
  assert.equal(origins.slotCount, "NEXUSCORE_SLOT_COUNT");
  assert.equal(origins.shardCount, "--shard-count");
});

for (const { name, yaml, code, message } of [
  {
    name: "wrong type",
    yaml: "httpPort: abc\n",
    code: "configType",
    message: /^f:1:11: httpPort is "abc"; use an integer from 0 to 65535\.$/,
  },
  {
    name: "out of range",
    yaml: "slotCount: 1\nhttpPort: 70000\n",
    code: "configRange",
    message: /^f:2:11: /,
  },
  {
    name: "a fraction",
    yaml: "shardCount: 1.5\n",
    code: "configType",
    message: /shardCount is 1\.5/,
  },
  {
    name: "unknown option",
    yaml: "\n  httpprt: 1\n",
    code: "configUnknown",
    message: /^f:2:3: httpprt is no option; known: httpHost, /,
  },
  { name: "not set", yaml: "httpPort:\n", code: "configType", message: /httpPort is not set/ },
  { name: "no mapping", yaml: "- a\n", code: "configType", message: /^f:1:1: use lines such as/ },
  { name: "syntax", yaml: "httpPort: [1\n", code: "configSyntax", message: /^f:\d+:\d+: / },
  {
    name: "twice",
    yaml: "httpPort: 1\nhttpPort: 2\n",
    code: "configSyntax",
    message: /^f:2:1: .*unique/,
  },
  {
    name: "a choice",
    yaml: "logLevel: loud\n",
    code: "configRange",
    message: /one of debug, info/,
  },
  {
    name: "bytes",
    yaml: "imageBytesMax: 4 parsecs\n",
    code: "configType",
    message: /512MiB, 4GiB/,
  },
  { name: "an empty text", yaml: "dataDir: ''\n", code: "configType", message: /not empty/ },
]) {
  test(`config: file with ${name}`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), "nexuscore-config-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "f");
    writeFileSync(file, yaml);
    const load = (): unknown => loadConfig({ ...NOTHING, file });
    assert.throws(load, (error: unknown) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message.replace(file, "f"), message);
      return true;
    });
  });
}

test("config: a named file that is not there is an error, an unnamed one is not", () => {
  assert.throws(() => loadConfig({ ...NOTHING, file: "/nonexistent/x.yaml" }), {
    code: "configFileUnreadable",
  });
});

test("config: wrong variables and flags are named as they were given", () => {
  const environment = { NEXUSCORE_HTTP_PORT: "x" };
  assert.throws(
    () => loadConfig({ ...NOTHING, environment }),
    /^ConfigError: NEXUSCORE_HTTP_PORT: /,
  );
  const flags = { httpPort: "-1" };
  assert.throws(
    () => loadConfig({ ...NOTHING, flags }),
    /^ConfigError: --http-port: .* 0 to 65535/,
  );
});

test("config: the printed defaults are a valid file that says the defaults", () => {
  const text = printDefaults();
  const entries = parseFile("printed", text);
  const written = OPTION_NAMES.filter((name) => optionSpec(name).defaultWords === undefined);
  assert.deepEqual(
    entries.map(({ name }) => name),
    written,
  );
  for (const line of text.split("\n")) assert.ok(line.length <= 90, line);
  const active = text.replaceAll(/^# (\w+: \S+) # default.*$/gm, "$1");
  assert.equal(parseFile("printed", active).length, OPTION_NAMES.length);
});

test("config: what is in force is printed with its origin, as a valid file", () => {
  const loaded = loadConfig({ ...NOTHING, flags: { httpPort: "8080", imageBytesMax: "1536MiB" } });
  const text = printConfig(loaded);
  assert.match(text, /^httpPort: 8080 # --http-port$/m);
  assert.match(text, /^imageBytesMax: 1536MiB # --image-bytes-max$/m);
  assert.equal(parseFile("printed", text).length, OPTION_NAMES.length);
});
