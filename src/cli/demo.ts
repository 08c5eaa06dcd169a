/**
 * `nexuscore demo`: the server with a synthetic community talking to it, and its TL;DRs as they
 * change.
 */
import type { Config } from "#config/options.ts";
import { WINDOW_MS } from "#model/limits.ts";
import { openLog } from "#observe/log.ts";
import { renderCard } from "./card.ts";
import { Client } from "./client.ts";
import { Community, type CommunityMessage } from "./community.ts";
import { IN_MEMORY } from "#review/database.ts";
import { startOrExplain, untilStopped } from "./serve.ts";
import { goOnWithoutReaders, print, style } from "./terminal.ts";
import { VERSION } from "./version.ts";

const TALK_MS = 250;
const SHOW_MS = 4_000;
/** Talk of the past that is sent at once, so that the windows are full when somebody looks. */
const BACKLOG_MS = WINDOW_MS - 2_000;

export async function demo(config: Config, seed: number): Promise<void> {
  goOnWithoutReaders();
  const log = openLog(config.logLevel === "info" ? "warn" : config.logLevel);
  const application = await startOrExplain({ ...config, dataDir: IN_MEMORY }, log);
  const client = new Client(application.url);
  const community = new Community(seed, Date.now() - BACKLOG_MS);
  const tenants = community.tenants;
  let stopped = false;
  const failed = (err: unknown): void => {
    if (!stopped) log.warn({ err }, "the demo's community could not talk");
  };
  const talk = async (): Promise<void> => send(client, community.messagesUntil(Date.now()));
  await talk();
  const title = style("bold", `NexusCore ${VERSION} demo`);
  print(`${title}, seed ${seed}: ${tenants.length} channels talk.

  API         ${style("cyan", application.url)}
  Reference   ${style("cyan", `${application.url}/docs`)}
  Follow one  curl -N ${application.url}/v1/tenants/${tenants[0]}/live

  Ctrl-C stops.
`);
  const shown = new Map<string, string>();
  let turn = 0;
  const show = async (): Promise<void> => {
    const tenant = tenants[turn++ % tenants.length] ?? "";
    const answer = await client.trending(tenant, 10);
    if (answer.tldr.text === shown.get(tenant)) return;
    shown.set(tenant, answer.tldr.text);
    print(
      renderCard(answer, { time: new Date(answer.asOfMs).toTimeString().slice(0, 8), itemsMax: 4 }),
    );
  };
  const timers = [every(TALK_MS, talk, failed), every(SHOW_MS, show, failed)];
  await show();
  const stop = async (): Promise<void> => {
    stopped = true;
    for (const timer of timers) clearInterval(timer);
    await application.stop();
  };
  await untilStopped({ ...application, stop }, log);
}

async function send(client: Client, messages: readonly CommunityMessage[]): Promise<void> {
  const tenants = Map.groupBy(messages, ({ tenant }) => tenant);
  await Promise.all(
    [...tenants].map(([tenant, own]) =>
      client.postEvents(tenant, own.map(({ event }) => JSON.stringify(event)).join("\n")),
    ),
  );
}

/** Calls `act` again and again, never twice at once. */
function every(
  intervalMs: number,
  act: () => Promise<void>,
  failed: (error: unknown) => void,
): NodeJS.Timeout {
  let acting = false;
  return setInterval(() => {
    if (acting) return;
    acting = true;
    act()
      .catch(failed)
      .finally(() => (acting = false));
  }, intervalMs);
}
