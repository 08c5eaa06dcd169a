/**
 * The same calls at the same upstream in two other ways, each as lean as it can be, in a process of
 * its own: a promise a call (`fetch`, JSON in, JSON out), and a Wasm guest that JSPI suspends for
 * as long as its call takes. No tenants, no queue, no budgets, no checks, nothing remembered.
 */
import { requestForm } from "#llm/request-form.ts";
import { collectGarbage } from "../allocation.ts";
import { readReason } from "../model-stand-in.ts";
import { quantile } from "../statistics.ts";
import { serveMeasurement } from "./isolates.ts";
import { residentBytes } from "./leash.ts";

export type BaselineSettings = {
  readonly kind: "promise" | "jspi";
  readonly calls: number;
  readonly upstreamMs: number;
  readonly port: number;
  readonly seconds: number;
  readonly tickMs: number;
  /** Of what a tenant says, about. */
  readonly promptBytes: number;
};

export type BaselineFigures = {
  readonly inFlight: number;
  readonly answered: number;
  readonly failed: number;
  readonly crossed: number;
  readonly residentMb: number;
  readonly bytesPerCall: number;
  readonly cpuUsPerCall: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
};

type Mark = { readonly cpuMs: number; readonly begun: number };

const RATE_MORE = 1.02;
const WARM_CALLS = 256;
const KEY = "0123456789abcdef0123";
const CASE_ID = "01234567-1";

/** (import "m" "w" (func (param i32) (result i32))); (func (export "f") …): f(n) is w(n). */
const GUEST = Uint8Array.from(
  Buffer.from(
    "0061736d01000000010601" +
      "60017f017f0207" +
      "01016d01770000" +
      "03020100" +
      "070501016600010a080106" +
      "00200010000b",
    "hex",
  ),
);

serveMeasurement(measure);

async function measure(settings: BaselineSettings): Promise<BaselineFigures> {
  const baseline = new Baseline(settings);
  await baseline.offer(WARM_CALLS);
  return baseline.run();
}

class Baseline {
  readonly #settings: BaselineSettings;
  readonly #url: string;
  readonly #before: string;
  readonly #filler: string;
  readonly #call: (n: number) => Promise<number>;
  readonly #everyMs: number;
  readonly #dueMs: number[] = [];
  #begun = 0;
  #ended = 0;
  #failed = 0;
  #crossed = 0;
  #inFlight = 0;
  #first = Infinity;
  #added: number[] = [];

  constructor(settings: BaselineSettings) {
    const { kind, port, calls, upstreamMs, promptBytes } = settings;
    this.#settings = settings;
    this.#url = `http://127.0.0.1:${port}/v1/chat/completions`;
    this.#everyMs = upstreamMs / (calls * RATE_MORE);
    this.#filler = "well said ".repeat(Math.ceil(promptBytes / 10)).slice(0, promptBytes);
    const { before, after } = requestForm("moderation", {
      model: "stand-in",
      structuredOutput: "schema",
    });
    this.#before = `${before.toString()}256${after.toString()}`;
    const ask = (n: number): Promise<number> => this.#ask(n);
    this.#call = kind === "promise" ? ask : suspended(ask);
  }

  async run(): Promise<BaselineFigures> {
    const { upstreamMs, seconds } = this.#settings;
    collectGarbage();
    const residentBefore = residentBytes();
    const filling = Math.ceil(upstreamMs / this.#everyMs) + 1;
    const timed = Math.ceil((seconds * 1_000) / this.#everyMs);
    this.#first = this.#begun + filling;
    this.#inFlight = 0;
    const marks: Mark[] = [];
    let resident = 0;
    await this.offer(filling + timed, (begun) => {
      if (begun === filling) marks.push(this.#mark());
      if (begun !== filling + timed) return;
      marks.push(this.#mark());
      resident = residentBytes();
    });
    const [from, to] = marks as [Mark, Mark];
    return {
      inFlight: this.#inFlight,
      answered: this.#begun - this.#failed,
      failed: this.#failed,
      crossed: this.#crossed,
      residentMb: resident / 2 ** 20,
      bytesPerCall: (resident - residentBefore) / this.#inFlight,
      cpuUsPerCall: ((to.cpuMs - from.cpuMs) * 1_000) / (to.begun - from.begun),
      addedP50Ms: quantile(Float64Array.from(this.#added), 0.5),
      addedP99Ms: quantile(Float64Array.from(this.#added), 0.99),
    };
  }

  /** So many calls at the even rate, until all of them have ended. */
  async offer(count: number, at: (begun: number) => void = () => undefined): Promise<void> {
    const { tickMs } = this.#settings;
    const startMs = performance.now();
    const over = Promise.withResolvers<void>();
    let begun = 0;
    const ticking = setInterval(() => {
      const tick = Math.floor((performance.now() - startMs) / tickMs);
      const due = Math.min(count, 1 + Math.floor((tick * tickMs) / this.#everyMs));
      for (; begun < due; begun++) {
        at(begun);
        this.#begin(startMs + Math.ceil((begun * this.#everyMs) / tickMs) * tickMs);
      }
      this.#inFlight = Math.max(this.#inFlight, this.#begun - this.#ended);
      if (begun === count) {
        at(begun);
        begun += 1;
      }
      if (this.#ended === this.#begun && begun > count) over.resolve();
    }, tickMs);
    await over.promise;
    clearInterval(ticking);
  }

  #begin(dueMs: number): void {
    const n = this.#begun;
    this.#begun += 1;
    this.#dueMs[n] = dueMs;
    void this.#call(n).then(
      () => (this.#ended += 1),
      () => {
        this.#ended += 1;
        this.#failed += 1;
      },
    );
  }

  async #ask(n: number): Promise<number> {
    const said = `| ${this.#filler} (c${n})`;
    const user = `#${KEY} case ${CASE_ID}\n${said}\n#${KEY} end of case ${CASE_ID}`;
    const body = `${this.#before}${JSON.stringify(user)}}]}`;
    const headers = { "content-type": "application/json" };
    const response = await fetch(this.#url, { method: "POST", headers, body });
    type Completion = { choices: readonly [{ message: { content: string } }] };
    const { choices } = (await response.json()) as Completion;
    type Answers = { answers: readonly [{ reason: string }] };
    const { answers } = JSON.parse(choices[0].message.content) as Answers;
    const read = readReason(answers[0].reason);
    if (read?.marker !== `c${n}`) this.#crossed += 1;
    else if (n >= this.#first) {
      this.#added.push(performance.now() - this.#dueMs[n]! - read.tookMs);
    }
    return n;
  }

  #mark(): Mark {
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1_000, begun: this.#begun };
  }
}

type Jspi = {
  readonly Suspending: new (imported: (n: number) => Promise<number>) => Function;
  readonly promising: (exported: unknown) => (n: number) => Promise<number>;
};

/** The guest's export: each call has a stack of its own until `ask` has its answer. */
function suspended(ask: (n: number) => Promise<number>): (n: number) => Promise<number> {
  const { Suspending, promising } = WebAssembly as unknown as Jspi;
  const module = new WebAssembly.Module(GUEST);
  const { exports } = new WebAssembly.Instance(module, { m: { w: new Suspending(ask) } });
  return promising(exports["f"]);
}
