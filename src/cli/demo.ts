/**
 * `nexuscore demo`: the server with a synthetic community talking to it, and its TL;DRs as they
 * change.
 */
import type { Config } from "#config/options.ts";
import { ofJob } from "#config/llm-options.ts";
import { JOBS } from "#model/consultation.ts";
import { WINDOW_MS } from "#model/limits.ts";
import { type Log, openLog } from "#observe/log.ts";
import type { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import type { Application } from "./application.ts";
import { renderCard } from "./card.ts";
import { Client } from "./client.ts";
import { Community, type CommunityMessage } from "./community.ts";
import { IN_MEMORY } from "#review/database.ts";
import { llmWords } from "./llm-settings.ts";
import { renderLine, upstreamWords } from "./moderate.ts";
import { startOrExplain, untilStopped } from "./serve.ts";
import { STAND_IN_MODEL, startStandIn } from "./stand-in.ts";
import { goOnWithoutReaders, harmless, print, style, wrap } from "./terminal.ts";
import { VERSION } from "./version.ts";

const TALK_MS = 250;
const SHOW_MS = 4_000;
/** Talk of the past that is sent at once, so that the windows are full when somebody looks. */
const BACKLOG_MS = WINDOW_MS - 2_000;
/** How long what is shown waits for the words of a language model, where there is one. */
const TLDR_WAIT_MS = 2_000;
/** With a language model: how often one is asked about a message, and what it is like. */
const REVIEW_MS = 7_000;
const STAND_IN = { port: 0, latencyMs: 400, faultRate: 0.03 } as const;
/** What is not as it looks, some of it in the light of what was said before. */
const DOUBTFUL = [
  { before: undefined, text: "you absolute idiot, lol, we did it" },
  { before: "they should be deported, all of them", text: "exactly, well said" },
  { before: undefined, text: "this keeper is trash and so is whoever pays him" },
  { before: "the build is green again", text: "yes!" },
  { before: undefined, text: "i will find you after the match" },
] as const;

export type DemoOptions = {
  readonly seed: number;
  /** What stands in for a language model is asked; else one is only if the options name it. */
  readonly standsIn: boolean;
};

export async function demo(config: Config, { seed, standsIn }: DemoOptions): Promise<void> {
  goOnWithoutReaders();
  const log = openLog(config.logLevel === "info" ? "warn" : config.logLevel);
  const upstream = standsIn
    ? await startStandIn({ ...STAND_IN, seed, apiKey: undefined })
    : undefined;
  const asked = upstream === undefined ? config : asking(upstream.baseUrl, config);
  const application = await started({ ...asked, dataDir: IN_MEMORY }, log, upstream);
  const client = new Client(application.url);
  const community = new Community(seed, Date.now() - BACKLOG_MS);
  const tenants = community.tenants;
  let stopped = false;
  const failed = (err: unknown): void => {
    if (!stopped) log.warn({ err }, "the demo's community could not talk");
  };
  const timers: NodeJS.Timeout[] = [];
  const stop = async (): Promise<void> => {
    stopped = true;
    for (const timer of timers) clearInterval(timer);
    await application.stop();
    await upstream?.stop();
  };
  const end = untilStopped({ ...application, stop }, log);
  const talk = async (): Promise<void> => send(client, community.messagesUntil(Date.now()));
  await talk();
  const title = style("bold", `NexusCore ${VERSION} demo`);
  print(`${title}, seed ${seed}: ${tenants.length} channels talk.

  API         ${style("cyan", application.url)}
  Reference   ${style("cyan", `${application.url}/docs`)}
  Model       ${standsIn ? standInWords() : llmWords(application.llm, config)}
  Follow one  curl -N ${application.url}/v1/tenants/${tenants[0]}/live

  Ctrl-C stops.
`);
  const shown = new Map<string, string>();
  let turn = 0;
  const show = async (): Promise<void> => {
    const tenant = tenants[turn++ % tenants.length] ?? "";
    const answer = await client.trending(tenant, 10, TLDR_WAIT_MS);
    if (answer.tldr.text === shown.get(tenant)) return;
    shown.set(tenant, answer.tldr.text);
    print(
      renderCard(answer, { time: new Date(answer.asOfMs).toTimeString().slice(0, 8), itemsMax: 4 }),
    );
  };
  timers.push(every(TALK_MS, talk, failed), every(SHOW_MS, show, failed));
  if (application.llm?.jobs.moderation !== undefined) {
    const review = await reviewer(client, tenants);
    timers.push(every(REVIEW_MS, review, failed));
  }
  await show().catch(failed);
  await end;
}

/** What stands in would keep a process alive that could not start. */
async function started(
  config: Config,
  log: Log,
  upstream: StandInUpstream | undefined,
): Promise<Application> {
  try {
    return await startOrExplain(config, log);
  } catch (error) {
    await upstream?.stop();
    throw error;
  }
}

/** The same options, with all jobs at the address. */
function asking(baseUrl: string, config: Config): Config {
  const changes = JOBS.flatMap((job) => [
    [ofJob("llmBaseUrl", job), baseUrl],
    [ofJob("llmModel", job), STAND_IN_MODEL],
    [ofJob("llmStructuredOutput", job), "schema"],
    [ofJob("llmExtra", job), ""],
  ]);
  return {
    ...config,
    llmJobs: JOBS.join(","),
    llmBaseUrl: baseUrl,
    ...(Object.fromEntries(changes) as Partial<Config>),
  };
}

function standInWords(): string {
  return "a stand-in that knows a few words; some of its answers fail";
}

/** The model is asked about every message; what is returned sends one and shows the verdict. */
async function reviewer(client: Client, tenants: readonly string[]): Promise<() => Promise<void>> {
  const policy = { consult: { mode: "all" } };
  await Promise.all(tenants.map(async (tenant) => client.putPolicy(tenant, policy)));
  let turn = 0;
  return async () => {
    const tenant = tenants[turn % tenants.length]!;
    const { before, text } = DOUBTFUL[turn % DOUBTFUL.length]!;
    const conversation = `demo-${turn}`;
    turn += 1;
    if (before !== undefined) {
      await client.moderate(tenant, { conversation, user: "mallory", text: before });
    }
    const verdict = await client.moderate(tenant, { conversation, user: "trent", text });
    const why = `${upstreamWords(verdict) ?? "no model was asked"}. ${verdict.reason}`;
    const line = renderLine(verdict, `${tenant}: ${text}`);
    print(`${line}\n${style("dim", wrap(harmless(why), "  "))}\n\n`);
  };
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
