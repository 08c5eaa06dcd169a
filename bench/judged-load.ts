/** Loads a server with messages to judge, from processes beside it, phase by phase. */
import { Child } from "./child.ts";
import type {
  BuiltMessage,
  JudgeLoadResult,
  JudgeLoadSettings,
  JudgePhase,
  LoadedMessage,
  SentMessage,
} from "./children/judge-load.ts";
import type { Target } from "./served-load.ts";
import { threadUsages, usageBetween } from "./threads.ts";

const GENERATOR = new URL("children/judge-load.ts", import.meta.url);
const SHARD_THREAD = /^shard-/;

export type JudgedPhase = JudgeLoadResult & {
  /** Of the server meanwhile: its whole process, and of that its shards' threads. */
  readonly cpuSeconds: number;
  readonly shardCpuSeconds: number;
  readonly residentMb: number;
};

export class JudgedLoad {
  readonly #target: Target;
  readonly #generator: Child;

  private constructor(target: Target, generator: Child) {
    this.#target = target;
    this.#generator = generator;
  }

  static async start(
    target: Target,
    settings: Omit<JudgeLoadSettings, "port">,
  ): Promise<JudgedLoad> {
    const generator = await Child.start(GENERATOR);
    generator.send({ type: "load", settings: { ...settings, port: target.port } });
    await generator.next<LoadedMessage>("loaded");
    return new JudgedLoad(target, generator);
  }

  /** Makes the requests, so that `go` sends nothing but them. */
  async build(phase: JudgePhase): Promise<void> {
    this.#generator.send({ type: "build", phase });
    await this.#generator.next<BuiltMessage>("built");
  }

  async go(): Promise<JudgedPhase> {
    const { child } = this.#target;
    const threadsBefore = threadUsages(child.processId);
    const before = await child.usage();
    this.#generator.send({ type: "go" });
    const sent = this.#generator.next<SentMessage>("sent");
    const { result } = await child.orDeath(sent, "verdicts");
    const after = await child.usage();
    const threads = usageBetween(threadsBefore, threadUsages(child.processId));
    let shardCpuSeconds = 0;
    for (const [name, seconds] of threads) if (SHARD_THREAD.test(name)) shardCpuSeconds += seconds;
    const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
    return { ...result, cpuSeconds, shardCpuSeconds, residentMb: after.residentMb };
  }

  async run(phase: JudgePhase): Promise<JudgedPhase> {
    await this.build(phase);
    return this.go();
  }

  async stop(): Promise<void> {
    await this.#generator.stop();
  }
}
