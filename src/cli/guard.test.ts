import { ConfigError } from "#config/config-error.ts";
import { loadConfig } from "#config/load.ts";
import type { Config, OptionName } from "#config/options.ts";
import { newKey } from "#keys/key-text.ts";
import { openLog } from "#observe/log.ts";
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { datagramsOff, Guard } from "./guard.ts";

const LOG = openLog("silent");
const PROVIDER = { oidcIssuer: "https://login.example/", oidcAudience: "nexuscore" };

function configOf(flags: Partial<Record<OptionName, string>>): Config {
  return loadConfig({ file: undefined, environment: {}, flags: { dataDir: ":memory:", ...flags } })
    .config;
}

function guardOf(t: TestContext, flags: Partial<Record<OptionName, string>>): Guard {
  const guard = Guard.ofConfig(configOf(flags), LOG);
  t.after(() => guard.close());
  return guard;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-guard-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("guard: an address that others reach needs a key or a provider, this machine none", (t) => {
  for (const httpHost of ["127.0.0.1", "127.1.2.3", "localhost", "::1"]) {
    const guard = guardOf(t, { httpHost });
    assert.ok(guard.isOpen && guard.access.isLoopback, httpHost);
  }
  const folder = folderOf(t);
  for (const httpHost of ["0.0.0.0", "::", "192.0.2.1", "nexus.example", "127.0.0.1.example"]) {
    const open = (dataDir: string) => () => Guard.ofConfig(configOf({ httpHost, dataDir }), LOG);
    assert.throws(open(":memory:"), /nexuscore key generate/, httpHost);
    const quoted = join(folder, "it's here");
    assert.throws(open(quoted), (error) => {
      assert.ok(error instanceof ConfigError);
      const folderWord = `'${quoted.replace("'", String.raw`'\''`)}'`;
      assert.ok(error.message.includes(`--tenants '*' --data-dir ${folderWord}\n`), error.message);
      return true;
    });
    assert.equal(guardOf(t, { httpHost, ...PROVIDER }).isOpen, false);
  }
});

test("guard: options of a provider that would let the wrong ones in are refused", () => {
  const wrong: [Partial<Record<OptionName, string>>, RegExp][] = [
    [{ oidcIssuer: "https://login.example/" }, /no audience: set NEXUSCORE_OIDC_AUDIENCE/],
    [{ oidcAudience: "nexuscore" }, /no provider: set NEXUSCORE_OIDC_ISSUER/],
    [{ ...PROVIDER, oidcIssuer: "http://login.example/" }, /oidcIssuer must be https/],
    [{ ...PROVIDER, oidcJwksUrl: "http://login.example/k" }, /oidcJwksUrl must be https/],
    [{ ...PROVIDER, oidcIssuer: "https://u:p@login.example/" }, /oidcIssuer must be https/],
  ];
  for (const [flags, message] of wrong) assert.throws(() => configOf(flags), message);
  assert.equal(configOf({ ...PROVIDER, oidcIssuer: "http://127.0.0.1:1/" }).oidcClaim, "nexuscore");
});

test("guard: datagrams are taken where nobody needs a key, or somebody asked for them", (t) => {
  const offOf = (flags: Partial<Record<OptionName, string>>): string | undefined =>
    datagramsOff(configOf(flags), guardOf(t, flags));
  assert.equal(offOf({}), undefined);
  assert.match(offOf({ datagrams: "off" })!, /as configured/);
  const file = join(folderOf(t), "key");
  writeFileSync(file, `${newKey().text}\n`);
  const keyed = { bootstrapKeyFile: file };
  assert.match(offOf(keyed)!, /there are keys; --datagrams on/);
  assert.match(offOf({ ...keyed, httpHost: "0.0.0.0" })!, /carry no key/);
  assert.match(offOf(PROVIDER)!, /carry no key/);
  for (const asked of [{ datagrams: "on" }, { udpHost: "0.0.0.0" }, { udpPort: "9" }]) {
    assert.equal(offOf({ ...keyed, ...asked }), undefined, JSON.stringify(asked));
  }
});

test("guard: of a first key that everybody may read it is said, once", (t) => {
  const lines: string[] = [];
  const log = openLog("warn", { write: (line: string) => void lines.push(line) });
  const folder = folderOf(t);
  const start = (name: string, mode: number): string => {
    const file = join(folder, name);
    writeFileSync(file, `${newKey().text}\n`);
    chmodSync(file, mode);
    const config = configOf({ bootstrapKeyFile: file, dataDir: join(folder, `${name}.data`) });
    for (let i = 0; i < 2; i++) Guard.ofConfig(config, log).close();
    return lines.splice(0).join("");
  };
  assert.equal(start("own", 0o600), "");
  assert.equal(start("group", 0o640), "");
  const told = start("all", 0o644);
  assert.equal(told.split("everybody on this machine may read").length, 2);
  assert.doesNotMatch(told, /nxc_/);
});
