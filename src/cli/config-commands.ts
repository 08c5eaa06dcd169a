/** `nexuscore config`: print the options, describe them, check a file of them. */
import { ConfigError } from "#config/config-error.ts";
import { loadConfig } from "#config/load.ts";
import { defaultOf, OPTION_NAMES, optionSpec, writtenValue } from "#config/options.ts";
import { printConfig, printDefaults } from "#config/print.ts";
import { schemaText } from "#config/schema.ts";
import { nearMiss } from "#std/near-miss.ts";
import type { Command } from "commander";
import { type ConfigFlags, configOf, example, withConfig } from "./config-flags.ts";
import { print, printJson } from "./terminal.ts";

const EXIT_MISTAKES = 2;

export function addConfig(program: Command, setExitCode: (code: number) => void): void {
  const config = program
    .command("config")
    .summary("print, describe or check the options")
    .description("Options.");
  addPrint(config);
  addCheck(config, setExitCode);
  config
    .command("schema")
    .summary("print the JSON Schema of the file, for editors")
    .description("Prints the JSON Schema of the file of options.")
    .addHelpText("after", example("nexuscore config schema > config.schema.json"))
    .action(() => print(schemaText()));
}

function addPrint(config: Command): void {
  const command = config
    .command("print")
    .summary("print the options in force, or all defaults")
    .description("Prints the options in force and where each comes from.")
    .option("--default", "print all defaults as a commented YAML file")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore config print --default > nexuscore.yaml"))
    .action((options: ConfigFlags & { default?: boolean; json?: boolean }) => {
      if (options.default === true) {
        const defaults = OPTION_NAMES.map((name) => [name, writtenValue(defaultOf(name))]);
        if (options.json === true) printJson(Object.fromEntries(defaults));
        else print(printDefaults());
        return;
      }
      const loaded = configOf(options);
      const { config } = loaded;
      const values = OPTION_NAMES.map((name) => [name, writtenValue(config[name])]);
      if (options.json === true) printJson({ ...loaded, config: Object.fromEntries(values) });
      else print(printConfig(loaded));
    });
  withConfig(command, OPTION_NAMES);
}

function addCheck(config: Command, setExitCode: (code: number) => void): void {
  config
    .command("check")
    .argument("[file]", "by default that of NEXUSCORE_CONFIG, else nexuscore.yaml; - is stdin")
    .summary("say whether a server would take a file and the environment")
    .description("Checks a file of options together with the environment, and starts nothing.")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore config check /etc/nexuscore/nexuscore.yaml"))
    .action((file: string | undefined, { json }: { json?: boolean }) => {
      const report = checkConfig(file, process.env);
      if (json === true) printJson(report);
      else print(reportText(report));
      setExitCode(report.ok ? 0 : EXIT_MISTAKES);
    });
}

export type ConfigReport = {
  readonly ok: boolean;
  /** Undefined: there was none, or it could not be read. */
  readonly file: string | undefined;
  /** Options that are not at their default. */
  readonly setCount: number;
  readonly mistakes: readonly { readonly code: string; readonly message: string }[];
  /** Not wrong, but hardly meant. */
  readonly warnings: readonly string[];
};

function checkConfig(file: string | undefined, environment: Environment): ConfigReport {
  const warnings = strangersOf(environment);
  try {
    const loaded = loadConfig({ file: file === "-" ? STDIN : file, environment, flags: {} });
    const isSet = (name: (typeof OPTION_NAMES)[number]): boolean =>
      !loaded.origins[name].startsWith("as ") && loaded.config[name] !== defaultOf(name);
    const setCount = OPTION_NAMES.filter(isSet).length;
    return { ok: true, file: loaded.file, setCount, mistakes: [], warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const mistakes = error.mistakes.map(({ code, message }) => ({ code, message }));
    return { ok: false, file, setCount: 0, mistakes, warnings };
  }
}

const STDIN = "/dev/stdin";

type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "NEXUSCORE_";

/** Variables that nobody reads, but that are nearly those of an option. */
function strangersOf(environment: Environment): string[] {
  const known = OPTION_NAMES.map((name) => optionSpec(name).environment.slice(PREFIX.length));
  return Object.keys(environment).flatMap((variable) => {
    const rest = variable.slice(PREFIX.length);
    if (!variable.startsWith(PREFIX) || known.includes(rest) || NO_OPTIONS.test(rest)) return [];
    const near = nearMiss(rest, known);
    return near === undefined ? [] : [`${variable} is not read; did you mean ${PREFIX}${near}?`];
  });
}

/** Keys, and what Kubernetes tells every process of a service that is called nexuscore. */
const NO_OPTIONS = /(^|_)KEY$|^CONFIG$|^(SERVICE|PORT)(_|$)/;

function reportText({ ok, file, setCount, mistakes, warnings }: ConfigReport): string {
  const noted = warnings.map((warning) => `warning: ${warning}`);
  if (!ok) return [...mistakes.map(({ message }) => message), ...noted].join("\n");
  const place =
    file === undefined ? "There is no file of options; the environment is" : `${file} is`;
  return [`${place} fine; options that are not at their default: ${setCount}.`, ...noted].join(
    "\n",
  );
}
