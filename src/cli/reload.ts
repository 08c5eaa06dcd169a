/** SIGHUP: the options are read again, and those that may change while the server runs do. */
import { ConfigError } from "#config/config-error.ts";
import type { LiveConfig, Taken } from "#config/live.ts";
import type { LoadedConfig } from "#config/load.ts";
import type { Log } from "#observe/log.ts";

/** All or nothing: whatever is wrong with the new options, the old ones stay. */
export function reload(live: LiveConfig, read: () => LoadedConfig, log: Log): Taken | undefined {
  let loaded: LoadedConfig;
  try {
    loaded = read();
  } catch (error) {
    const isOurs = error instanceof ConfigError;
    const mistakes = isOurs ? error.mistakes.map(({ message }) => message) : [String(error)];
    log.error({ mistakes }, "options not read again: they have mistakes, nothing has changed");
    return undefined;
  }
  const { logLevel } = live.current;
  const taken = live.take(loaded.config);
  const { changed, needRestart } = taken;
  const facts = { file: loaded.file, changed, needRestart };
  // Said before a level that would hide it, and after one that shows it.
  if (logLevel !== "silent" && logLevel !== "error") log.level = "info";
  if (needRestart.length > 0) log.warn(facts, "options read again; some need a restart");
  else log.info(facts, "options read again");
  log.level = live.current.logLevel;
  return taken;
}
