/** `nexuscore serve`: the server, until it is told to stop. */
import { ConfigError } from "#config/config-error.ts";
import type { Config } from "#config/options.ts";
import type { LoadedConfig } from "#config/load.ts";
import { StorageError } from "#engine/storage-error.ts";
import { openLog, type Log } from "#observe/log.ts";
import closeWithGrace from "close-with-grace";
import { startApplication, type Application } from "./application.ts";
import { Client } from "./client.ts";
import { reload } from "./reload.ts";
import { factsOf, startupCard, startupFields } from "./startup-card.ts";
import { CliError, goOnWithoutReaders, print, say } from "./terminal.ts";
import { urlHost } from "./url.ts";
import { logWarnings } from "./warnings.ts";

/** npm, the launcher and the terminal each pass one Ctrl-C on; that is one wish, not three. */
const SAME_SIGNAL_MS = 500;

/** `read` reads the options again, as they are then. */
export async function serve(config: Config, read: () => LoadedConfig): Promise<void> {
  goOnWithoutReaders();
  const log = openLog(config.logLevel, process.stdout);
  logWarnings(log);
  const { promise: started, resolve: tell } = Promise.withResolvers<Application>();
  // Of a terminal it says that the terminal is gone, and with it whoever watched.
  const reloads = !process.stdin.isTTY && !process.stdout.isTTY;
  if (reloads) {
    // From the start: unheard, it would end the process.
    process.on("SIGHUP", () => void started.then(({ live }) => reload(live, read, log)));
  }
  const application = await startOrExplain(config, log).catch((error: unknown) => {
    // If a thread is left by a start that failed, the process ends all the same, with its code.
    setTimeout(() => process.exit(), FAILED_START_MS).unref();
    throw error;
  });
  tell(application);
  announce(application, config, log);
  await untilStopped(application, log, reloads ? STOP_SIGNALS : [...STOP_SIGNALS, "SIGHUP"]);
}

const FAILED_START_MS = 5_000;
const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Starts engine and HTTP; what people often run into becomes one line with the way out. */
export async function startOrExplain(config: Config, log: Log): Promise<Application> {
  try {
    return await startApplication(config, log);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (error instanceof StorageError) throw new CliError(error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    const { httpHost, httpPort } = config;
    const place = `${httpHost}:${httpPort}`;
    if (code === "EADDRINUSE") {
      const probe = await new Client(`http://${urlHost(httpHost)}:${httpPort}`).probe();
      const who = probe === "ours" ? "a running NexusCore" : "another program";
      const way = `stop it, or choose another port: --http-port ${httpPort + 1}`;
      throw new CliError(`${place} is taken by ${who}; ${way}`);
    }
    if (code === "EACCES") {
      throw new CliError(`${place} needs rights that this user lacks; use a port from 1024 on`);
    }
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
      throw new CliError(`${httpHost} is no address of this machine; use --http-host 127.0.0.1`);
    }
    throw new CliError(`the engine did not start: ${message}`);
  }
}

function announce(application: Application, config: Config, log: Log): void {
  const facts = factsOf(application);
  if (process.stdout.isTTY) print(startupCard(facts, config));
  else log.info(startupFields(facts, config), "serving");
}

/**
 * Stops on a signal: what was taken is answered and on disk, then the process ends with 0. A second
 * signal ends it at once, and so does a stop that takes longer than drainMsMax; both end with 1.
 */
export async function untilStopped(
  application: Application,
  log: Log,
  signals: readonly NodeJS.Signals[] = [...STOP_SIGNALS, "SIGHUP"],
): Promise<never> {
  const grace = closeWithGrace(
    { delay: false, logger: false, skip: ["SIGINT", "SIGTERM", "SIGHUP", "beforeExit"] },
    async ({ err }) => {
      if (err !== undefined) log.fatal({ err }, "a bug: stopping");
      const { drainMsMax } = application.live.current;
      const startMs = performance.now();
      setTimeout(() => {
        // Acknowledged events are in the log, so the next start has them.
        const way = "acknowledged events are kept; what else was under way is not";
        if (process.stdout.isTTY) say(`Cut after ${drainMsMax} ms: ${way}.`);
        else log.error({ drainMsMax, code: "drainTooLong" }, `the stop took too long: ${way}`);
        process.exit(1);
      }, drainMsMax);
      await application.stop(startMs + drainMsMax);
      const tookMs = Math.round(performance.now() - startMs);
      if (process.stdout.isTTY) print("Stopped.");
      else log.info({ tookMs }, "stopped");
    },
  );
  let firstMs: number | undefined;
  for (const signal of signals) {
    process.on(signal, () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        if (process.stdout.isTTY) print("\nStopping; once more to force it.");
        else log.info({ signal }, "stopping");
        grace.close();
      } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
        log.warn({ signal }, "told to stop again: ends at once");
        process.exit(1);
      }
    });
  }
  return new Promise<never>(() => {
    // Ends with the process.
  });
}
