/** Loads a server from a process beside it, and measures the server meanwhile. */
import { Child } from "./child.ts";
import type { BuiltMessage, LoadResult, LoadSettings, SentMessage } from "./children/load.ts";
import { threadUsages, usageBetween } from "./threads.ts";

const GENERATOR = new URL("children/load.ts", import.meta.url);

export type Target = { readonly child: Child; readonly port: number };

export type LoadRun = {
  /** Of the timed part alone. */
  readonly result: LoadResult;
  /** Of the warm-up and the timed part. */
  readonly accepted: number;
  readonly counted: number;
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  readonly residentMb: number;
  /** CPU seconds by name of thread; empty where there is no /proc. */
  readonly threads: ReadonlyMap<string, number>;
  readonly loadCpuSeconds: number;
};

/** Sends `warmEvents` untimed, then the rest of the events; the generator is gone afterwards. */
export async function loadTarget(
  target: Target,
  settings: Omit<LoadSettings, "port">,
  warmEvents = 0,
): Promise<LoadRun> {
  const generator = await Child.start(GENERATOR);
  try {
    generator.send({ type: "load", settings: { ...settings, port: target.port } });
    await generator.next<BuiltMessage>("built");
    const warm = warmEvents > 0 ? await send(generator, warmEvents) : undefined;
    const threadsBefore = threadUsages(target.child.processId);
    const [before, loadBefore] = await Promise.all([target.child.usage(), generator.usage()]);
    const result = await target.child.orDeath(send(generator, settings.events), "answers");
    const [after, loadAfter] = await Promise.all([target.child.usage(), generator.usage()]);
    const threads = usageBetween(threadsBefore, threadUsages(target.child.processId));
    const accepted = result.accepted + (warm?.accepted ?? 0);
    const uncounted = [result, warm].map((part) => (part?.late ?? 0) + (part?.duplicates ?? 0));
    return {
      result,
      accepted,
      counted: accepted - uncounted[0]! - uncounted[1]!,
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      contextSwitches: after.contextSwitches - before.contextSwitches,
      residentMb: after.residentMb,
      threads,
      loadCpuSeconds: loadAfter.cpuSeconds - loadBefore.cpuSeconds,
    };
  } finally {
    await generator.stop();
  }
}

async function send(generator: Child, events: number): Promise<LoadResult> {
  generator.send({ type: "send", events });
  return (await generator.next<SentMessage>("sent")).result;
}
