/** What operators write: files of options, and keys as they come in a request. */
import { ConfigError } from "#config/config-error.ts";
import { parseFile } from "#config/file.ts";
import { OPTION_NAMES, defaultOf, isOptionName, optionSpec } from "#config/options.ts";
import { parseValue } from "#config/values.ts";
import { registerAccess } from "#keys/access-hooks.ts";
import { KeyRing } from "#keys/key-ring.ts";
import { hashOf, idOf } from "#keys/key-text.ts";
import { Problem } from "#model/problem.ts";
import type { Random } from "#std/random.ts";
import assert from "node:assert/strict";
import Fastify from "fastify";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const FILE = "nexuscore.yaml";

export const configFiles: FuzzTarget = {
  sentence: "YAML files of options: read, or refused with line and column",
  caseCount: 400,
  open: (): FuzzSubject => ({
    seeds: [
      OPTION_NAMES.map((name) => `${name}: ${JSON.stringify(defaultOf(name))}`).join("\n"),
      "httpPort: 7070\nhttpHost: 127.0.0.1\n",
      'llmExtra: {seed: 1, "a": [1, 2]}\nlogLevel: debug # why\n',
      "base: &base {httpPort: 1}\n<<: *base\n",
      "imageBytesMax: 4GiB\n---\nhttpPort: 1\n",
    ].map((text) => Buffer.from(text)),
    dictionary: [
      ...": - ? | > & * ! !!binary !!float % @ ` # --- ... <<: [ ] { } , ' \" \\".split(" "),
      "\n",
      "\n  ",
      "\t",
      "\r\n",
      ..."0x1F 1e999 .inf .nan ~ null yes 4GiB".split(" "),
      "&a [*a, *a, *a, *a, *a, *a, *a, *a, *a]",
      "unlimited",
      "\ufeff",
      ...OPTION_NAMES.map((name) => `${name}: `),
      ...OPTION_NAMES.flatMap((name) => optionSpec(name).choices ?? []),
    ],
    generate: yamlOf,
    check: (input) => {
      try {
        for (const { name, raw, origin } of parseFile(FILE, Buffer.from(input).toString())) {
          assert(isOptionName(name));
          assert.match(origin, /^nexuscore\.yaml:\d+:\d+$/);
          const value = parseValue(name, raw, origin);
          assert(typeof value === "string" || !Number.isNaN(value));
        }
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        assert.match(error.message, /nexuscore\.yaml(?::\d+:\d+)?/, "it says where");
        assert(error.message.length < 200_000, "and has an end");
        return [...new Set(error.mistakes.map(({ code }) => code))].toSorted().join(" ");
      }
      return "read";
    },
  }),
};

function yamlOf(random: Random): Uint8Array {
  const values = ["1", "7070", "on", "off", "abc", "[1, 2]", "{a: 1}", "4GiB", "-1", "1e3", '""'];
  const lines = Array.from({ length: 1 + random.below(8) }, () => {
    const name = OPTION_NAMES[random.below(OPTION_NAMES.length)]!;
    const { choices = values } = optionSpec(name);
    const from = random.chance(1, 2) ? choices : values;
    return `${" ".repeat(random.below(2))}${name}: ${from[random.below(from.length)]}`;
  });
  return Buffer.from(lines.join("\n"));
}

const TENANTS = ["acme"] as const;
// Made once, so that the same seed gives the same inputs; they open nothing anywhere.
const KEY = "nxc_FuzzedFuzzed_wDjH2IgVyZ4GD0WefxqIev2IK1aqIefoTmYk31OvWOK3CCvp0";
const OTHERS = [
  "nxc_fhlTWgO1Tp2N_kcTk9g9NSH3jdWkC1qPZpDBDDvJXzQdB4kIvutLx7D63Sh6RP",
  "nxc_FuzzedFuzzed_jZqDk3HZTRhc54AngsW0S4TJm5qAraESQ90AQCTljqC1HoSYs",
];

/** Nothing but the very key opens anything, in whatever header it comes. */
export const credentials: FuzzTarget = {
  sentence: "keys and Authorization headers: only the key itself opens, and only its tenant",
  caseCount: 400,
  open: async (): Promise<FuzzSubject> => {
    const text = KEY;
    const id = idOf(text)!;
    const keys = new KeyRing();
    keys.put({
      id,
      roles: ["tenantRead"],
      tenants: TENANTS,
      note: "",
      createdMs: 0,
      expiresMs: undefined,
      revokedMs: undefined,
      hash: hashOf(text),
      formerHash: undefined,
      formerEndsMs: undefined,
      usedDay: undefined,
    });
    const server = Fastify();
    // An address may fail so often a minute; between two inputs there is an hour.
    let nowMs = 0;
    const clock = (): number => (nowMs += 3_600_000);
    registerAccess(server, { keys, isLoopback: true, nowMs: clock });
    server.setErrorHandler((error, _request, reply) => {
      if (!(error instanceof Problem)) throw error;
      void reply.code(error.status).send({ code: error.code });
    });
    const route = { config: { access: "read" } } as const;
    server.get("/v1/tenants/:tenant/x", route, async () => ({ code: "open" }));
    await server.ready();
    const basic = (word: string): string => `Basic ${Buffer.from(word).toString("base64")}`;
    return {
      seeds: [
        text,
        `Bearer ${text}`,
        `bearer  ${text} `,
        basic(`:${text}`),
        basic(`user:${text}`),
        basic(text),
        ...OTHERS.map((other) => `Bearer ${other}`),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
      ].map((word) => Buffer.from(word)),
      dictionary: ["Bearer ", "Basic ", "nxc_", id, text, ":", "\0", "=", "Bearer Bearer ", ", "],
      check: async (input) => {
        const header = Buffer.from(input)
          .toString("latin1")
          .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "");
        const { statusCode, body } = await server.inject({
          url: "/v1/tenants/acme/x",
          headers: { authorization: header },
        });
        const { code } = JSON.parse(body) as { code: string };
        const isKey = carried(header) === text;
        const label = `${statusCode} ${code} for ${JSON.stringify(header)}`;
        if (isKey && /^[a-z]+ +[!-~]+$/i.test(header)) assert.equal(statusCode, 200, label);
        else assert(statusCode === 401 || (isKey && statusCode === 200), label);
        const found = idOf(header);
        assert(found === undefined || header.includes(found));
        return `${statusCode} ${code} ${found !== undefined}`;
      },
      close: async () => server.close(),
    };
  },
};

/** What the header brings, by RFC 6750 and 7617, read once more. */
function carried(header: string): string | undefined {
  const trimmed = header.trim();
  const space = trimmed.indexOf(" ");
  const scheme = trimmed.slice(0, Math.max(0, space)).toLowerCase();
  const value = trimmed.slice(space + 1).replace(/^ +/, "");
  if (scheme === "bearer") return value;
  if (scheme !== "basic") return undefined;
  const text = Buffer.from(value, "base64").toString("utf8");
  return text.includes(":") ? text.slice(text.indexOf(":") + 1) : undefined;
}
