/**
 * Child processes of a benchmark: started with the flags of the product, spoken to in messages, and
 * always stopped, by their ids and no other way.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { LoopDelays, Usage } from "./children/leash.ts";

const LEASH = new URL("children/leash.ts", import.meta.url).href;
/** After this a child that was asked to end is ended. */
const STOP_MS_MAX = 5_000;
/** Of what a child says on standard error, the end is kept for the message if it dies. */
const COMPLAINT_CHARACTERS_MAX = 2_000;

type Message = { readonly type: string };

const running = new Set<Child>();

/** Ends every child that is left; for the `finally` of a run. */
export async function stopAllChildren(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop()));
}

export class Child {
  readonly process: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<void>;
  readonly #messages: Message[] = [];
  readonly #waiters: { type: string; resolve: (message: Message) => void }[] = [];
  #complaint = "";

  private constructor(name: string, process: ChildProcess) {
    this.#name = name;
    this.process = process;
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT_CHARACTERS_MAX);
    });
    process.on("message", (message: Message) => this.#take(message));
    this.#exited = new Promise<void>((resolve) => {
      process.once("exit", () => resolve());
      process.once("error", () => resolve());
    }).then(() => void running.delete(this));
    running.add(this);
  }

  /** Runs a TypeScript file with the product's flags; `program` is a path or a URL. */
  static async start(
    program: URL | string,
    args: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Child> {
    const file = program instanceof URL ? program.pathname : program;
    const flags = [...(await runtimeFlags()), "--import", LEASH];
    const child = spawn(process.execPath, [...flags, file, ...args], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined, ...environment },
    });
    return new Child(`${file.split("/").at(-1)}`, child);
  }

  /** Starts `program`, hands it its settings, returns its figures, ends it. */
  static async measure<Figures>(program: URL, settings: object): Promise<Figures> {
    const child = await Child.start(program);
    try {
      child.send({ type: "measure", settings });
      const { figures } = await child.next<{ type: "measured"; figures: Figures }>("measured");
      return figures;
    } finally {
      await child.stop();
    }
  }

  get ended(): boolean {
    return !running.has(this);
  }

  get processId(): number {
    return this.process.pid!;
  }

  send(message: Message & Readonly<Record<string, unknown>>): void {
    this.process.send(message);
  }

  /** The next message of this type; rejects, with its last words, when the child ends before. */
  async next<T extends Message>(type: T["type"]): Promise<T> {
    const index = this.#messages.findIndex((message) => message.type === type);
    if (index !== -1) return this.#messages.splice(index, 1)[0] as T;
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiters.push({ type, resolve });
    return (await this.orDeath(promise, type)) as T;
  }

  /** `promise`, unless the child ends before it; `what` names in the error what was waited for. */
  orDeath<T>(promise: Promise<T>, what: string): Promise<T> {
    const died = this.#exited.then((): never => {
      const words = this.#complaint === "" ? "" : `: ${this.#complaint}`;
      throw new Error(`${this.#name} ended before its ${what}${words}`);
    });
    return Promise.race([promise, died]);
  }

  async ask<T extends Message>(message: Message, type: T["type"] = message.type): Promise<T> {
    this.send(message);
    return this.next<T>(type);
  }

  async usage(): Promise<Usage> {
    return (await this.ask<{ type: "usage"; usage: Usage }>({ type: "usage" })).usage;
  }

  /** Begins to look at the event loop of its main thread; `loopDelays` ends that. */
  watchLoop(): void {
    this.send({ type: "watchLoop" });
  }

  async loopDelays(): Promise<LoopDelays> {
    type Answer = { type: "loopDelays"; loopDelays: LoopDelays };
    return (await this.ask<Answer>({ type: "loopDelays" })).loopDelays;
  }

  /** SIGTERM, then SIGKILL; resolves once it is gone. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGTERM");
      const timer = setTimeout(() => this.process.kill("SIGKILL"), STOP_MS_MAX);
      await this.#exited;
      clearTimeout(timer);
    }
    running.delete(this);
  }

  #take(message: Message): void {
    const index = this.#waiters.findIndex(({ type }) => type === message.type);
    if (index === -1) this.#messages.push(message);
    else this.#waiters.splice(index, 1)[0]!.resolve(message);
  }
}

/** The V8 flags of the launcher: a benchmark without them would measure another product. */
export async function runtimeFlags(): Promise<readonly string[]> {
  const launcher = (await import(new URL("../bin/runtime.mjs", import.meta.url).href)) as {
    RUNTIME_FLAGS: readonly string[];
  };
  return launcher.RUNTIME_FLAGS;
}
