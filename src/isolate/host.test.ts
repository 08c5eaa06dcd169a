import assert from "node:assert/strict";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import fc from "fast-check";
import { JOURNAL_BYTES } from "#model/limits.ts";
import { SPANS } from "#model/summary.ts";
import { ALL_SPANS } from "#model/window.ts";
import { Random } from "#std/random.ts";
import { writeBatch } from "#testing/batch.ts";
import { commandBatch, hostileComponent, randomBatch } from "#testing/hostile-guest.ts";
import { IsolateHost } from "./host.ts";
import type { TenantHostOptions } from "./tenant-host.ts";
import { BLOCK_BYTES } from "./images.ts";

const component = hostileComponent();
const report = new Uint32Array(5);
const fates = new Uint8Array(1024);

function newHost(options: Partial<TenantHostOptions> = {}): IsolateHost {
  return new IsolateHost({
    slotCount: 4,
    imageBytesMax: 16 << 20,
    tenantCountMax: 64,
    ...options,
  });
}

function openAll(host: IsolateHost, count: number): void {
  const number = host.admit(component);
  for (let tenant = 0; tenant < count; tenant++) {
    assert.equal(host.open(tenant, number, { clock: "wall", spans: ALL_SPANS }), "ok");
  }
}

function ingest(host: IsolateHost, tenant: number, bytes: Uint8Array): string {
  return host.ingest(tenant, bytes, 0, bytes.length, report, fates);
}

test("a batch is counted, its fates and its report come back", () => {
  const host = newHost();
  openAll(host, 1);
  const events = [0, 1, 2, 3, 3].map((fate) => ({ tsMs: fate, weight: 4, text: "\u{feff}text" }));
  const bytes = writeBatch(events);
  const source = new Uint8Array(bytes.length + 24);
  source.set(bytes, 24);
  assert.equal(host.ingest(0, source, 24, bytes.length, report, fates), "ok");
  assert.deepEqual([...report], [1, 1, 1, 2, 0]);
  assert.deepEqual([...fates.subarray(0, 5)], [0, 1, 2, 3, 3]);
  const answer = host.trending(0, 8, "count");
  assert.equal(answer.outcome, "ok");
  assert.equal(answer.report?.eventCount, 5);
  // A leading U+FEFF is text like any other.
  assert.ok(answer.report.items.some(({ term }) => term === "\u{feff}text"));
  assert.equal(host.stats.turns, 2);
});

test("the same component has the same number", () => {
  const host = newHost();
  assert.equal(host.admit(component), 0);
  assert.equal(host.admit(Uint8Array.from(component)), 0);
});

