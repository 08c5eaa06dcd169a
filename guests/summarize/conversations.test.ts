// Conversations against a twin that keeps everything: what is counted, who has to go, how many
// there are, and that nothing leaves its 20 KiB.
import assert from "node:assert/strict";
import test from "node:test";
import { CONVERSATION_KEPT_MAX } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { ConversationsProbe, REGION_BYTES, type Said } from "./testing/conversations.ts";

const SINGLES_KEPT = 12;
const SPEAKERS_MAX = 12;
const START_MS = 1_700_000_000_000;
const WORDS = (
  "disk kernel sound driver window printer network install boot grub mount server music theme " +
  "update folder mouse screen laptop wireless password backup router firewall browser editor"
).split(" ");

type Kept = { events: number; users: Map<string, number>; firstMs: number; lastMs: number };

/** What ought to be remembered, given how many had to go. */
class Twin {
  /** The one heard last first. */
  order: string[] = [];
  kept = new Map<string, Kept>();
  evictions = 0;
  eventsEvicted = 0;

  hear(id: string, user: string, tsMs: number, evicted: number): void {
    const known = this.kept.get(id);
    if (known !== undefined) this.#toFront(id, () => this.#add(known, user, tsMs));
    for (let time = 0; time < evicted; time++) this.#evict(known === undefined ? 0 : 1);
    if (known !== undefined) return;
    this.order.unshift(id);
    const fresh = { events: 0, users: new Map(), firstMs: tsMs, lastMs: tsMs };
    this.kept.set(id, fresh);
    this.#add(fresh, user, tsMs);
  }

  get singles(): number {
    return this.order.filter((id) => this.kept.get(id)!.events === 1).length;
  }

  #toFront(id: string, then: () => void): void {
    this.order = [id, ...this.order.filter((other) => other !== id)];
    then();
  }

  #add(kept: Kept, user: string, tsMs: number): void {
    kept.events++;
    if (user !== "") kept.users.set(user, (kept.users.get(user) ?? 0) + 1);
    kept.firstMs = Math.min(kept.firstMs, tsMs);
    kept.lastMs = Math.max(kept.lastMs, tsMs);
  }

  #evict(first: number): void {
    let victim = this.order.length - 1;
    if (this.singles > SINGLES_KEPT) {
      while (victim > first && this.kept.get(this.order[victim]!)!.events > 1) victim--;
    }
    const [id] = this.order.splice(victim, 1);
    this.evictions++;
    this.eventsEvicted += this.kept.get(id!)!.events;
    this.kept.delete(id!);
  }
}

function sentence(random: Random): string {
  const words = Array.from({ length: random.below(14) }, () => WORDS[random.below(WORDS.length)]!);
  return words.join(" ") + (random.below(4) === 0 ? "?" : "");
}

function checkStream(seed: number, steps: number): number {
  const random = new Random(seed);
  const probe = new ConversationsProbe();
  const twin = new Twin();
  const ids = 2 + random.below([10, 40, 300][random.below(3)]!);
  const users = 1 + random.below([3, 12, 60][random.below(3)]!);
  const skew = 1 + random.below(4);
  for (let step = 0; step < steps; step++) {
    const number = Math.floor(ids * (random.below(1e6) / 1e6) ** skew);
    const id = number % 7 === 0 ? `${number}`.padEnd(128, "x") : `thread-${number}`;
    const user = random.below(20) === 0 ? "" : `user${random.below(users)}`;
    const tsMs = START_MS + step * 1000 + random.below(5) * -3000;
    const text = random.below(9) === 0 ? "" : sentence(random);
    const before = probe.core.evictionsOf();
    probe.say({ conversation: id, user, text, tsMs });
    twin.hear(id, user, tsMs, probe.core.evictionsOf() - before);
    checkRegion(probe);
    if (step % 29 !== 0 && step !== steps - 1) continue;
    checkTwin(probe, twin, `seed ${seed}, step ${step}`);
  }
  return twin.evictions;
}

