/**
 * What loads a server until it is killed: senders of events, each of whom waits for every answer,
 * and a moderator. All of it is drawn from the seed; when who is answered is up to the machine.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { NOTHING, plus, type SentRequest, type Tally, TenantOracle } from "./oracle.ts";
import type { Reply, Served } from "./served.ts";

const TENANTS = 40;
const SENDERS = 5;
const EVENTS_MAX = 40;
/** A summary tells sums to 14 digits: those of a long run must have no more. */
const SERIAL_MAX = 2 ** 24;
/** Those that a tenant may do without. */
const WINDOWS = ["10m", "1h", "24h"];
/** After a refusal, before the next try. */
const REFUSED_MS = 100;
const WORDS = ["boss", "fight", "gg", "patch", "login", "error", "nice", "refund", "late", "rain"];
/** Tenants of the moderator, beside the others'. */
export const JUDGED_TENANTS = ["cedar", "willow"];

type Answer = { accepted: number; rejected: number; duplicates: number; ack?: string };
type Flagging = { version: number; term: string };

/** What clients know, over all lives. */
export class Knowledge {
  readonly tenants = new Map<string, TenantOracle>();
  /** Of tenants that are judged: what was acknowledged last, and what was sent after it. */
  readonly policies = new Map<string, { known: Flagging | undefined; sent: Flagging[] }>();
  /** The same of its windows. */
  readonly windows = new Map<string, { known: string | undefined; sent: string[] }>();
  /** Messages that are in the queue: id -> tenant. */
  readonly flagged = new Map<string, string>();
  /** Those without an answer; and verdicts, which go there within milliseconds after theirs. */
  readonly perhapsFlagged = new Map<string, string>();
  diskCount = 0;
  memoryCount = 0;
  requestCount = 0;
  /** Of everything: in which order it was sent and answered. */
  clock = 0;
  messageCount = 0;

  constructor() {
    for (let at = 0; at < TENANTS; at++) this.tenants.set(`t${at}`, new TenantOracle());
    for (const tenant of JUDGED_TENANTS) {
      this.policies.set(tenant, { known: undefined, sent: [] });
      this.windows.set(tenant, { known: undefined, sent: [] });
    }
  }
}

export class Load {
  /** Requests that were refused because of the disk; and those that were told nobody knows. */
  refusedCount = 0;
  unknownCount = 0;
  readonly #served: Served;
  readonly #known: Knowledge;
  readonly #seed: number;
  readonly #diskFails: boolean;
  #isOver = false;

  /** `diskFails`: events may be refused, and nobody moderates. */
  constructor(served: Served, known: Knowledge, seed: number, diskFails = false) {
    this.#served = served;
    this.#known = known;
    this.#seed = seed;
    this.#diskFails = diskFails;
  }