test("a closed tenant leaves nothing behind, for itself or others", () => {
  const host = newHost({ slotCount: 1 });
  openAll(host, 2);
  const fresh = host.stateHash(0);
  assert.equal(ingest(host, 0, commandBatch("paint", 7)), "ok");
  assert.equal(ingest(host, 1, commandBatch("trap")), "trapped");
  host.commitAll();
  assert.ok(host.imageBytes(0) > 0);
  host.close(0);
  assert.equal(host.isOpen(0), false);
  assert.equal(host.imageBytes(0), 0);
  host.close(1);
  assert.equal(host.strikeCount(1), 0);
  assert.equal(host.lastFailure(1), undefined);
  assert.equal(host.stats.imageBytes, 0);
  assert.equal(host.open(0, 0, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.stateHash(0), fresh);
});

test("an image costs the lines that differ from the component's base", () => {
  const host = newHost();
  openAll(host, 1);
  host.commitAll();
  assert.equal(host.imageBytes(0), BLOCK_BYTES);
  for (const pages of [1, 3, 14]) {
    assert.equal(ingest(host, 0, commandBatch("hog", pages)), "ok");
    host.commitAll();
    // One line in each page, and that of the tenant's own counts.
    const byteCount = 16 + ((8 * pages + 15) & ~15) + 64 * (pages + 1);
    assert.equal(host.imageBytes(0), Math.ceil(byteCount / BLOCK_BYTES) * BLOCK_BYTES);
  }
  assert.equal(host.stats.imageBytes, host.imageBytes(0));
});

test("when memory is full, events wait, questions are answered, and who leaves makes room", () => {
  const host = newHost({ slotCount: 1, imageBytesMax: 3 * BLOCK_BYTES, strikeCountMax: 9 });
  openAll(host, 1);
  for (let tenant = 0; tenant < 3; tenant++) {
    if (tenant > 0) assert.equal(host.open(tenant, 0, { clock: "wall", spans: ALL_SPANS }), "ok");
    assert.equal(ingest(host, tenant, writeBatch([{}])), "ok");
  }
  host.commitAll();
  const countOf = (tenant: number) => host.trending(tenant, 0, "trend").report?.eventCount;
  assert.equal(host.open(3, 0, { clock: "wall", spans: ALL_SPANS }), "refused");
  for (let round = 0; round < 3; round++) {
    for (let tenant = 0; tenant < 3; tenant++) {
      assert.equal(ingest(host, tenant, writeBatch([{}])), "refused");
      assert.equal(countOf(tenant), 1);
      assert.equal(host.strikeCount(tenant), 0);
    }
  }
  host.close(1);
  assert.equal(ingest(host, 0, writeBatch([{}])), "ok");
  assert.equal(countOf(0), 2);
  assert.equal(countOf(2), 1);
});

test("who is in a slot when memory is full is put to rest all the same", () => {
  const host = newHost({ slotCount: 2, imageBytesMax: 4 * BLOCK_BYTES, strikeCountMax: 9 });
  openAll(host, 3);
  assert.equal(ingest(host, 0, commandBatch("hog", 14)), "ok");
  assert.equal(ingest(host, 1, commandBatch("hog", 14)), "ok");
  // Both must leave their slots for it; the first one does, and then memory is full.
  host.advance(2, 1);
  assert.equal(ingest(host, 2, writeBatch([{}])), "refused");
  for (const tenant of [0, 1, 2, 0, 1, 2]) assert.equal(host.advance(tenant, 2), "ok");
  assert.ok(host.imageBytes(0) > 4 * BLOCK_BYTES);
  assert.equal(host.imageBytes(1), host.imageBytes(0));
});

test("a failed turn leaves what an undisturbed run has, whatever came before it", () => {
  const deeds = ["trap", "grow", "recurse", "outOfBounds"] as const;
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 3 }), (seed, slotCount) => {
      const random = new Random(seed);
      const [disturbed, undisturbed] = [newHost({ slotCount, strikeCountMax: 255 }), newHost()];
      for (const host of [disturbed, undisturbed]) openAll(host, 3);
      for (let step = 0; step < 40; step++) {
        const tenant = random.below(3);
        if (random.chance(1, 4)) {
          const deed = deeds[random.below(deeds.length)]!;
          assert.notEqual(ingest(disturbed, tenant, commandBatch(deed)), "ok");
          continue;
        }
        const bytes = randomBatch(random);
        for (const host of [disturbed, undisturbed])
          assert.equal(ingest(host, tenant, bytes), "ok");
        const ask = questionOf(random, tenant);
        assert.deepEqual(ask(disturbed), ask(undisturbed));
      }
      for (let tenant = 0; tenant < 3; tenant++) {
        assert.equal(disturbed.stateHash(tenant), undisturbed.stateHash(tenant));
      }
      assert.equal(disturbed.stats.replayFailures, 0);
    }),
    { numRuns: 30 },
  );
});

/** One by chance; in this guest they leave a trace, so a replay without them would show. */
function questionOf(random: Random, tenant: number): (host: IsolateHost) => unknown {
  const limit = random.below(9);
  const span = SPANS[random.below(SPANS.length)]!;
  const settings = { clock: "wall", spans: random.below(32) } as const;
  return [
    (host: IsolateHost) => host.trending(tenant, limit, "trend"),
    (host: IsolateHost) => host.summary(tenant, span, limit),
    (host: IsolateHost) => host.conversations(tenant, limit),
    (host: IsolateHost) => host.conversation(tenant, "é".repeat(limit)),
    (host: IsolateHost) => host.sketch(tenant, span),
    (host: IsolateHost) => host.reconfigure(tenant, settings),
  ][random.below(6)]!;
}

