/**
 * `nexuscore stand-in`: a server with the form of a language model and nothing of its mind, so that
 * everything around one can be tried without one.
 */
import { type Fault, FAULTS, type Plan } from "#stand-in/faults.ts";
import { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import { openLog } from "#observe/log.ts";
import closeWithGrace from "close-with-grace";
import { CliError, goOnWithoutReaders, print, style } from "./terminal.ts";

export const STAND_IN_MODEL = "stand-in";
/** The only key that it takes; without one it takes any. */
export const STAND_IN_KEY_VARIABLE = "NEXUSCORE_STAND_IN_API_KEY";

export type StandInSettings = {
  /** 0: one that is free. */
  readonly port: number;
  /** The median; one in a hundred takes some three times as long. */
  readonly latencyMs: number;
  /** Share of the requests that go wrong, in a way that is drawn. */
  readonly faultRate: number;
  readonly seed: number;
  readonly apiKey: string | undefined;
};

const SPREAD = 0.5;
/** How a server is set up does not change from request to request; and these two take for ever. */
const FAULTS_NOT_DRAWN: readonly Fault[] = [
  "wrongKey",
  "unknownModel",
  "redirect",
  "huge",
  "dripping",
];

export async function startStandIn(settings: StandInSettings): Promise<StandInUpstream> {
  const { port, seed, apiKey } = settings;
  return StandInUpstream.start({
    port,
    seed,
    model: STAND_IN_MODEL,
    keepsSeen: false,
    plan: planOf(settings),
    ...(apiKey === undefined ? {} : { apiKey }),
  });
}

export function planOf({ latencyMs, faultRate }: StandInSettings): Plan {
  const drawn = FAULTS.filter((fault) => !FAULTS_NOT_DRAWN.includes(fault));
  const share = faultRate / drawn.length;
  const faults = faultRate === 0 ? [] : drawn.map((fault) => [fault, share] as const);
  return {
    latency: { medianMs: latencyMs, spread: SPREAD },
    faults: Object.fromEntries(faults),
  };
}

/** Runs until it is told to stop. */
export async function standIn(settings: StandInSettings): Promise<never> {
  goOnWithoutReaders();
  const upstream = await startOrExplain(settings);
  announce(upstream.baseUrl, settings);
  closeWithGrace({ delay: 2_000, logger: false, skip: ["beforeExit"] }, async () => {
    await upstream.stop();
    if (process.stdout.isTTY) print(`Stopped after ${upstream.requestCount} requests.`);
  });
  return new Promise<never>(() => {
    // Ends with the process.
  });
}

async function startOrExplain(settings: StandInSettings): Promise<StandInUpstream> {
  try {
    return await startStandIn(settings);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const { port } = settings;
    if (code !== "EADDRINUSE") throw new CliError(`no port for it: ${message}`);
    throw new CliError(`127.0.0.1:${port} is taken; choose another port: --port ${port + 1}`);
  }
}

function announce(baseUrl: string, { latencyMs, faultRate, seed, apiKey }: StandInSettings): void {
  if (!process.stdout.isTTY) {
    const facts = { url: baseUrl, model: STAND_IN_MODEL, latencyMs, faultRate, seed };
    openLog("info", process.stdout).info(facts, "standing in for a language model");
    return;
  }
  const faults = faultRate === 0 ? "none" : `${Math.round(faultRate * 100)} % of the requests`;
  const key = apiKey === undefined ? "any, or none" : `that of ${STAND_IN_KEY_VARIABLE}`;
  print(`${style("bold", "This stands in for a language model.")} It is none: it knows a few words.

  Address     ${style("cyan", baseUrl)}
  Model       ${STAND_IN_MODEL}
  Key         ${key}
  Latency     ${latencyMs} ms, the median
  Faults      ${faults}, seed ${seed}

  Try it, in another terminal:
    NEXUSCORE_LLM_BASE_URL=${baseUrl} \\
      NEXUSCORE_LLM_MODEL=${STAND_IN_MODEL} npx nexuscore serve

  Ctrl-C stops.`);
}
