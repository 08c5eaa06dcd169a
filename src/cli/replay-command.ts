/**
 * `nexuscore replay`: finds or starts a server, replays into it, prints what trended and the
 * totals.
 */
import type { Config } from "#config/options.ts";
import { openLog, type Log } from "#observe/log.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import type { Application } from "./application.ts";
import { renderCard } from "./card.ts";
import { Client } from "./client.ts";
import { UNDATED_DAY_MS } from "./log-files.ts";
import { replay, type ReplayOptions, type ReplayTotals } from "./replay.ts";
import { IN_MEMORY } from "#review/database.ts";
import { startOrExplain, untilStopped } from "./serve.ts";
import { CliError, formatCount, print, printJson, progress, say, style } from "./terminal.ts";
import { urlHost } from "./url.ts";

export type ReplayCommand = ReplayOptions & {
  readonly url: string | undefined;
  readonly json: boolean;
  /** Whether a server started for this replay stays until it is stopped. */
  readonly keep: boolean;
};

const DAY_MS = 24 * 60 * 60_000;
const PROGRESS_MS = 200;

export async function replayCommand(config: Config, command: ReplayCommand): Promise<void> {
  const { json, keep } = command;
  const log = openLog(config.logLevel === "info" ? "warn" : config.logLevel);
  const { client, application } = await findServer(config, command, log);
  const startedMs = performance.now();
  let shownMs = 0;
  const secondsSoFar = (): number => (performance.now() - startedMs) / 1_000;
  try {
    const totals = await replay(client, command, {
      look: (answer) => {
        progress("");
        if (json) printJson({ kind: "look", logTimeMs: answer.asOfMs, trending: answer });
        else print(renderCard(answer, { time: logTime(answer) }));
      },
      progress: ({ events }) => {
        if (performance.now() - shownMs < PROGRESS_MS) return;
        shownMs = performance.now();
        progress(`${formatCount(events)} events, ${formatCount(events / secondsSoFar())} a second`);
      },
    });
    progress("");
    report(totals, secondsSoFar(), json);
    if (keep && application !== undefined) {
      say(`The server stays at ${application.url} until Ctrl-C.`);
      await untilStopped(application, log);
    }
  } finally {
    await application?.stop();
  }
}

type Found = { readonly client: Client; readonly application: Application | undefined };

/**
 * The server of --url; else the one at the configured address; else one of our own, for this run.
 */
async function findServer(config: Config, { url, json }: ReplayCommand, log: Log): Promise<Found> {
  if (url !== undefined) {
    const client = new Client(url);
    if ((await client.probe()) === "ours") return { client, application: undefined };
    throw new CliError(`no NexusCore at ${url}; leave --url out to replay without a server`);
  }
  const configured = new Client(`http://${urlHost(config.httpHost)}:${config.httpPort}`);
  const probe = config.httpPort === 0 ? "nobody" : await configured.probe();
  if (probe === "ours") {
    if (!json) say(`Replaying into the server at ${configured.url}.`);
    return { client: configured, application: undefined };
  }
  const httpPort = probe === "other" ? 0 : config.httpPort;
  // It is the log's alone, so nobody else is to be spared.
  const own = { ...config, httpPort, dataDir: IN_MEMORY, quotaCpuMsPerSecond: Infinity };
  const application = await startOrExplain(own, log);
  if (!json) say(`No server is running: this replay has its own at ${application.url}.`);
  return { client: new Client(application.url), application };
}

/** The window's end in the log's time; a log without a date has only the time of day. */
function logTime({ asOfMs }: TrendingAnswer): string {
  const iso = new Date(asOfMs).toISOString();
  const day = Math.floor((asOfMs - UNDATED_DAY_MS) / DAY_MS);
  const undated = day >= 0 && day < 366;
  return undated ? iso.slice(11, 16) : `${iso.slice(0, 10)} ${iso.slice(11, 16)}`;
}

function report(totals: ReplayTotals, seconds: number, json: boolean): void {
  const { events, accepted, rejected, late, duplicates, errors, skipped } = totals;
  const eventsPerSecond = Math.round(events / seconds);
  if (json) {
    printJson({ kind: "summary", ...totals, seconds, eventsPerSecond });
    return;
  }
  const { tenants, looks, trendingLooks } = totals;
  const names = tenants.slice(0, 5).join(", ") + (tenants.length > 5 ? ", …" : "");
  const whose = tenants.length === 1 ? "tenant" : `${tenants.length} tenants:`;
  const fates = { accepted, rejected, late, duplicates };
  const counts = Object.entries(fates).map(([fate, count]) => `${fate} ${formatCount(count)}`);
  print(`${style("bold", "Replayed")} ${formatCount(events)} events of ${whose} ${names}
  ${counts.join(", ")}
  something trended at ${formatCount(trendingLooks)} of ${formatCount(looks)} looks
  ${seconds.toFixed(1)} s, ${formatCount(eventsPerSecond)} events a second`);
  for (const [code, count] of Object.entries(errors)) say(`  rejected: ${code}, ${count} listed`);
  for (const [reason, count] of Object.entries(skipped)) {
    say(`  not usable: ${formatCount(count)} records with ${reason}`);
  }
  if (late > accepted / 2) {
    say("  Most were late: the tenant has seen newer messages. Use --tenant with a new name.");
  }
}
