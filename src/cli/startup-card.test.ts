// The card of serve, in 80 columns, whatever there is to be said.
import assert from "node:assert/strict";
import test from "node:test";
import { loadConfig } from "#config/load.ts";
import { NO_STORAGE, type RecoverySummary, type StorageStats } from "#model/storage.ts";
import { type CardFacts, startupCard, startupFields } from "./startup-card.ts";

const { config: loaded } = loadConfig({ file: undefined, environment: {}, flags: {} });
const config = { ...loaded, shardCount: 2 };

const STORAGE: StorageStats = {
  ...NO_STORAGE,
  state: "ok",
  ack: "disk",
  path: "/var/lib/nexuscore/state.db",
  logBytesMax: 2 ** 31,
  recovery: {
    summary: {
      readySeconds: 2.31,
      tenants: 1_204,
      snapshots: 1_204,
      replayedTurns: 3_411,
      skippedTurns: 900,
      repaired: 0,
      lost: [],
      lostCount: 0,
      tornBlocks: 0,
      gaps: 0,
    },
  },
};

const FACTS: CardFacts = {
  url: "http://127.0.0.1:7070",
  udp: "event datagrams carry no key, and there are keys; --datagrams on takes them",
  store: { path: "/var/lib/nexuscore/moderation.db" },
  llm: undefined,
  storage: STORAGE,
  keyCount: 3,
  isOpen: false,
};

test("card: where state is kept, what came back, who is let in, in 80 columns", () => {
  const card = startupCard(FACTS, config);
  for (const line of card.split("\n")) assert(line.length <= 80, line);
  assert.match(card, /State +\/var\/lib\/nexuscore\/state\.db, on disk before the answer/);
  assert.match(card, /Recovered +1,204 tenants in 2\.3 s: 1,204 snapshots, 3,411 turns again/);
  assert.match(card, /Keys +3 keys\n/);
  assert.match(card, /Datagrams +off: event datagrams carry no key/);
  assert.match(card, /Quotas +a tenant may take 50 % of a shard's CPU/);
  assert.match(card, /authorization: Bearer \$NEXUSCORE_KEY/);
  assert.match(card, /within 25 s\.$/);
});

test("card: what is open, in memory or lost is said", () => {
  const { summary } = STORAGE.recovery as { summary: RecoverySummary };
  const lost = { ...summary, repaired: 2, lost: ["acme", "b", "c", "d"], lostCount: 9, gaps: 1 };
  const storage: StorageStats = { ...STORAGE, recovery: { summary: lost } };
  const card = startupCard({ ...FACTS, isOpen: true, keyCount: 0, storage }, config);
  for (const line of card.split("\n")) assert(line.length <= 80, line);
  assert.match(card, /none, open to everybody on this machine; the first key closes it/);
  assert.match(oneLine(card), /2 repaired from older copies/);
  assert.match(card, /Something is missing of acme, b, c and 6 more/);
  assert.match(card, /Turns do not go on .* tenants 1/);
  assert.doesNotMatch(card, /authorization/);
  const memory = startupCard({ ...FACTS, storage: NO_STORAGE }, config);
  assert.match(memory, /State +in memory, until the process ends/);
  assert.doesNotMatch(memory, /Recovered/);
  const soon = startupCard({ ...FACTS, storage: { ...STORAGE, ack: "memory" } }, config);
  assert.match(oneLine(soon), /ack memory: a crash loses/);
});

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

test("card: an address that others reach is said", () => {
  assert.match(startupCard(FACTS, config), /API +http:\/\/127\.0\.0\.1:7070\n/);
  const open = { ...config, httpHost: "0.0.0.0" };
  assert.match(startupCard(FACTS, open), /:7070, listening on 0\.0\.0\.0\n/);
  assert.equal(startupFields(FACTS, open)["httpHost"], "0.0.0.0");
});

test("card: one of a thing is one", () => {
  const { summary } = STORAGE.recovery as { summary: RecoverySummary };
  const one = { ...summary, tenants: 1, snapshots: 1, replayedTurns: 1, tornBlocks: 1 };
  const card = startupCard(
    { ...FACTS, storage: { ...STORAGE, recovery: { summary: one } } },
    config,
  );
  assert.match(
    oneLine(card),
    /Recovered 1 tenant in 2\.3 s: 1 snapshot, 1 turn again, 1 unfinished block dropped Reviews/,
  );
});

test("card: a log has the same as fields", () => {
  const fields = startupFields(FACTS, config);
  assert.deepEqual(
    [fields["url"], fields["keys"], fields["ack"], fields["state"]],
    ["http://127.0.0.1:7070", 3, "disk", "/var/lib/nexuscore/state.db"],
  );
  assert.equal(startupFields({ ...FACTS, isOpen: true }, config)["keys"], "off");
});
