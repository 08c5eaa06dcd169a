import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveConfig } from "./live.ts";
import { loadConfig } from "./load.ts";

function configWith(flags: Record<string, string>) {
  return loadConfig({ file: undefined, environment: {}, flags }).config;
}

test("live options: those that may change do, of the others it is told that they do not", () => {
  const live = new LiveConfig(configWith({}));
  const heard: string[] = [];
  live.onChange(({ logLevel, httpPort }) => heard.push(`${logLevel} ${httpPort}`));
  const taken = live.take(configWith({ logLevel: "debug", drainMsMax: "9000", httpPort: "1" }));
  assert.deepEqual(taken, { changed: ["drainMsMax", "logLevel"], needRestart: ["httpPort"] });
  assert.equal(live.current.drainMsMax, 9_000);
  assert.equal(live.current.httpPort, 7070);
  assert.deepEqual(heard, ["debug 7070"]);
  const again = live.take(configWith({ logLevel: "debug", drainMsMax: "9000", httpPort: "1" }));
  assert.deepEqual(again, { changed: [], needRestart: ["httpPort"] }, "it is said each time");
  assert.deepEqual(live.take(configWith({ logLevel: "debug", drainMsMax: "9000" })), {
    changed: [],
    needRestart: [],
  });
  assert.equal(heard.length, 1);
});
