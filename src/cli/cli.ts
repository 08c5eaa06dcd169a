/** The command line: what can be called, how it is explained, and with which code it ends. */
import { ConfigError } from "#config/config-error.ts";
import { OPTION_NAMES } from "#config/options.ts";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { addBackup, addInspect, addRestore } from "./operation-commands.ts";
import {
  integerFrom,
  parseSeconds,
  parseShare,
  parseSpeed,
  parseTenant,
  parseUrl,
  portOf,
} from "./arguments.ts";
import { AnswerError, keyAdvice } from "./client.ts";
import { addConfig } from "./config-commands.ts";
import { type ConfigFlags, configOf, example, withConfig } from "./config-flags.ts";
import { addKey } from "./key-commands.ts";
import { REPLAY_HELP, STAND_IN_HELP } from "./help-texts.ts";
import { addModerate, addReviews, addSummary, addTap } from "./tenant-commands.ts";
import { CliError, COLUMNS, print, printJson, say, stayQuietOnClosedPipes } from "./terminal.ts";
import { VERSION } from "./version.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/**
 * Runs one command; resolves with the exit code. Commands that serve end the process themselves.
 */
export async function runCli(args: readonly string[]): Promise<number> {
  stayQuietOnClosedPipes();
  let exitCode = 0;
  const program = buildProgram((code) => (exitCode = code));
  try {
    refuseUnknownCommand(program, args[0]);
    refuseKeys(args);
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return explain(error);
  }
}

