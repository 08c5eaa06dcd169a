import assert from "node:assert/strict";
import test from "node:test";
import { newUpgradeCounts, type UpgradeResult } from "#model/component.ts";
import { Upgrades, type UpgradingHost } from "./upgrades.ts";

const OLD = 0;
const NEW = 1;

/** Tenants by number, and what becomes of those that are to move. Each takes a millisecond. */
class FakeHost implements UpgradingHost {
  readonly components: (number | undefined)[];
  readonly upgrades = newUpgradeCounts();
  result: (tenant: number) => UpgradeResult = () => "moved";
  clockMs = 0;
  settledCount = 0;

  constructor(components: (number | undefined)[]) {
    this.components = components;
  }

  readonly isOpen = (tenant: number): boolean => this.components[tenant] !== undefined;

  readonly componentNumber = (tenant: number): number => this.components[tenant]!;

  readonly componentCounts = () =>
    [OLD, NEW].map((number) => ({
      digest: `${number}`.repeat(64),
      tenants: this.components.filter((each) => each === number).length,
    }));

  readonly settle = (): void => void this.settledCount++;

  readonly upgrade = (tenant: number, component: number) => {
    this.clockMs += 1;
    const result = this.result(tenant);
    this.upgrades[result] += 1;
    if (result === "moved") this.components[tenant] = component;
    return { result, reason: "", bytes: 9 };
  };
}

function passOver(host: FakeHost) {
  const moved: number[] = [];
  const upgrades = new Upgrades({
    worlds: [{ world: "summarizer", host, component: NEW }],
    tenantCount: () => host.components.length,
    moved: (tenant, world, component) => {
      assert.deepEqual([world, component], ["summarizer", NEW]);
      moved.push(tenant);
    },
    clock: () => host.clockMs,
  });
  return { upgrades, moved };
}

test("tenants move a few a step, in a share of the time, until all have", () => {
  const host = new FakeHost(
    Array.from({ length: 300 }, (_, tenant) => [OLD, NEW, undefined][tenant % 3]),
  );
  const { upgrades, moved } = passOver(host);
  let nowMs = 1000;
  upgrades.step(nowMs, () => true);
  assert.equal(moved.length, 0, "no time has passed yet");
  let most = 0;
  while (!upgrades.isOver) {
    const before = moved.length;
    nowMs += 50;
    upgrades.step(nowMs, () => true);
    most = Math.max(most, moved.length - before);
  }
  assert.deepEqual(
    moved,
    Array.from({ length: 100 }, (_, index) => index * 3),
  );
  assert.equal(host.settledCount, 1);
  assert.ok(most <= 6, `${most} in one step of 50 ms`);
  assert.ok(nowMs >= 1000 + 100 * 8, "a tenth of the time");
});

test("who does not move stays, and is tried again later, and nobody else", () => {
  const host = new FakeHost([OLD, OLD, OLD]);
  host.result = (tenant) => (tenant === 1 ? "importRefused" : "moved");
  const { upgrades, moved } = passOver(host);
  for (let nowMs = 1000; nowMs < 3000; nowMs += 100) upgrades.step(nowMs, () => true);
  assert.deepEqual(moved, [0, 2]);
  assert.equal(host.upgrades.importRefused, 1, "once a pass");
  assert.ok(!upgrades.isOver);
  host.result = () => "moved";
  for (let nowMs = 62_000; nowMs < 70_000; nowMs += 100) upgrades.step(nowMs, () => true);
  assert.deepEqual(moved, [0, 2, 1]);
  assert.ok(upgrades.isOver);
});

test("nobody moves while the log has no room, and nobody is passed over", () => {
  const host = new FakeHost([NEW, OLD, OLD]);
  const { upgrades, moved } = passOver(host);
  for (let nowMs = 1000; nowMs < 3000; nowMs += 100) upgrades.step(nowMs, () => false);
  assert.deepEqual([moved, upgrades.isOver], [[], false]);
  for (let nowMs = 3000; nowMs < 5000; nowMs += 100) upgrades.step(nowMs, () => true);
  assert.deepEqual([moved, upgrades.isOver], [[1, 2], true]);
});

test("what tenants run is told when it has changed", () => {
  const host = new FakeHost([OLD, NEW]);
  const { upgrades } = passOver(host);
  const told = upgrades.news(1000);
  assert.deepEqual(told?.components, [
    { world: "summarizer", component: "000000000000", tenants: 1 },
    { world: "summarizer", component: "111111111111", tenants: 1 },
  ]);
  assert.equal(upgrades.news(5000), undefined);
  for (let nowMs = 5000; nowMs < 5500; nowMs += 100) upgrades.step(nowMs, () => true);
  assert.equal(upgrades.news(5500), undefined, "not at once");
  assert.equal(upgrades.news(9000)?.upgrades.moved, 1);
});