test("what is asked of a tenant comes in, and what it answers comes out", () => {
  const host = newHost({ slotCount: 1 });
  openAll(host, 2);
  assert.equal(ingest(host, 0, writeBatch([{ tsMs: 16, text: "hello" }])), "ok");
  const { report: summary } = host.summary(0, "tenMinutes", 8);
  assert.equal(summary?.span, "tenMinutes");
  assert.equal(summary.eventCount, 1);
  assert.ok(summary.terms.some(({ term }) => term === "hello"));
  assert.ok(
    summary.metrics.some(({ name, quantiles }) => name === "hello" && quantiles.length > 0),
  );
  assert.equal(host.conversations(0, 3).report?.length, 3);
  assert.equal(host.conversation(0, "naïve ☕!").report?.item.id, "naïve ☕!");
  assert.deepEqual(host.conversation(0, "even"), { outcome: "ok", report: undefined });
  assert.deepEqual(host.conversation(0, "x".repeat(129)), { outcome: "ok", report: undefined });
  const sketch = host.sketch(0, "all").report!;
  const copy = sketch.slice();
  // The other tenant takes the only slot: what was copied out is not its memory.
  assert.equal(ingest(host, 1, commandBatch("paint", 1)), "ok");
  assert.deepEqual(sketch, copy);
  assert.equal(sketch.length, 64);
});

test("events with a refused metric are counted, whatever their fate", () => {
  const host = newHost();
  openAll(host, 1);
  const events = [16, 17, 18, 3].map((tsMs) => ({ tsMs, weight: 4 }));
  assert.equal(ingest(host, 0, writeBatch(events)), "ok");
  assert.deepEqual([...fates.subarray(0, 4)], [8, 9, 10, 3]);
  assert.deepEqual([...report], [1, 1, 1, 1, 3]);
});

test("a journal that is full is written down, and a failure after it loses nothing", () => {
  const host = newHost({ slotCount: 1 });
  const undisturbed = newHost();
  const big = writeBatch([{ text: "x".repeat(16_000), tsMs: 8 }]);
  for (const each of [host, undisturbed]) {
    openAll(each, 1);
    for (let turn = 0; turn < 10; turn++) assert.equal(ingest(each, 0, big), "ok");
  }
  assert.ok(host.stats.commits >= Math.floor((10 * big.length) / JOURNAL_BYTES));
  assert.equal(ingest(host, 0, commandBatch("trap")), "trapped");
  assert.equal(host.stateHash(0), undisturbed.stateHash(0));
});

