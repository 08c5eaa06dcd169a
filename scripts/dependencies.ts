// `npm run dependencies`: whether what we depend on keeps the rules (dependency-rules.ts), and, as
// far as the registry answers, whether a weakness is known of something that users install.
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { dependencyFaults, type DependencyFacts, type Installed } from "./dependency-rules.ts";

const ROOT = resolve(import.meta.dirname, "..");
const AUDIT_MS_MAX = 30_000;
const SEVERE = ["high", "critical"] as const;

function factsOf(root: string): DependencyFacts {
  const json = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));
  return {
    manifest: json("package.json") as DependencyFacts["manifest"],
    lock: json("package-lock.json") as DependencyFacts["lock"],
    page: readFileSync(join(root, "docs/dependencies.md"), "utf8"),
    notice: readFileSync(join(root, "NOTICE"), "utf8"),
    installed: (path) => {
      if (!existsSync(join(root, path, "package.json"))) return undefined;
      const manifest = json(join(path, "package.json")) as Omit<Installed, "hasNotice">;
      const hasNotice = globSync("{NOTICE,Notice,notice}*", { cwd: join(root, path) }).length > 0;
      return { ...manifest, hasNotice };
    },
  };
}

type Audit = {
  readonly metadata?: { readonly vulnerabilities: Readonly<Record<string, number>> };
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
};

/** What is known against packages of the run time; nothing, where the registry does not answer. */
async function auditFaults(): Promise<string[]> {
  const words = ["audit", "--omit=dev", "--json"];
  const options = { cwd: ROOT, timeout: AUDIT_MS_MAX, maxBuffer: 64 << 20 };
  let text: string;
  try {
    text = (await promisify(execFile)("npm", words, options)).stdout;
  } catch (error) {
    // It ends with a failure where it found something, and where it could not look.
    text = (error as { stdout?: string }).stdout ?? "";
  }
  let audit: Audit = {};
  try {
    audit = JSON.parse(text) as Audit;
  } catch {
    // Not the answer of an audit.
  }
  if (audit.metadata === undefined) {
    process.stderr.write("npm audit: the registry does not answer it; nothing was looked up.\n");
    return [];
  }
  const severe = Object.entries(audit.vulnerabilities ?? {}).filter(([, { severity }]) =>
    SEVERE.some((each) => each === severity),
  );
  return severe.map(([name, { severity }]) => `${name}: npm audit knows a weakness, ${severity}.`);
}

const faults = [...dependencyFaults(factsOf(ROOT)), ...(await auditFaults())];
for (const fault of faults) process.stderr.write(`${fault}\n`);
if (faults.length > 0) process.exitCode = 1;
else
  process.stderr.write(
    "Dependencies: licences, versions, hashes and notices are as they should.\n",
  );