function checkTwin(probe: ConversationsProbe, twin: Twin, where: string): void {
  assert.equal(probe.core.countOf(), twin.order.length, where);
  assert.equal(probe.core.singlesOf(), twin.singles, where);
  assert.equal(probe.core.eventsEvictedOf(), twin.eventsEvicted, where);
  const items = probe.list();
  const lasts = items.map(({ lastMs }) => lastMs);
  assert.deepEqual(
    lasts,
    lasts.toSorted((left, right) => right - left),
    where,
  );
  assert.deepEqual(items.map(({ id }) => id).toSorted(), twin.order.toSorted(), where);
  for (const item of items) {
    const kept = twin.kept.get(item.id)!;
    assert.equal(item.eventCount, kept.events, where);
    assert.equal(item.firstMs, kept.firstMs, where);
    assert.equal(item.lastMs, kept.lastMs, where);
    const { participants, item: same } = probe.find(item.id)!;
    assert.deepEqual(same, item, where);
    if (kept.users.size <= SPEAKERS_MAX) {
      assert.equal(item.userCount, kept.users.size, where);
      assert.equal(item.userCountError, 0, where);
    } else {
      const off = Math.abs(item.userCount - kept.users.size);
      assert.ok(off <= 6 * item.userCountError * item.userCount + 1, `${where}: ${item.userCount}`);
    }
    for (const { user, eventCount } of participants) {
      const truth = kept.users.get(user)!;
      assert.ok(eventCount >= 1 && eventCount <= truth, `${where}: ${eventCount} of ${truth}`);
      if (kept.users.size <= SPEAKERS_MAX) assert.equal(eventCount, truth, where);
    }
  }
}

/** Whatever was said: within its bounds, and zero where nothing is. */
function checkRegion(probe: ConversationsProbe): void {
  const used = probe.core.usedOf();
  assert.ok(used <= REGION_BYTES);
  assert.ok(probe.core.countOf() <= CONVERSATION_KEPT_MAX);
  const rest = Buffer.from(probe.region.subarray(Math.max(used, 3072)));
  assert.ok(
    rest.every((byte) => byte === 0),
    "what is free is zero",
  );
  assert.ok(
    Buffer.from(probe.beyond).every((byte) => byte === 0),
    "nothing is written beyond",
  );
}

test("counts, order and evictions are those of a twin that keeps everything", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  let evictions = 0;
  for (let stream = 0; stream < 12; stream++) evictions += checkStream(seed + stream, 800);
  assert.ok(evictions > 500, `${evictions} evictions`);
});

function talk(probe: ConversationsProbe, id: string, messages: number): void {
  const random = new Random(id.length + messages);
  for (let index = 0; index < messages; index++) {
    const text = `${sentence(random)} ${id} ${sentence(random)}`.slice(0, 70);
    probe.say({ conversation: id, user: `user${index % 3}`, id: `message-${index}`, text });
  }
}

test("24 threads of three people find room in 20 KiB", () => {
  const probe = new ConversationsProbe();
  for (let thread = 0; thread < 24; thread++) talk(probe, `thread-${thread}`, 12);
  assert.equal(probe.core.evictionsOf(), 0);
  assert.equal(probe.list().length, 24);
});

test("a flood of ids pushes itself out, not those who speak", () => {
  const probe = new ConversationsProbe();
  for (let thread = 0; thread < 20; thread++) talk(probe, `thread-${thread}`, 8);
  for (let index = 0; index < 5000; index++) {
    probe.say({
      conversation: `flood-${index}`,
      user: "spam",
      text: "buy cheap watches online now",
    });
  }
  const threads = probe.list().filter(({ id }) => id.startsWith("thread-"));
  assert.ok(threads.length >= 18, `${threads.length} threads are left`);
  assert.ok(threads.every(({ eventCount }) => eventCount === 8));
  const gone = probe.core.evictionsOf() + probe.list().length;
  assert.equal(gone, 5020, "every one is kept or counted as gone");
});

test("a tenant without conversations touches one 4 KiB page", () => {
  const probe = new ConversationsProbe();
  const random = new Random(5);
  for (let index = 0; index < 500; index++) {
    probe.say({
      user: `user${random.below(40)}`,
      text: `${sentence(random)} and ${sentence(random)}`,
    });
  }
  assert.ok(probe.region.subarray(4096).every((byte) => byte === 0));
  assert.equal(probe.list().length, 0);
  assert.notEqual(probe.ownText().text, "");
});

test("the error that is told of distinct users is the error there is", () => {
  for (const [users, trials] of [
    [30, 60],
    [300, 40],
    [3000, 30],
  ] as const) {
    let squares = 0;
    let told = 0;
    for (let trial = 0; trial < trials; trial++) {
      const probe = new ConversationsProbe();
      for (let user = 0; user < users; user++) {
        probe.say({ conversation: "c", user: `u${trial}-${user}` });
        if (user % 3 === 0) probe.say({ conversation: "c", user: `u${trial}-${user >> 1}` });
      }
      const [item] = probe.list();
      squares += (item!.userCount / users - 1) ** 2;
      told += item!.userCountError ** 2;
    }
    const ratio = Math.sqrt(squares / told);
    assert.ok(ratio > 0.6 && ratio < 1.5, `${users} users: ${ratio} of the error that is told`);
    const error = Math.sqrt(told / trials);
    assert.ok(error < 0.2 && error > 0.01, `${users} users: ${error}`);
  }
});

