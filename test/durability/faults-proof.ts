/**
 * A server whose disk fails under load: full, broken, torn, slow, read-only. New events are refused
 * with words; questions, live connections and verdicts go on; once the disk is well events are
 * taken again, without a restart; and of what was acknowledged nothing is lost.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { proof } from "../../scripts/proof.ts";
import { checkAll } from "./crash-check.ts";
import { Knowledge, Load } from "./crash-load.ts";
import { FaultDisk, FAULTS } from "./fault-disk.ts";
import { Served } from "./served.ts";

export const faultsProof = proof({
  sentence: "on a disk that fails nothing acknowledged is lost, and all but new events goes on",
  parameters: {
    rounds: { value: 60, sentence: "how often the disk fails" },
    seed: { value: 1, sentence: "of everything drawn" },
    holdMs: { value: 3_000, sentence: "how long it fails at most; one in ten rounds 14 s" },
  },
  run: async ({ rounds, seed, holdMs }, say) => {
    const random = new Random(seed);
    const run = new FaultRun(seed);
    try {
      await run.begin();
      for (let round = 0; round < rounds; round++) {
        const fault = FAULTS[random.below(FAULTS.length)]!;
        const ms = random.chance(1, 10) ? 14_000 : random.below(holdMs);
        say(`${round}: ${await run.round(fault, ms)}`);
        if (random.chance(1, 6)) say(await run.killed(random.chance(1, 2)));
      }
      say(await run.killed(false));
    } catch (error) {
      say(`SEED ${seed}`);
      throw error;
    } finally {
      await run.end();
    }
  },
});

type Fault = (typeof FAULTS)[number];

/** How long after the disk is well again events are taken again, at most. */
const WELL_MS_MAX = 20_000;

export class FaultRun {
  readonly known = new Knowledge();
  readonly #disk = new FaultDisk();
  readonly #seed: number;
  readonly #random: Random;
  #served: Served | undefined;
  #load: Load | undefined;
  #running: Promise<void> = Promise.resolve();
  #lifeCount = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  get served(): Served {
    return this.#served ?? assert.fail("it has not begun");
  }

  async begin(): Promise<void> {
    this.#lifeCount += 1;
    this.#served = await Served.start({
      folder: this.#disk.data,
      shardCount: 1 + this.#random.below(3),
      environment: this.#disk.environment,
    });
    await checkAll(this.#served, this.known, this.#random);
    const seed = this.#seed * 1_000_003 + this.#lifeCount;
    this.#load = new Load(this.#served, this.known, seed, true);
    this.#running = this.#load.run();
    // It is waited for at the end of the life; until then nobody else may take its failure.
    this.#running.catch(() => undefined);
    await this.#served.until("something is acknowledged", async () => this.#isAcknowledged());
  }

  /** The disk fails for so long, and is well again. */
  async round(fault: Fault, holdMs: number): Promise<string> {
    const { served } = this;
    const before = this.#disk.failedCount;
    this.#disk.fail(fault.controls);
    const startMs = performance.now();
    await served.until(`readyz says ${fault.code}`, async () => {
      const { status, body } = await served.ask<{ code?: string }>("/readyz");
      return status === fault.status && body.code === fault.code;
    });
    const seenMs = performance.now() - startMs;
    await this.#refuses(fault);
    await this.#goesOn();
    await sleep(holdMs);
    const failures = this.#disk.failedCount - before;
    this.#disk.heal();
    const wellMs = performance.now();
    await served.until(
      "it is ready",
      async () => (await served.ask("/readyz")).status === 200,
      WELL_MS_MAX,
    );
    const againMs = performance.now() - wellMs;
    const acknowledged = this.known.diskCount;
    await served.until("events are taken", async () => this.known.diskCount > acknowledged);
    return (
      `${fault.name}: told after ${seenMs.toFixed(0)} ms, ${failures} calls failed, ` +
      `well ${againMs.toFixed(0)} ms after the disk`
    );
  }

  /** Killed, with a disk that fails or not, and begun again: everything is there. */
  async killed(fails: boolean): Promise<string> {
    const fault = FAULTS[this.#random.below(FAULTS.length)]!;
    if (fails) {
      this.#disk.fail(fault.controls);
      await sleep(this.#random.below(1_000));
    }
    await this.#stopLoad();
    this.#disk.heal();
    await this.begin();
    return `killed${fails ? ` while ${fault.name}` : ""}: nothing is lost`;
  }

  async end(): Promise<void> {
    await this.#stopLoad().catch(() => undefined);
    this.#disk.remove();
  }

  async #stopLoad(): Promise<void> {
    await this.#served?.kill();
    this.#load?.end();
    await this.#running;
  }

  #isAcknowledged(): boolean {
    return this.known.diskCount > 0;
  }

  /** New events, whatever they ask to wait for, are answered at once and in words. */
  async #refuses({ status, code }: Fault): Promise<void> {
    for (const query of ["", "?ack=memory", "?ack=disk"]) {
      const reply = await this.served.send<{ code: string; detail: string }>(
        "refused",
        [{ user: "ada", text: "is there room" }],
        query,
      );
      assert.deepEqual([reply.status, reply.body.code], [status, code], reply.body.detail);
      assert.match(reply.retryAfter ?? "", /^[1-9]\d*$/);
    }
    const { status: unknown } = await this.served.ask("/v1/tenants/refused");
    assert.equal(unknown, 404, "what is refused leaves no tenant behind");
  }

  async #goesOn(): Promise<void> {
    const { served } = this;
    for (const path of ["trending", "summary?window=1h", "conversations"]) {
      await served.get(`/v1/tenants/t0/${path}`);
    }
    await served.get("/v1/system/storage");
    type Verdict = { flagged: boolean };
    const { status, body } = await served.ask<Verdict>("/v1/tenants/oak/moderate", "POST", {
      text: "nobody wants you here, you idiot",
    });
    assert.deepEqual([status, body.flagged], [200, true]);
    await this.#goesOnLive();
  }

  /** A live connection that is opened now says how things stand. */
  async #goesOnLive(): Promise<void> {
    const end = new AbortController();
    const { signal } = end;
    const response = await fetch(`${this.served.url}/v1/tenants/t0/live`, { signal });
    assert.equal(response.status, 200);
    for await (const chunk of response.body ?? []) {
      assert.match(Buffer.from(chunk as Uint8Array).toString(), /^(event|data|id|retry|:)/);
      break;
    }
    end.abort();
  }
}
