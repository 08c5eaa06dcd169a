/** Commands of who runs a server: backups, and what is kept of a tenant. */
import type { Command } from "commander";
import { parseTenant, parseUrl } from "./arguments.ts";
import type { BackupTarget } from "./backup.ts";
import { addressOf, type ConfigFlags, configOf, example, withConfig } from "./config-flags.ts";

type BackupFlags = ConfigFlags & { url?: string; json?: boolean };

const URL_WORDS = "of the server, if not the configured one";
const FILES = ["dataDir", "backupDir", "backupKeep", "httpHost", "httpPort"] as const;

export function addBackup(program: Command): void {
  const backup = program
    .command("backup")
    .summary("make, list and verify backups")
    .description("Backups of all that is kept: while a server runs, or without one.");
  const create = backup
    .command("create")
    .summary("make one")
    .description("Makes a backup: by the server if one runs, of the files if none does.")
    .option("--to <folder>", "where to, if not into the configured folder of backups")
    .option("--url <url>", URL_WORDS, parseUrl)
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      example("nexuscore backup create", "nexuscore backup create --to /mnt/b1"),
    )
    .action(async (options: BackupFlags & { to?: string }) => {
      const { createBackup } = await import("./backup.ts");
      await createBackup(await targetOf(options), options.to);
    });
  withConfig(create, FILES);
  const list = backup
    .command("list")
    .summary("show which there are")
    .description("Shows which backups there are, the newest first.")
    .option("--url <url>", URL_WORDS, parseUrl)
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore backup list"))
    .action(async (options: BackupFlags) => {
      const { listAll } = await import("./backup.ts");
      await listAll(await targetOf(options));
    });
  withConfig(list, FILES);
  backup
    .command("verify")
    .argument("<folder>", "of one backup")
    .summary("say whether one can be relied on")
    .description("Reads every byte of a backup, every table, snapshot and block of the log.")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore backup verify .nexuscore/backups/20261121T031500Z"))
    .action(async (folder: string, options: { json?: boolean }) => {
      const { verify } = await import("./backup.ts");
      await verify(folder, options.json === true);
    });
}

export function addRestore(program: Command): void {
  const command = program
    .command("restore")
    .argument("<folder>", "of one backup")
    .summary("put a backup into a data folder")
    .description(
      "Verifies a backup and puts it into the data folder, which no server may use meanwhile.",
    )
    .option("--replace", "what is in the data folder is moved aside first")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore restore /mnt/b1 --data-dir ./restored"))
    .action(
      async (folder: string, options: ConfigFlags & { replace?: boolean; json?: boolean }) => {
        const { restore } = await import("./backup.ts");
        const { replace, json } = options;
        const how = { replaces: replace === true, json: json === true };
        await restore(folder, configOf(options).config, how);
      },
    );
  withConfig(command, ["dataDir", "backupDir"]);
}

export function addInspect(program: Command): void {
  const command = program
    .command("inspect")
    .argument("[tenant]", "its id", parseTenant)
    .summary("show what is kept of a tenant, but nothing that was said")
    .description(
      "Shows a tenant's components, state hashes, snapshots and the turns after them; of a " +
        "running server, or of the files if none runs.",
    )
    .option("--store", "the whole store instead: streams, sizes, what is damaged")
    .option("--url <url>", URL_WORDS, parseUrl)
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore inspect acme", "nexuscore inspect --store"))
    .action(async (tenant: string | undefined, options: BackupFlags & { store?: boolean }) => {
      const { inspectTenant, inspectWholeStore } = await import("./inspect.ts");
      const target = await targetOf(options);
      if (options.store === true) inspectWholeStore(target);
      else if (tenant === undefined) command.error("error: name a tenant, or say --store");
      else await inspectTenant(target, tenant);
    });
  withConfig(command, ["dataDir", "httpHost", "httpPort"]);
}

async function targetOf(options: BackupFlags): Promise<BackupTarget> {
  const loaded = configOf(options);
  const url = options.url ?? (await addressOf(loaded));
  const isNamed = options.url !== undefined || (process.env["NEXUSCORE_URL"] ?? "") !== "";
  return { config: loaded.config, url, isNamed, json: options.json === true };
}
