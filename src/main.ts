/** The process: runs the command line and ends with its exit code. */
import { runCli } from "#cli/cli.ts";

// The launcher holds the other end; when it was killed, this process has nobody left to work for.
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();

process.exitCode = await runCli(process.argv.slice(2));
