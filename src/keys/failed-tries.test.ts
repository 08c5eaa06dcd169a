import { KEY_TRIES_MAX, KEY_TRIES_MS, KEY_TRY_ADDRESSES_MAX } from "#model/limits.ts";
import assert from "node:assert/strict";
import test from "node:test";
import { FailedTries } from "./failed-tries.ts";

const NOW = 1_795_000_000_000;

function fill(tries: FailedTries, address: string, nowMs = NOW): void {
  for (let i = 0; i < KEY_TRIES_MAX; i++) tries.add(address, nowMs);
}

test("tries: an address waits for a minute after too many, others do not", () => {
  const tries = new FailedTries();
  fill(tries, "a");
  assert.equal(tries.waitSeconds("a", NOW), KEY_TRIES_MS / 1_000);
  assert.equal(tries.waitSeconds("b", NOW), 0);
  assert.equal(tries.waitSeconds("a", NOW + KEY_TRIES_MS), 0);
});

test("tries: a clock that is set back makes nobody wait for longer", () => {
  const tries = new FailedTries();
  fill(tries, "a");
  assert.equal(tries.waitSeconds("a", NOW - 3_600_000), 0);
  fill(tries, "a", NOW - 3_600_000);
  assert.equal(tries.waitSeconds("a", NOW - 3_600_000), KEY_TRIES_MS / 1_000);
});

test("tries: of addresses without end so many are remembered", () => {
  const tries = new FailedTries();
  for (let i = 0; i < KEY_TRY_ADDRESSES_MAX + 1_000; i++) tries.add(`a${i}`, NOW);
  assert.equal(tries.size, KEY_TRY_ADDRESSES_MAX);
});
