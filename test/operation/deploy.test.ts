// What is in deploy/: parsed, checked by the tools that are there, and held against the product.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { loadConfig } from "#config/load.ts";
import { optionSpec, OPTION_NAMES } from "#config/options.ts";
import { parse, parseAllDocuments } from "yaml";

const ROOT = resolve(import.meta.dirname, "../..");
/** Plain JavaScript without types. */
const { RUNTIME_FLAGS } = (await import(join(ROOT, "bin/runtime.mjs"))) as {
  RUNTIME_FLAGS: readonly string[];
};
const UNIT = join(ROOT, "deploy/systemd/nexuscore.service");
const DRAIN_MS = Number(optionSpec("drainMsMax").default);
/** Of systemd's own scale, 0 to 10: "OK" ends at 4.9; ours is better by half. */
const EXPOSURE_MAX = 2.5;
const TOOL_MS_MAX = 60_000;
const LIMIT = { timeout: 120_000 };

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function has(tool: string): boolean {
  return spawnSync(tool, ["--version"], { timeout: TOOL_MS_MAX }).error === undefined;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-deploy-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Every setting of a unit file, in order. */
function settings(unit: string): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const line of unit.split("\n")) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    all.set(name, [...(all.get(name) ?? []), value]);
  }
  return all;
}

function variablesOf(text: string): string[] {
  return [...new Set(text.match(/\bNEXUSCORE_[A-Z_]+/g))].filter((name) => !name.endsWith("_"));
}

test("systemd: the unit starts the server as the launcher does, and waits for its drain", () => {
  const unit = settings(readFileSync(UNIT, "utf8"));
  const node = "/opt/nexuscore/node_modules/.bin/node";
  const start = [node, ...RUNTIME_FLAGS, "/opt/nexuscore/src/main.ts", "serve"].join(" ");
  assert.deepEqual(unit.get("ExecStart"), [start]);
  assert(Number(unit.get("TimeoutStopSec")?.[0]) * 1_000 > DRAIN_MS);
  assert.deepEqual(unit.get("CapabilityBoundingSet"), unit.get("AmbientCapabilities"));
  const { config } = loadConfig({ file: undefined, environment: {}, flags: {} });
  assert(Number(unit.get("LimitNOFILE")?.[0]) > 2 * config.connectionsMax);
});

