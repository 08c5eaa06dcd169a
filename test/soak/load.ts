/** Everything that clients do to a server, well and badly, at once and for as long as one likes. */
import { Random } from "#std/random.ts";
import { mutate, noisyEvent } from "#testing/json-noise.ts";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const TENANTS = 64;
/** Names of tenants that come and go. */
const PASSING = 128;
const EVENTS_A_BODY = 50;
const WORDS = "boss fight ice bow potion raid guild idiot thanks crash lag patch trade gold".split(
  " ",
);
const QUESTIONS = [
  "trending?limit=10",
  "summary?window=60s",
  "summary?window=1h",
  "conversations?limit=20",
  "",
] as const;
const PAUSE_MS = 5;

export const KINDS = [
  "events",
  "question",
  "live",
  "moderate",
  "tenant",
  "malformed",
  "slow",
  "raw",
] as const;
export type Kind = (typeof KINDS)[number];

export class SoakLoad {
  readonly counts = new Map<Kind, number>();
  /** By kind and status. */
  readonly statuses = new Map<string, number>();
  readonly #url: string;
  readonly #random: Random;
  #isOver = false;
  #number = 0;

  constructor(url: string, seed: number) {
    this.#url = url;
    this.#random = new Random(seed);
  }

  /** Until `stop` is called. */
  async run(): Promise<void> {
    const actions: Record<Kind, () => Promise<void>> = {
      events: async () => this.#sendEvents(),
      question: async () => this.#ask(),
      live: async () => this.#listen(),
      moderate: async () => this.#moderate(),
      tenant: async () => this.#comeAndGo(),
      malformed: async () => this.#sendNonsense(),
      slow: async () => this.#dawdle(),
      raw: async () => this.#babble(),
    };
    await Promise.all(
      KINDS.flatMap((kind) => [kind, kind]).map(async (kind) => this.#repeat(kind, actions[kind])),
    );
  }

  stop(): void {
    this.#isOver = true;
  }

  async #repeat(kind: Kind, action: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await action();
        this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      } catch {
        // A connection that was cut is the server's right; the counts tell if all were.
        this.#note(kind, 0);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #sendEvents(): Promise<void> {
    const lines = Array.from({ length: EVENTS_A_BODY }, () => JSON.stringify(this.#event()));
    const type = "application/x-ndjson";
    await this.#post("events", `/v1/tenants/${this.#tenant()}/events`, lines.join("\n"), type);
  }

  async #ask(): Promise<void> {
    const question = QUESTIONS[this.#random.below(QUESTIONS.length)]!;
    const path =
      question === "" ? "/v1/tenants?limit=50" : `/v1/tenants/${this.#tenant()}/${question}`;
    const response = await fetch(this.#url + path);
    await response.arrayBuffer();
    this.#note("question", response.status);
  }

  async #listen(): Promise<void> {
    const cut = new AbortController();
    const path = `/v1/tenants/${this.#tenant()}/live`;
    const response = await fetch(this.#url + path, { signal: cut.signal });
    this.#note("live", response.status);
    const reader = response.body!.getReader();
    await reader.read();
    await sleep(this.#random.below(1_500));
    cut.abort();
    await reader.cancel().catch(() => undefined);
  }

  async #moderate(): Promise<void> {
    const messages = Array.from({ length: 1 + this.#random.below(4) }, () => ({
      text: this.#words(),
      user: `u${this.#random.below(40)}`,
      conversation: `c${this.#random.below(20)}`,
    }));
    const path = `/v1/tenants/${this.#tenant()}/moderate`;
    await this.#post("moderate", path, JSON.stringify({ messages }));
  }

  async #comeAndGo(): Promise<void> {
    const path = `/v1/tenants/passing-${this.#random.below(PASSING)}`;
    const headers = { "content-type": "application/json" };
    const put = await fetch(this.#url + path, { method: "PUT", headers, body: '{"clock":"wall"}' });
    await put.arrayBuffer();
    await this.#post("tenant", `${path}/events`, JSON.stringify(this.#event()));
    const gone = await fetch(this.#url + path, { method: "DELETE" });
    await gone.arrayBuffer();
    this.#note("tenant", gone.status);
  }

  async #sendNonsense(): Promise<void> {
    const random = this.#random;
    const bytes = mutate(random, Buffer.from(noisyEvent(random, 30)));
    const doors = ["events", "moderate", "moderations", "policy"];
    const path = `/v1/tenants/${this.#tenant()}/${doors[random.below(doors.length)]}`;
    const headers = { "content-type": "application/json", "content-encoding": "identity" };
    const coded = random.chance(1, 4) ? { ...headers, "content-encoding": "gzip" } : headers;
    const response = await fetch(this.#url + path, {
      method: "POST",
      headers: coded,
      body: Uint8Array.from(bytes),
    });
    await response.arrayBuffer();
    this.#note("malformed", response.status);
  }

  /** A request that does not get to its end: of headers, or of a body; then the client is gone. */
  async #dawdle(): Promise<void> {
    const random = this.#random;
    const head = `POST /v1/tenants/${this.#tenant()}/events HTTP/1.1\r\nHost: localhost\r\n`;
    const whole = `${head}Content-Length: 1000\r\nContent-Type: application/json\r\n\r\n{"text":"`;
    await this.#speak(whole.slice(0, random.below(whole.length)), 200 + random.below(1_500));
  }

  async #babble(): Promise<void> {
    const random = this.#random;
    const bytes = Buffer.from("GET /v1/tenants/t1/summary HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await this.#speak(Buffer.concat([bytes, mutate(random, bytes)]), 50);
  }

  async #speak(words: string | Uint8Array, ms: number): Promise<void> {
    const { hostname, port } = new URL(this.#url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(words);
    await sleep(ms);
    socket.destroy();
  }

  async #post(kind: Kind, path: string, body: string, type = "application/json"): Promise<void> {
    const headers = { "content-type": type };
    const response = await fetch(this.#url + path, { method: "POST", headers, body });
    await response.arrayBuffer();
    this.#note(kind, response.status);
  }

  #note(kind: Kind, status: number): void {
    const key = `${kind} ${status}`;
    this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1);
  }

  #event(): object {
    const random = this.#random;
    return {
      id: `e${this.#number++}`,
      user: `u${random.below(200)}`,
      conversation: `c${random.below(30)}`,
      text: this.#words(),
      metrics: { ms: random.below(1_000) },
    };
  }

  #words(): string {
    const count = 3 + this.#random.below(8);
    return Array.from({ length: count }, () => WORDS[this.#random.below(WORDS.length)]!).join(" ");
  }

  #tenant(): string {
    return `t${this.#random.below(TENANTS)}`;
  }
}