test("who speaks most is found among many", () => {
  const probe = new ConversationsProbe();
  const random = new Random(3);
  for (let index = 0; index < 4000; index++) {
    const user = random.below(3) === 0 ? `user${random.below(300)}` : `host${random.below(3)}`;
    probe.say({ conversation: "c", user, text: "" });
  }
  const { participants } = probe.find("c")!;
  const names = participants.slice(0, 3).map(({ user }) => user);
  assert.deepEqual(new Set(names), new Set(["host0", "host1", "host2"]));
  const { eventCount } = participants[0]!;
  assert.ok(eventCount > 700 && eventCount < 1100, `${eventCount} of some 890`);
});

test("late and unordered events widen the times; late ones are told", () => {
  const probe = new ConversationsProbe();
  probe.say({ conversation: "c", user: "ann", tsMs: 5000 });
  probe.say({ conversation: "c", user: "bob", tsMs: 9000 });
  assert.equal(probe.list()[0]!.late, false);
  probe.say({ conversation: "c", user: "cid", tsMs: 1000, late: true });
  const [item] = probe.list();
  assert.deepEqual([item!.firstMs, item!.lastMs, item!.late], [1000, 9000, true]);
});

test("an id is compared byte by byte, and unknown ids are not found", () => {
  const probe = new ConversationsProbe();
  probe.say({ conversation: "Général", user: "ann" });
  assert.equal(probe.find("Général")?.item.eventCount, 1);
  assert.equal(probe.find("Général "), undefined);
  assert.equal(probe.find("general"), undefined);
  assert.equal(probe.find(""), undefined);
});

function wild(random: Random): Said {
  const text = (() => {
    switch (random.below(6)) {
      case 0:
        return "🏴󠁧󠁢󠁥󠁮󠁧󠁿👩‍👩‍👧‍👦 how do I 👍🏽 mount? ".repeat(random.below(40));
      case 1:
        return "é".repeat(random.below(200)) + "? ";
      case 2:
        return `${sentence(random)} `.repeat(1 + random.below(120)).slice(0, 16_000);
      case 3:
        return "日本語のテキスト、どうすればいいですか？".repeat(random.below(9));
      case 4:
        return "?!/.@:, ".repeat(random.below(60));
      default:
        return String.fromCodePoint(
          ...Array.from({ length: random.below(150) }, () => {
            const point = random.below(0x2ffff);
            return point >= 0xd800 && point < 0xe000 ? 0xfffd : point;
          }),
        );
    }
  })();
  return {
    conversation: `c${random.below(30)}`,
    user: random.below(9) === 0 ? "" : "名前".repeat(random.below(22)) + `u${random.below(20)}`,
    id: random.below(2) === 0 ? "" : "i".repeat(1 + random.below(64)),
    text,
    tsMs: random.below(20) === 0 ? random.below(9) * 1e12 : START_MS + random.below(1e9),
  };
}

test("emoji, walls of text and every script: text stays text, and bounds hold", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const random = new Random(seed);
  const probe = new ConversationsProbe();
  for (let index = 0; index < 1500; index++) {
    probe.say(wild(random));
    checkRegion(probe);
    // Reading decodes strictly: a cut character would throw.
    probe.ownText();
    if (index % 10 === 0) for (const { id } of probe.list()) probe.find(id);
  }
});

test("bytes that are no text do no harm", () => {
  const random = new Random(11);
  const probe = new ConversationsProbe();
  for (let index = 0; index < 1000; index++) {
    const bytes = Uint8Array.from({ length: random.below(400) }, () => random.below(256));
    probe.say({ conversation: `c${random.below(9)}`, user: `u${random.below(5)}`, text: bytes });
    checkRegion(probe);
  }
});

test("the same messages leave the same bytes", () => {
  const probes = [new ConversationsProbe(), new ConversationsProbe()];
  for (const probe of probes) {
    const random = new Random(9);
    for (let index = 0; index < 800; index++) probe.say(wild(random));
  }
  assert.deepEqual(Buffer.from(probes[0]!.region), Buffer.from(probes[1]!.region));
});