test("a tenant that fails to open is not open, and is quarantined in the end", async () => {
  const text: string = await print(component);
  const configure = /\(export "nexuscore:tenant\/summarize@0.1.0#configure" \(func \d+\)\)/;
  const found = configure.exec(text)![0];
  const failing = text
    .replace(found, found.replace(/\(func \d+\)/, "(func $fail)"))
    .replace("    (@producers", "    (func $fail (param i32 i32) unreachable)\n    (@producers");
  const host = newHost({ strikeCountMax: 2 });
  openAll(host, 1);
  const number = host.admit(await parse(failing));
  assert.equal(number, 1);
  for (const outcome of ["trapped", "trapped", "quarantined"]) {
    assert.equal(host.open(1, number, { clock: "wall", spans: ALL_SPANS }), outcome);
    assert.equal(host.isOpen(1), false);
  }
  assert.equal(host.lastFailure(1), "trapped");
  host.close(1);
  assert.equal(host.open(1, 0, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.stateHash(0), host.stateHash(1));
});

test("two components share few slots, and never an instance", async () => {
  const other = await parse(
    (await print(component)).replace("    (@producers", "(func)    (@producers"),
  );
  for (const slotCount of [1, 2, 3]) {
    const host = newHost({ slotCount });
    const alone = newHost();
    const numbers = [host.admit(component), host.admit(other)];
    assert.deepEqual(numbers, [0, 1]);
    openAll(alone, 6);
    for (let tenant = 0; tenant < 6; tenant++) {
      assert.equal(
        host.open(tenant, numbers[tenant % 2]!, { clock: "wall", spans: ALL_SPANS }),
        "ok",
      );
    }
    const random = new Random(slotCount);
    for (let turn = 0; turn < 200; turn++) {
      const tenant = random.below(6);
      const bytes = randomBatch(random);
      for (const each of [host, alone]) assert.equal(ingest(each, tenant, bytes), "ok");
    }
    for (let tenant = 0; tenant < 6; tenant++) {
      assert.equal(host.stateHash(tenant), alone.stateHash(tenant));
    }
  }
});

test("a thread that got no CPU blames nobody, until the CPU adds up", () => {
  let cpuMs = 0;
  let stepMs = 0;
  const host = newHost({ turnMsMax: 10, threadCpuMs: () => (cpuMs += stepMs) });
  openAll(host, 1);
  const before = host.stateHash(0);
  const spin = commandBatch("spin");
  const slice = (): void => void ingest(host, 0, spin);
  for (let count = 0; count < 3; count++) {
    assert.equal(host.runSlice(slice), "timedOut");
    assert.equal(host.timedOutTenant, -1);
    assert.equal(host.strikeCount(0), 0);
  }
  stepMs = 2; // Of 10 ms the thread runs 2: half the limit is there in the third slice.
  const spuriousBefore = host.stats.spuriousTimeouts;
  while (host.timedOutTenant === -1) assert.equal(host.runSlice(slice), "timedOut");
  assert.ok(host.stats.spuriousTimeouts - spuriousBefore >= 2);
  assert.equal(host.timedOutTenant, 0);
  assert.equal(host.strikeCount(0), 1);
  assert.equal(host.lastFailure(0), "exceededTime");
  assert.equal(host.stats.timeouts, 1);
  assert.equal(host.stateHash(0), before);
});

test("what a slice throws is thrown on, and the next slice runs", () => {
  const host = newHost({ turnMsMax: 2_000 });
  assert.throws(
    () =>
      host.runSlice(() => {
        throw new Error("a bug");
      }),
    /a bug/,
  );
  let ran = false;
  assert.equal(
    host.runSlice(() => void (ran = true)),
    "done",
  );
  assert.equal(ran, true);
});

test("a host interrupted at any statement loses no turn and makes none twice", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  const tenantCount = 12;
  const turns: { tenant: number; bytes: Uint8Array }[] = [];
  for (let turn = 0; turn < 12_000; turn++) {
    const tenant = random.below(tenantCount);
    const bytes = random.chance(1, 9)
      ? commandBatch("hog", 1 + random.below(14))
      : randomBatch(random);
    turns.push({ tenant, bytes });
  }
  const undisturbed = newHost({ slotCount: 16 });
  openAll(undisturbed, tenantCount);
  for (const { tenant, bytes } of turns) assert.equal(ingest(undisturbed, tenant, bytes), "ok");

  // A limit of one millisecond ends nearly every slice, wherever it stands.
  const host = newHost({ slotCount: 2, turnMsMax: 1, threadCpuMs: () => 0 });
  openAll(host, tenantCount);
  let interruptions = 0;
  const slice = (): void => {
    // The host's count is the cursor: it moves in the moment in which the turn comes to count.
    while (host.stats.turns < turns.length) {
      const { tenant, bytes } = turns[host.stats.turns]!;
      ingest(host, tenant, bytes);
    }
  };
  while (host.runSlice(slice) === "timedOut") interruptions += 1;
  assert.equal(host.stats.replayFailures, 0, `SEED=${seed}`);
  assert.ok(interruptions > 10, `SEED=${seed}: only ${interruptions} interruptions`);
  for (let tenant = 0; tenant < tenantCount; tenant++) {
    assert.equal(host.stateHash(tenant), undisturbed.stateHash(tenant), `SEED=${seed} ${tenant}`);
  }
});
