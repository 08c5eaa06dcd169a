// The rules of scripts/dependency-rules.ts: ours keep them, and each that is broken is seen.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { promisify } from "node:util";
import { dependencyFaults, type DependencyFacts } from "../scripts/dependency-rules.ts";

const HASH = "sha512-aGFzaA==";
const URL = "https://registry.example/fine-1.2.3.tgz";
const FINE = { version: "1.2.3", license: "MIT", integrity: HASH, resolved: URL };

type Packages = DependencyFacts["lock"]["packages"];

/** One direct dependency that keeps all rules, and what is changed about it. */
function facts(packages: Packages = {}, more: Partial<DependencyFacts> = {}): DependencyFacts {
  return {
    manifest: { dependencies: { fine: "1.2.3" } },
    lock: { packages: { "": {}, "node_modules/fine": FINE, ...packages } },
    page: "| `fine` | MIT | It is fine. |",
    notice: "",
    installed: () => undefined,
    ...more,
  };
}

test("what keeps the rules is not blamed", () => {
  const elsewhere = { ...FINE, optional: true, os: ["darwin"], integrity: undefined };
  const packages = {
    "node_modules/of-another-platform": elsewhere as never,
    "node_modules/transitive": { ...FINE, license: "BlueOak-1.0.0" },
    "node_modules/tool": { ...FINE, license: "(Apache-2.0 WITH LLVM-exception)", dev: true },
  };
  assert.deepEqual(dependencyFaults(facts(packages)), []);
});

const BROKEN: readonly [string, DependencyFacts, RegExp][] = [
  ["a copyleft licence", facts({ "node_modules/a": { ...FINE, license: "GPL-3.0" } }), /GPL-3\.0/],
  ["no licence", facts({ "node_modules/a": { ...FINE, license: "" } }), /not named/],
  [
    "a licence for tools alone",
    facts({ "node_modules/a": { ...FINE, license: "Unlicense" } }),
    /Unlicense/,
  ],
  [
    "a script at an install",
    facts({ "node_modules/a": { ...FINE, hasInstallScript: true } }),
    /runs a script/,
  ],
  ["no hash", facts({ "node_modules/a": { version: "1.0.0", license: "MIT" } }), /no hash/],
  ["a weak hash", facts({ "node_modules/a": { ...FINE, integrity: "sha1-aGFzaA==" } }), /no hash/],
  [
    "a repository",
    facts({ "node_modules/a": { ...FINE, resolved: "git+ssh://git@host/a.git" } }),
    /not from a registry/,
  ],
  ["a folder", facts({ "node_modules/a": { ...FINE, link: true } }), /is a link/],
  ["a range", facts({}, { manifest: { dependencies: { fine: "^1.2.3" } } }), /no exact version/],
  ["another version", facts({}, { manifest: { dependencies: { fine: "1.2.4" } } }), /is locked/],
  ["one without a lock", facts({}, { manifest: { devDependencies: { b: "1.0.0" } } }), /not know/],
  ["one without a line", facts({}, { page: "" }), /has no line/],
  ["a line that lies", facts({}, { page: "| `fine` | ISC | Fine. |" }), /says otherwise/],
  [
    "a lock that lies",
    facts({}, { installed: () => ({ license: "GPL-3.0", hasNotice: false }) }),
    /says GPL-3\.0 itself/,
  ],
  [
    "an installed script",
    facts(
      {},
      {
        installed: () => ({ license: "MIT", hasNotice: false, scripts: { postinstall: "x" } }),
      },
    ),
    /a script postinstall/,
  ],
  [
    "a notice that is not named",
    facts({}, { installed: () => ({ license: "MIT", hasNotice: true }) }),
    /NOTICE/,
  ],
];

for (const [name, given, fault] of BROKEN) {
  test(`seen: ${name}`, () => {
    const faults = dependencyFaults(given);
    assert(
      faults.some((each) => fault.test(each)),
      faults.join("\n"),
    );
  });
}

test("our own dependencies keep the rules, whether the registry answers or not", async () => {
  const args = [
    ...process.execArgv.filter((word) => !word.startsWith("--test")),
    "scripts/dependencies.ts",
  ];
  const { stderr } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  assert.match(stderr, /as they should/);
});
