/** Commands that make and end keys. */
import { isScopeEntry, type Role, ROLE_NAMES } from "#model/access.ts";
import { KEY_OVERLAP_MS_DEFAULT } from "#model/limits.ts";
import { type Command, InvalidArgumentError } from "commander";
import { parseUrl } from "./arguments.ts";
import { addressOf, type ConfigFlags, configOf, example, withConfig } from "./config-flags.ts";
import type { KeyTarget } from "./key.ts";

const WHERE = ["dataDir", "httpHost", "httpPort"] as const;
const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type TargetFlags = ConfigFlags & { url?: string; json?: boolean };
type CreateFlags = TargetFlags & {
  role: Role[];
  tenants: string[];
  expires?: (nowMs: number) => number;
  note?: string;
};

export function addKey(program: Command): void {
  const key = program
    .command("key")
    .summary("make, list, rotate and revoke keys")
    .description("Keys: who may open the server, and what for.")
    .addHelpText("after", example("nexuscore key create --role admin --tenants '*'"));
  addCreate(key);
  addChanges(key);
  key
    .command("generate")
    .summary("print a key that is kept nowhere")
    .description("Prints a new key and keeps nothing: for --bootstrap-key-file.")
    .addHelpText("after", example("nexuscore key generate > admin.key"))
    .action(async () => {
      const { generateKey } = await import("./key.ts");
      generateKey();
    });
}

function addCreate(key: Command): void {
  const create = key
    .command("create")
    .summary("make one; its text is printed once")
    .description("Makes a key: by the server if one runs, in its file if none does.")
    .requiredOption("--role <names>", `what for: ${ROLE_NAMES.join(", ")}; with commas`, parseRoles)
    .requiredOption("--tenants <ids>", "ids, prefixes as shop-*, or *; with commas", parseScope)
    .option("--expires <time>", "after 90d or 12h, or at 2027-01-01 (default: never)", parseExpiry)
    .option("--note <text>", "what it is for, or whose")
    .addHelpText(
      "after",
      example(
        "nexuscore key create --role admin --tenants '*'",
        "nexuscore key create --role tenantWrite --tenants acme --expires 90d",
      ),
    )
    .action(async (options: CreateFlags) => {
      const { createKey } = await import("./key.ts");
      const { role: roles, tenants, note, expires } = options;
      const expiresMs = expires?.(Date.now());
      await createKey(await targetOf(options), {
        roles,
        tenants,
        ...(note === undefined ? {} : { note }),
        ...(expiresMs === undefined ? {} : { expiresMs }),
      });
    });
  withTarget(create);
}

function addChanges(key: Command): void {
  const list = key
    .command("list")
    .summary("show which there are, without secrets")
    .description("Shows the keys, the newest first: none of them with its secret.")
    .addHelpText("after", example("nexuscore key list"))
    .action(async (options: TargetFlags) => {
      const { listKeys } = await import("./key.ts");
      await listKeys(await targetOf(options));
    });
  withTarget(list);
  const rotate = key
    .command("rotate")
    .argument("<id>", "of the key")
    .summary("give one a new secret")
    .description("Gives a key a new secret; the one before opens for a while more.")
    .option(
      "--overlap <time>",
      "how long, as 24h or 0s (default: 24h)",
      parseTime,
      KEY_OVERLAP_MS_DEFAULT,
    )
    .addHelpText("after", example("nexuscore key rotate 3kT9xQ2mZ7aB --overlap 1h"))
    .action(async (id: string, options: TargetFlags & { overlap: number }) => {
      const { rotateKey } = await import("./key.ts");
      await rotateKey(await targetOf(options), id, options.overlap);
    });
  withTarget(rotate);
  const revoke = key
    .command("revoke")
    .argument("<id>", "of the key")
    .summary("end one at once")
    .description("Revokes a key: from then on it opens nothing.")
    .addHelpText("after", example("nexuscore key revoke 3kT9xQ2mZ7aB"))
    .action(async (id: string, options: TargetFlags) => {
      const { revokeKey } = await import("./key.ts");
      await revokeKey(await targetOf(options), id);
    });
  withTarget(revoke);
}

function withTarget(command: Command): void {
  command
    .option("--url <url>", "of the server, if not the configured one", parseUrl)
    .option("--json", "one JSON object a key");
  withConfig(command, WHERE);
}

async function targetOf(options: TargetFlags): Promise<KeyTarget> {
  const loaded = configOf(options);
  const named = options.url ?? process.env["NEXUSCORE_URL"];
  return {
    config: loaded.config,
    url: options.url ?? (await addressOf(loaded)),
    isNamed: named !== undefined && named !== "",
    json: options.json === true,
  };
}

function parseRoles(text: string): Role[] {
  return partsOf(text).map((part) => {
    if (ROLE_NAMES.includes(part as Role)) return part as Role;
    throw new InvalidArgumentError(`Use ${ROLE_NAMES.join(", ")}.`);
  });
}

function parseScope(text: string): string[] {
  return partsOf(text).map((part) => {
    if (isScopeEntry(part)) return part;
    throw new InvalidArgumentError("Use tenants' ids, prefixes as shop-*, or * in quotes.");
  });
}

function partsOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** From now on, or until a day begins in UTC. */
function parseExpiry(text: string): (nowMs: number) => number {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) {
    const atMs = Date.parse(text);
    if (!Number.isNaN(atMs)) return () => atMs;
  }
  const ms = timeOf(text);
  if (ms !== undefined) return (nowMs) => nowMs + ms;
  throw new InvalidArgumentError("Use a time such as 90d or 12h, or a day such as 2027-01-01.");
}

function parseTime(text: string): number {
  const ms = timeOf(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError("Use a time such as 24h, 30m or 0s.");
}

function timeOf(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * UNITS[unit as keyof typeof UNITS];
}