  /** Until it is told that it is over; throws if an answer is not as it should be. */
  async run(): Promise<void> {
    const senders = Array.from({ length: SENDERS }, async (_, sender) => this.#send(sender));
    const moderator = this.#diskFails ? [] : [this.#moderate()];
    const ends = await Promise.allSettled([...senders, ...moderator]);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  end(): void {
    this.#isOver = true;
  }

  async #send(sender: number): Promise<void> {
    const random = new Random(this.#seed * 97 + sender);
    while (!this.#isOver) {
      const wish = random.chance(1, 4) ? "memory" : "disk";
      const isMixed = random.chance(1, 5);
      const tenants = isMixed
        ? [tenantOf(random), tenantOf(random), tenantOf(random)]
        : [tenantOf(random)];
      const parts = new Map<string, SentRequest>();
      for (const tenant of tenants) {
        if (!parts.has(tenant)) parts.set(tenant, this.#request(random, sender, tenant, isMixed));
      }
      for (const [tenant, part] of parts) this.#known.tenants.get(tenant)!.sent(part);
      const events = [...parts.values()].flatMap((part) => part.events);
      const only = isMixed ? undefined : tenants[0]!;
      const query = wish === "memory" ? "?ack=memory" : random.chance(1, 4) ? "?ack=disk" : "";
      const reply = await this.#served.send<Answer>(only, events, query).catch(() => undefined);
      if (!this.#taken(reply, parts, events.length, wish)) return;
      if (reply?.status !== 202) await sleep(REFUSED_MS);
    }
  }

  #request(random: Random, sender: number, tenant: string, isMixed: boolean): SentRequest {
    const known = this.#known;
    const name = (known.requestCount++).toString(36);
    let tally: Tally = NOTHING;
    const events = Array.from({ length: 1 + random.below(EVENTS_MAX) }, (_, index) => {
      const serial = 1 + random.below(SERIAL_MAX);
      tally = plus(tally, { count: 1, sum: serial });
      return {
        ...(isMixed && { tenant }),
        id: `${name}-${index}`,
        user: `u${random.below(99)}`,
        text: Array.from({ length: 3 + random.below(9) }, () => WORDS[random.below(10)]!).join(" "),
        metrics: { serial },
      };
    });
    return { sender, tally, events, sentAt: known.clock++, answeredAt: -1, fate: "unknown" };
  }

  /** False: the server is gone. */
  #taken(
    reply: Reply<Answer> | undefined,
    parts: ReadonlyMap<string, SentRequest>,
    eventCount: number,
    wish: "disk" | "memory",
  ): boolean {
    const known = this.#known;
    if (reply === undefined) return false;
    // Half an answer is none.
    if (reply.status === 202 && reply.body === undefined) return false;
    if (reply.status !== 202) {
      this.#refused(reply, parts);
      return true;
    }
    const { accepted, rejected, duplicates, ack } = reply.body;
    assert.deepEqual(
      { accepted, rejected, duplicates },
      { accepted: eventCount, rejected: 0, duplicates: 0 },
    );
    assert.equal(ack, wish);
    for (const part of parts.values()) {
      part.fate = wish;
      part.answeredAt = known.clock++;
    }
    if (wish === "disk") known.diskCount += eventCount;
    else known.memoryCount += eventCount;
    return true;
  }

  /** A refusal says that nothing was taken, or that nobody knows. */
  #refused(reply: Reply, parts: ReadonlyMap<string, SentRequest>): void {
    const { status, body, retryAfter } = reply;
    const { code, detail } = body as { code: string; detail: string };
    const words = `events: ${status} ${code}: ${detail}`;
    if (status !== 429) {
      const known = ["storageFull", "storageUnavailable"].includes(code);
      assert(this.#diskFails && known, words);
      assert.match(retryAfter ?? "", /^[1-9]/, words);
    }
    const isUnknown = detail.includes("nobody knows");
    if (isUnknown) this.unknownCount += 1;
    else this.refusedCount += 1;
    for (const [tenant, part] of parts) {
      // It went its way alone: what its sender sent afterwards says nothing of it.
      if (isUnknown) part.sender = -1 - this.#known.clock++;
      else this.#known.tenants.get(tenant)!.refused(part);
    }
  }

  /** Sets policies and windows, and has messages judged. */
  async #moderate(): Promise<void> {
    const random = new Random(this.#seed * 97 + SENDERS);
    while (!this.#isOver) {
      const tenant = JUDGED_TENANTS[random.below(JUDGED_TENANTS.length)]!;
      const wish = random.below(5);
      const goesOn =
        wish === 0
          ? await this.#putPolicy(tenant, random)
          : wish === 1
            ? await this.#putWindows(tenant, random)
            : await this.#judge(tenant, random);
      if (!goesOn) return;
    }
  }

  async #putPolicy(tenant: string, random: Random): Promise<boolean> {
    const policy = this.#known.policies.get(tenant)!;
    const version = Math.max(0, policy.known?.version ?? 0, ...policy.sent.map((p) => p.version));
    const sent = { version: version + 1, term: `zorb${random.u32().toString(36)}` };
    policy.sent.push(sent);
    const body = { moderateEvents: true, blockList: [{ term: sent.term, action: "flag" }] };
    const path = `/v1/tenants/${tenant}/policy`;
    const reply = await this.#served
      .ask<{ version: number }>(path, "PUT", body)
      .catch(() => undefined);
    if (reply?.body === undefined) return false;
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    policy.sent.pop();
    policy.known = { version: reply.body.version, term: sent.term };
    return true;
  }

  async #putWindows(tenant: string, random: Random): Promise<boolean> {
    const own = this.#known.windows.get(tenant)!;
    const windows = ["60s", ...WINDOWS.filter(() => random.chance(1, 2)), "all"];
    own.sent.push(windows.join());
    const body = { clock: "wall", windows };
    const reply = await this.#served
      .ask<{ windows: string[] }>(`/v1/tenants/${tenant}`, "PUT", body)
      .catch(() => undefined);
    if (reply?.body === undefined) return false;
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    own.sent.pop();
    own.known = reply.body.windows.join();
    return true;
  }

  async #judge(tenant: string, random: Random): Promise<boolean> {
    const { known } = this.#known.policies.get(tenant)!;
    if (known === undefined) return true;
    const id = `m${this.#known.messageCount++}`;
    const isFlagged = random.chance(1, 2);
    const text = isFlagged
      ? `well, ${known.term} it is, said as ${id}`
      : "well played, see you tomorrow";
    if (isFlagged) this.#known.perhapsFlagged.set(id, tenant);
    const message = { id, conversation: "general", user: "ada", text };
    return random.chance(1, 2)
      ? this.#judgeEvent(tenant, message, isFlagged)
      : this.#judgeMessage(tenant, message, isFlagged, known.version);
  }

  /** A flagged event is in the queue before anybody is told that it was taken. */
  async #judgeEvent(
    tenant: string,
    message: { id: string; text: string },
    isFlagged: boolean,
  ): Promise<boolean> {
    const reply = await this.#served.send<Answer>(tenant, [message]).catch(() => undefined);
    if (reply?.body === undefined) return false;
    assert.equal(reply.status, 202, JSON.stringify(reply.body));
    if (isFlagged) {
      this.#known.perhapsFlagged.delete(message.id);
      this.#known.flagged.set(message.id, tenant);
    }
    return true;
  }

  async #judgeMessage(
    tenant: string,
    message: { id: string; text: string },
    isFlagged: boolean,
    version: number,
  ): Promise<boolean> {
    const path = `/v1/tenants/${tenant}/moderate`;
    const reply = await this.#served
      .ask<{ flagged: boolean; policy: { version: number } }>(path, "POST", message)
      .catch(() => undefined);
    if (reply?.body === undefined) return false;
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    assert.equal(reply.body.flagged, isFlagged, `${tenant} ${message.id}`);
    assert.equal(reply.body.policy.version, version);
    return true;
  }
}

/** Some have much to say. */
function tenantOf(random: Random): string {
  return `t${Math.floor(TENANTS * random.unit() ** 2)}`;
}
