/** The process: runs the command line and ends with its exit code. */
import { runCli } from "#cli/cli.ts";

process.exitCode = await runCli(process.argv.slice(2));
