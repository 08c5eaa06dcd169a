/**
 * What may be depended upon: licences that ask for no more than to be named, exact versions, no
 * scripts at an install, bytes that the lock knows. Pure, so that a test can break each rule.
 */

type Locked = {
  readonly version?: string;
  readonly license?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly cpu?: readonly string[];
  readonly os?: readonly string[];
};

/** Of an installed package: its manifest, and whether it comes with a NOTICE. */
export type Installed = {
  readonly license?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly hasNotice: boolean;
};

export type DependencyFacts = {
  readonly manifest: Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;
  readonly lock: { readonly packages: Readonly<Record<string, Locked>> };
  /** docs/dependencies.md. */
  readonly page: string;
  readonly notice: string;
  /** By the path of the lock; undefined: not installed, as another platform's is not. */
  readonly installed: (path: string) => Installed | undefined;
};

const KINDS = ["dependencies", "optionalDependencies", "devDependencies"] as const;
const LICENCES = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];
/** As free as those: of packages that ours bring along. */
const TRANSITIVE = [...LICENCES, "BlueOak-1.0.0", "CC0-1.0"];
/** Tools that nobody who runs the product installs. */
const DEVELOPMENT = [...TRANSITIVE, "Apache-2.0 WITH LLVM-exception", "Python-2.0", "Unlicense"];
/** Development packages whose manifest names no licence; their LICENSE file is the one named. */
const UNNAMED: Readonly<Record<string, string>> = {
  "@bytecodealliance/componentize-js": "Apache-2.0 WITH LLVM-exception",
  "@bytecodealliance/componentize-js-0-19-3": "Apache-2.0 WITH LLVM-exception",
};
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall"];

/** What is against the rules, each in a sentence; nothing: all is well. */
export function dependencyFaults(facts: DependencyFacts): string[] {
  const { manifest, lock } = facts;
  const faults: string[] = [];
  for (const kind of KINDS) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      faults.push(...directFaults(name, version, facts));
    }
  }
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (path !== "") faults.push(...lockedFaults(path, locked, facts));
  }
  return faults;
}

function directFaults(name: string, version: string, { lock, page }: DependencyFacts): string[] {
  const faults: string[] = [];
  if (!/^\d+\.\d+\.\d+$/.test(version)) faults.push(`${name}: ${version} is no exact version.`);
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) return [...faults, `${name}: the lock does not know it.`];
  if (locked.version !== version) {
    faults.push(`${name}: ${version} is wanted, and ${locked.version} is locked.`);
  }
  const line = page
    .split("\n")
    .find((each) => each.startsWith("|") && each.includes(`\`${name}\``));
  const licence = licenceOf(name, locked);
  if (line === undefined) faults.push(`${name}: has no line in docs/dependencies.md.`);
  else if (!line.includes(`| ${licence} |`)) {
    faults.push(`${name}: is ${licence}, and docs/dependencies.md says otherwise.`);
  }
  return faults;
}

function lockedFaults(path: string, locked: Locked, facts: DependencyFacts): string[] {
  const faults: string[] = [];
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const licence = licenceOf(name, locked);
  const allowed = locked.dev === true ? DEVELOPMENT : TRANSITIVE;
  if (!allowed.includes(licence)) faults.push(`${path}: its licence is ${licence || "not named"}.`);
  if (locked.hasInstallScript === true) faults.push(`${path}: runs a script when it is installed.`);
  if (locked.link === true) faults.push(`${path}: is a link, and no package.`);
  if (locked.resolved !== undefined && !locked.resolved.startsWith("https://")) {
    faults.push(`${path}: comes from ${locked.resolved}, not from a registry.`);
  }
  // Of other platforms' packages a registry may lack some, and with them the hash.
  const isElsewhere = locked.optional === true && (locked.os ?? locked.cpu) !== undefined;
  const installed = facts.installed(path);
  if (
    locked.integrity?.startsWith("sha512-") !== true &&
    (!isElsewhere || installed !== undefined)
  ) {
    faults.push(`${path}: the lock has no hash of it.`);
  }
  if (installed !== undefined) faults.push(...installedFaults(path, name, installed, facts));
  return faults;
}

function installedFaults(
  path: string,
  name: string,
  installed: Installed,
  { lock, notice }: DependencyFacts,
): string[] {
  const faults: string[] = [];
  const locked = lock.packages[path]!;
  const licence = licenceOf(name, { license: textOf(installed.license) });
  if (licence !== licenceOf(name, locked)) {
    faults.push(`${path}: says ${licence || "no licence"} itself, and the lock another.`);
  }
  const script = INSTALL_SCRIPTS.find((each) => installed.scripts?.[each] !== undefined);
  if (script !== undefined && locked.dev !== true) faults.push(`${path}: has a script ${script}.`);
  if (installed.hasNotice && locked.dev !== true && !notice.includes(name)) {
    faults.push(`${path}: comes with a NOTICE, and ours does not name it.`);
  }
  return faults;
}

/** Of old manifests it is an object. */
function textOf(licence: unknown): string {
  return typeof licence === "string" ? licence : "";
}

function licenceOf(name: string, { license = "" }: Locked): string {
  const plain = license.replaceAll(/^\((.*)\)$/g, "$1");
  return plain === "" || plain === "undefined" ? (UNNAMED[name] ?? "") : plain;
}
