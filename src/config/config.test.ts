import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "./config-error.ts";
import { parseFile } from "./file.ts";
import { loadConfig } from "./load.ts";
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
    name: "a list in itself, by an alias",
    yaml: "shardCount: &a [*a]\n",
    code: "configType",
    message: /^f:1:16: shardCount is in itself; use /,
  },
  {
    name: "an object in itself, by an alias",
    yaml: "llmExtra: &b {c: *b}\n",
    code: "configType",
    message: /^f:1:14: llmExtra is in itself; use /,
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
    message: /^f:2:3: httpprt is no option; did you mean httpPort\?$/,
  },
  { name: "not set", yaml: "httpPort:\n", code: "configType", message: /httpPort is not set/ },
  { name: "no mapping", yaml: "- a\n", code: "configType", message: /^f:1:1: use lines such as/ },
  { name: "syntax", yaml: "httpPort: [1\n", code: "configSyntax", message: /^f:\d+:\d+: / },
  {
    name: "twice",
    yaml: "httpPort: 1\nhttpPort: 2\n",
    code: "configSyntax",
    message: /^f:2:1: httpPort is there twice; it is in line 1 already/,
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
  assert.deepEqual(entries.map(({ name }) => name).toSorted(), written.toSorted());
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
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

test("config: all that is wrong is said at once, wherever it is", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "f");
  writeFileSync(
    file,
    "httpPrt: 1\nslotCount: 0\nlogLevel: info\nlogLevel: warn\nslotCount: many\n",
  );
  const environment = { NEXUSCORE_CONFIG: file, NEXUSCORE_UDP_PORT: "x" };
  const load = (): unknown =>
    loadConfig({ file: undefined, environment, flags: { kernelStage: "soon" } });
  assert.throws(load, (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    const lines = error.mistakes.map(({ message }) => message.replace(file, "f"));
    assert.equal(error.message.split("\n").length, lines.length);
    assert.match(lines[0]!, /^f:1:1: httpPrt is no option; did you mean httpPort\?$/);
    assert.match(lines[1]!, /^f:4:1: logLevel is there twice; it is in line 3 already\.$/);
    assert.match(lines[2]!, /^f:5:1: slotCount is there twice/);
    assert.match(lines[3]!, /^f:2:12: slotCount is 0; use an integer from 1 to 16384\.$/);
    assert.match(lines[4]!, /^NEXUSCORE_UDP_PORT: udpPort is "x"/);
    assert.match(lines[5]!, /^--kernel-stage: kernelStage is "soon"; use one of auto, off\.$/);
    assert.equal(lines.length, 6);
    return true;
  });
});

test("config: --config is before NEXUSCORE_CONFIG, which has to be there if it is set", () => {
  const environment = { NEXUSCORE_CONFIG: "/nonexistent/of-variable.yaml" };
  assert.throws(
    () => loadConfig({ ...NOTHING, environment }),
    /of-variable\.yaml: cannot be read: there is no such file\.$/,
  );
  const file = "/nonexistent/of-flag.yaml";
  assert.throws(() => loadConfig({ ...NOTHING, environment, file }), /of-flag\.yaml/);
  assert.equal(loadConfig({ ...NOTHING, environment: { NEXUSCORE_CONFIG: "" } }).file, undefined);
});

const OUR_KEY = `nxc_${"a1B2".repeat(3)}_${"x".repeat(49)}`;

for (const yaml of [
  "adminKey: SECRET\n",
  "llmPassword: SECRET\n",
  "oidcClientSecret: SECRET\n",
  `llmModel: ${OUR_KEY}\n`,
  "llmApiKeyFile: sk-proj-SECRETSECRETSECRET\n",
  "llmExtra: {headers: {authorization: Bearer SECRETSECRET}}\n",
]) {
  test(`config: a secret is refused, and not repeated: ${yaml.slice(0, 14)}`, () => {
    assert.throws(
      () => parseFile("f", yaml),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, /^f:1:\d+: .*key/);
        assert.doesNotMatch(error.message, /SECRET|xxx/);
        return true;
      },
    );
  });
}

test("config: whatever is in the file, it is read or refused with a place, soon", () => {
  const piece = fc.oneof(
    fc.constantFrom(...OPTION_NAMES, "<<", "? ", "- ", "*a", "&a ", "{", "}", "[", "]", "|", ">"),
    fc.constantFrom(": ", ":\n", "\n", "\n  ", "#", "'", '"', "!!binary ", "!!set ", "---", "\t"),
    fc.string({ maxLength: 8, unit: "binary" }),
    fc.integer().map(String),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        for (const { origin } of parseFile("f", pieces.join(""))) assert.match(origin, PLACE);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String((error as Error).stack));
        for (const { message } of error.mistakes) assert.match(message, PLACE);
      }
    }),
    { numRuns: 2_000 },
  );
});

const PLACE = /^f:\d+:\d+/;

test("config: aliases that would fill the memory are refused", () => {
  const levels = Array.from({ length: 30 }, (_, i) => `  - &l${i + 1} [*l${i}, *l${i}, *l${i}]`);
  const bomb = `llmExtra:\n  - &l0 [x, x, x]\n${levels.join("\n")}\n`;
  assert.throws(() => parseFile("f", bomb), /f:2:3: .*alias/i);
});