test("systemd: what the unit calls runs from the tree", () => {
  const [check = ""] = settings(readFileSync(UNIT, "utf8")).get("ExecReload") ?? [];
  const [node = "", ...args] = check.replaceAll("/opt/nexuscore", ROOT).split(" ");
  const environment = {
    ...process.env,
    NEXUSCORE_CONFIG: join(ROOT, "deploy/kubernetes/nexuscore.yaml"),
  };
  const { status, stdout, stderr } = spawnSync(node, args, { env: environment, encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, / is fine; /);
});

test("systemd: verify finds nothing, and the exposure is low", (t) => {
  if (!has("systemd-analyze")) return t.skip("systemd-analyze is not installed");
  const folder = folderOf(t);
  // Verified where it is: paths that it names have to be there.
  const text = readFileSync(UNIT, "utf8").replaceAll("/opt/nexuscore", ROOT);
  const unit = join(folder, "nexuscore.service");
  writeFileSync(unit, text);
  const verified = spawnSync("systemd-analyze", ["verify", "--man=no", unit], {
    encoding: "utf8",
    timeout: TOOL_MS_MAX,
  });
  const ours = verified.stderr.split("\n").filter((line) => line.includes("nexuscore.service"));
  assert.deepEqual(ours, []);
  const { stdout } = spawnSync(
    "systemd-analyze",
    ["security", "--offline=true", "--no-pager", unit],
    { encoding: "utf8", timeout: TOOL_MS_MAX },
  );
  const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
  t.diagnostic(`systemd-analyze security: ${exposure}`);
  assert(Number(exposure) <= EXPOSURE_MAX, stdout.split("\n").slice(-3).join("\n"));
  return undefined;
});

test("image: it starts the server as the launcher does, and has all it needs", LIMIT, async (t) => {
  const file = read("deploy/docker/Dockerfile");
  const entry = /^ENTRYPOINT (\[[^\]]+\])/m.exec(file)?.[1]?.replaceAll("\\\n", "") ?? "";
  assert.deepEqual(JSON.parse(entry), ["node", ...RUNTIME_FLAGS, "src/main.ts"]);
  assert.match(file, /^USER 65532:65532$/m);
  assert.match(file, /^STOPSIGNAL SIGTERM$/m);
  assert(file.indexOf("\nUSER ") < file.indexOf("\nENTRYPOINT "));
  const environment = {
    NEXUSCORE_HTTP_PORT: "0",
    NEXUSCORE_UDP_PORT: "0",
    NEXUSCORE_SHARD_COUNT: "1",
    NEXUSCORE_DATA_DIR: ":memory:",
  };
  // As Docker would copy it; started with its own flags, without what tests and builds need.
  const folder = folderOf(t);
  const taken = [...read("deploy/docker/Dockerfile.dockerignore").matchAll(/^!(.+)$/gm)];
  for (const [, path] of taken) {
    cpSync(join(ROOT, path!), join(folder, path!), { recursive: true });
  }
  for (const path of globSync(["src/**/*.test.ts", "src/testing"], { cwd: folder })) {
    rmSync(join(folder, path), { recursive: true, force: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const child = spawn(process.execPath, [...RUNTIME_FLAGS, "src/main.ts", "serve"], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  let port = "";
  for await (const line of createInterface({ input: child.stdout })) {
    port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? "";
    if (port !== "") break;
  }
  child.stdout.resume();
  const health = async (of: string): Promise<unknown> => {
    const args = ["deploy/docker/healthcheck.mjs"];
    const asked = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, NEXUSCORE_HTTP_PORT: of },
      stdio: "ignore",
    });
    return (await once(asked, "exit"))[0];
  };
  assert.equal(await health(port), 0);
  assert.equal(await health("9"), 1, "nobody listens there");
  child.kill("SIGTERM");
  assert.deepEqual(await exit, [0, null]);
});

test("Kubernetes: kustomize builds it, and each object says what the policy wants", (t) => {
  const folder = join(ROOT, "deploy/kubernetes");
  let text: string;
  if (has("kubectl")) {
    const built = spawnSync("kubectl", ["kustomize", folder], {
      encoding: "utf8",
      timeout: TOOL_MS_MAX,
    });
    assert.equal(built.status, 0, built.stderr);
    text = built.stdout;
  } else {
    t.diagnostic("kubectl is not installed: the files are read one by one");
    const { resources } = parse(read("deploy/kubernetes/kustomization.yaml")) as {
      resources: string[];
    };
    text = resources.map((path) => readFileSync(join(folder, path), "utf8")).join("\n---\n");
  }
  const objects = parseAllDocuments(text).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as KubernetesObject;
  });
  const kinds = objects.map(({ kind }) => kind);
  for (const kind of ["StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy"]) {
    assert(kinds.includes(kind), kind);
  }
  const set = objects.find(({ kind }) => kind === "StatefulSet")!.spec;
  const { template, replicas } = set;
  const [container] = template.spec.containers;
  assert.equal(replicas, 1);
  assert.equal(template.spec.securityContext.runAsNonRoot, true);
  assert.deepEqual(container!.securityContext.capabilities, { drop: ["ALL"] });
  assert.equal(container!.securityContext.readOnlyRootFilesystem, true);
  assert.equal(container!.readinessProbe.httpGet.path, "/readyz");
  assert.equal(container!.livenessProbe.httpGet.path, "/livez");
  const waitedS = Number(container!.lifecycle.preStop.exec.command[1]);
  assert(template.spec.terminationGracePeriodSeconds * 1_000 > waitedS * 1_000 + DRAIN_MS);
});

type Probe = { readonly httpGet: { readonly path: string } };
type KubernetesObject = {
  readonly kind: string;
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly securityContext: { readonly runAsNonRoot: boolean };
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly {
          readonly securityContext: {
            readonly capabilities: object;
            readonly readOnlyRootFilesystem: boolean;
          };
          readonly readinessProbe: Probe;
          readonly livenessProbe: Probe;
          readonly lifecycle: {
            readonly preStop: { readonly exec: { readonly command: readonly string[] } };
          };
        }[];
      };
    };
  };
};

test("deploy: options that are set are options, and files of them are right", () => {
  const known = new Set<string>(OPTION_NAMES.map((name) => optionSpec(name).environment));
  for (const other of ["NEXUSCORE_CONFIG", "NEXUSCORE_KEY", "NEXUSCORE_URL"]) known.add(other);
  for (const path of globSync("deploy/**/*", { cwd: ROOT })) {
    if (!/\.(service|conf|ya?ml|mjs)$|Dockerfile$/.test(path)) continue;
    const unknown = variablesOf(read(path)).filter((name) => !known.has(name));
    assert.deepEqual(unknown, [], path);
    if (/\.ya?ml$/.test(path)) assert.doesNotThrow(() => parseAllDocuments(read(path)), path);
  }
  const file = join(ROOT, "deploy/kubernetes/nexuscore.yaml");
  assert.doesNotThrow(() => loadConfig({ file, environment: {}, flags: {} }));
});

test("compose: it waits for the drain, and drops what it does not need", () => {
  const { services } = parse(read("deploy/docker/compose.yaml")) as {
    services: { nexuscore: { stop_grace_period: string; cap_drop: string[]; read_only: boolean } };
  };
  const { stop_grace_period: grace, cap_drop: dropped, read_only: isReadOnly } = services.nexuscore;
  assert(Number.parseInt(grace, 10) * 1_000 > DRAIN_MS);
  assert.deepEqual(dropped, ["ALL"]);
  assert.equal(isReadOnly, true);
});