/**
 * Commander has said what was wrong; of our own errors one line is said here. A bug keeps its
 * stack.
 */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof ConfigError) {
    for (const { message, code } of error.mistakes) say(`nexuscore: ${message} (${code})`);
    return EXIT_USAGE;
  }
  if (error instanceof CliError) {
    say(`nexuscore: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof AnswerError) {
    const { message, status, code } = error;
    say(`nexuscore: the server refused: ${message} (${status} ${code})${keyAdvice(status)}`);
    return EXIT_FAILED;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_FAILED;
}

/** With a default command, an unknown word would be taken for its argument. */
function refuseUnknownCommand(program: Command, word: string | undefined): void {
  if (word === undefined || word.startsWith("-")) return;
  const names = program.commands.map((command) => command.name());
  if (word === "help" || names.includes(word)) return;
  throw new CliError(
    `no command ${JSON.stringify(word)}; there are ${names.join(", ")}`,
    EXIT_USAGE,
  );
}

/** A key is told to nobody, and an unknown option would be repeated. */
function refuseKeys(args: readonly string[]): void {
  if (args.some((arg) => arg.includes("nxc_"))) {
    throw new CliError(
      "a key is never an argument, as others can see those; set NEXUSCORE_KEY",
      EXIT_USAGE,
    );
  }
  const flag = args.map((arg) => /^--llm-[\w-]*key(?==|$)/.exec(arg)?.[0]).find(Boolean);
  if (flag === undefined) return;
  const option = flag.endsWith("-api-key") ? flag : "--llm-api-key";
  const variable = `NEXUSCORE_${option.slice(2).toUpperCase().replaceAll("-", "_")}`;
  const way = `set ${variable}, or name a file with ${option}-file`;
  throw new CliError(`${flag}: a key is never a flag, as others can see those; ${way}`, EXIT_USAGE);
}

export function buildProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("nexuscore")
    .description("Live trends and summaries of many tenants, in one process.")
    .version(VERSION, "-V, --version", "print the version")
    .configureHelp({
      helpWidth: COLUMNS,
      minWidthToWrap: 30,
      showGlobalOptions: false,
      subcommandTerm,
    })
    .helpOption("-h, --help", "explain")
    .helpCommand("help [command]", "explain a command")
    .exitOverride()
    .showHelpAfterError("(--help explains)");
  addServe(program);
  addDemo(program);
  addReplay(program);
  addTap(program);
  addSummary(program);
  addModerate(program);
  addReviews(program);
  addStandIn(program);
  addKey(program);
  addBackup(program);
  addRestore(program);
  addInspect(program);
  addDoctor(program, setExitCode);
  addBench(program, setExitCode);
  addConfig(program, setExitCode);
  addComponent(program, setExitCode);
  return program.addHelpText(
    "after",
    example("nexuscore demo", "nexuscore serve --http-port 8080"),
  );
}

/** Without `[options]`, which all have: there is room for the sentence then. */
function subcommandTerm(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  return command.name() + names.join("");
}

function addServe(program: Command): void {
  const command = program
    .command("serve", { isDefault: true })
    .summary("run the server (the default)")
    .description("Runs the server until Ctrl-C.")
    .addHelpText("after", example("nexuscore serve", "nexuscore serve --config nexuscore.yaml"))
    .action(async (options: ConfigFlags) => {
      const { serve } = await import("./serve.ts");
      await serve(configOf(options).config, () => configOf(options));
    });
  withConfig(command, OPTION_NAMES);
}

function addDemo(program: Command): void {
  const command = program
    .command("demo")
    .summary("run the server with a synthetic community")
    .description(
      "Runs the server with four channels of invented chat, and shows what it makes of them.",
    )
    .option("--seed <number>", "the same seed, the same talk (default: a new one)", integerFrom(0))
    .addOption(
      new Option("--llm <name>", "ask what stands in for a language model").choices(["stand-in"]),
    )
    .addHelpText("after", example("nexuscore demo --seed 7", "nexuscore demo --llm stand-in"))
    .action(async (options: ConfigFlags & { seed?: number; llm?: string }) => {
      const { demo } = await import("./demo.ts");
      // Without a seed the day's talk differs; it is printed, so that it can be had again.
      const seed = options.seed ?? Date.now() % 100_000;
      const { config } = configOf(options);
      await demo(config, { seed, standsIn: options.llm === "stand-in" });
    });
  withConfig(command, OPTION_NAMES);
}

type ReplayFlags = ConfigFlags & {
  speed?: number;
  tenant?: string;
  url?: string;
  every?: number;
  limit?: number;
  json?: boolean;
  keep?: boolean;
};

function addReplay(program: Command): void {
  const minute = 60_000;
  const command = program
    .command("replay")
    .argument("<path...>", "log files, or folders of them")
    .summary("feed chat logs and show what trended when")
    .description("Feeds chat logs to a server and shows what trended, minute by minute.")
    .option("--speed <times>", "1: as it was, N times as fast, or max (the default)", parseSpeed)
    .option("--tenant <id>", "one tenant for everything", parseTenant)
    .option("--url <url>", "of a running server", parseUrl)
    .option("--every <seconds>", "show every such step of log time, trends or not", parseSeconds)
    .option("--limit <number>", "stop after so many messages", integerFrom(1))
    .option("--keep", "a server of its own stays until Ctrl-C")
    .option("--json", "one JSON object a line")
    .addHelpText("after", REPLAY_HELP)
    .addHelpText(
      "after",
      example("nexuscore replay '2008-12-11-#ubuntu.txt'", "nexuscore replay logs/ --speed 60"),
    )
    .action(async (paths: string[], options: ReplayFlags) => {
      const { replayCommand } = await import("./replay-command.ts");
      await replayCommand(configOf(options).config, {
        paths,
        tenant: options.tenant,
        speed: options.speed ?? Infinity,
        everyMs: options.every ?? minute,
        everyLook: options.every !== undefined,
        limit: options.limit ?? Infinity,
        url: options.url,
        json: options.json === true,
        keep: options.keep === true,
      });
    });
  withConfig(command, OPTION_NAMES);
}

type StandInFlags = { port: number; latency: number; faultRate: number; seed: number };

function addStandIn(program: Command): void {
  program
    .command("stand-in")
    .summary("stand in for a language model, to try one without")
    .description(
      "Runs a server that answers like a language model of OpenAI's form, by word lists: enough " +
        "to see what consulting one does, late answers and faults included. It is no model.",
    )
    .option("--port <number>", "where it listens, on 127.0.0.1; 0: a free one", portOf, 7080)
    .option("--latency <ms>", "the median of what an answer takes", integerFrom(0), 300)
    .option("--fault-rate <share>", "of the requests that go wrong, 0 to 1", parseShare, 0)
    .option("--seed <number>", "the same seed, the same latencies and faults", integerFrom(0), 1)
    .addHelpText("after", STAND_IN_HELP)
    .addHelpText(
      "after",
      example("nexuscore stand-in", "nexuscore stand-in --latency 2000 --fault-rate 0.1"),
    )
    .action(async ({ port, latency: latencyMs, faultRate, seed }: StandInFlags) => {
      const { standIn, STAND_IN_KEY_VARIABLE } = await import("./stand-in.ts");
      const key = process.env[STAND_IN_KEY_VARIABLE] ?? "";
      const apiKey = key === "" ? undefined : key;
      await standIn({ port, latencyMs, faultRate, seed, apiKey });
    });
}

function addDoctor(program: Command, setExitCode: (code: number) => void): void {
  const command = program
    .command("doctor")
    .summary("check this machine and installation")
    .description(
      "Checks machine, disk, ports, keys, component and language model, which it asks; says " +
        "how to fix what is wrong.",
    )
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore doctor"))
    .action(async (options: ConfigFlags & { json?: boolean }) => {
      const { renderChecks } = await import("./check.ts");
      const { examine } = await import("./doctor.ts");
      const checks = await examine(configOf(options).config);
      const ok = checks.every(({ status }) => status !== "fail");
      if (options.json === true) printJson({ ok, checks });
      else print(renderChecks(checks));
      setExitCode(ok ? 0 : EXIT_FAILED);
    });
  withConfig(command, OPTION_NAMES);
}

function addBench(program: Command, setExitCode: (code: number) => void): void {
  const collect = (text: string, all: Record<string, string>): Record<string, string> => {
    const [, name, value] = /^([A-Za-z]\w*)=(.+)$/.exec(text) ?? [];
    if (name === undefined || value === undefined)
      throw new InvalidArgumentError("Use name=value.");
    return { ...all, [name]: value };
  };
  program
    .command("bench")
    .argument("<scenario>", "its name, or list")
    .summary("measure this machine")
    .description("Runs a benchmark scenario; list names them.")
    .option("--set <name=value>", "a parameter of the scenario; repeatable", collect, {})
    .option("--quick", "a small run that proves nothing but that it works")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore bench list", "nexuscore bench density --json"))
    .action(
      async (
        scenario: string,
        options: { set: Record<string, string>; quick?: boolean; json?: boolean },
      ) => {
        const { runBenchmark } = await import("./bench.ts");
        const { set: parameters, quick, json } = options;
        setExitCode(
          await runBenchmark(scenario, { parameters, quick: quick === true, json: json === true }),
        );
      },
    );
}

function addComponent(program: Command, setExitCode: (code: number) => void): void {
  const component = program
    .command("component")
    .summary("work with tenants' components")
    .description("Tenants' components.");
  component
    .command("check")
    .argument("<file>", "a Wasm component")
    .summary("say whether a component would be admitted")
    .description("Says whether a component would be admitted, and if not, why.")
    .option("--json", "one JSON object")
    .addHelpText("after", example("nexuscore component check summarize.component.wasm"))
    .action(async (file: string, options: { json?: boolean }) => {
      const { checkComponent } = await import("./component.ts");
      setExitCode(await checkComponent(file, options.json === true));
    });
}
