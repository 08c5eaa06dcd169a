/** The stand-in for a language model as a process beside what is measured. */
import { Child } from "./child.ts";
import type {
  UpstreamChildSettings,
  UpstreamListening,
  UpstreamTallied,
  UpstreamTally,
} from "./children/llm-upstream.ts";

const PROGRAM = new URL("children/llm-upstream.ts", import.meta.url);

export class UpstreamChild {
  readonly port: number;
  readonly #child: Child;

  private constructor(child: Child, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(settings: UpstreamChildSettings): Promise<UpstreamChild> {
    const child = await Child.start(PROGRAM);
    child.send({ type: "listen", settings });
    const { port } = await child.next<UpstreamListening>("listening");
    return new UpstreamChild(child, port);
  }

  /** From now on, requests whose markers begin so are never answered. */
  async stall(beginnings: readonly string[]): Promise<void> {
    this.#child.send({ type: "stall", stalled: beginnings });
    await this.#child.next("stall");
  }

  async tally(): Promise<UpstreamTally> {
    return (await this.#child.ask<UpstreamTallied>({ type: "tally" })).tally;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
