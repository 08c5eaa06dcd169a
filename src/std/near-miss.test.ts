import assert from "node:assert/strict";
import { test } from "node:test";
import { nearMiss } from "./near-miss.ts";

const NAMES = ["httpHost", "httpPort", "udpPort", "logLevel", "dataDir", "imageBytesMax"];

for (const { written, meant } of [
  { written: "httpPrt", meant: "httpPort" },
  { written: "htpp_port", meant: "httpPort" },
  { written: "HTTPPORT", meant: "httpPort" },
  { written: "logLeevl", meant: "logLevel" },
  { written: "imageBytes", meant: "imageBytesMax" },
  { written: "port", meant: undefined },
  { written: "colour", meant: undefined },
  { written: "", meant: undefined },
  { written: "h".repeat(100_000), meant: undefined },
]) {
  test(`near miss: ${written.slice(0, 20)} -> ${meant}`, () => {
    assert.equal(nearMiss(written, NAMES), meant);
  });
}
