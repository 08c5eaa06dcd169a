import assert from "node:assert/strict";
import test from "node:test";
import { ALL_SPANS, withAlways } from "#model/window.ts";
import { flagsOfSettings, settingsOfFlags, TENANT_QUARANTINED } from "./tenant-flags.ts";

test("settings survive in a byte of flags, whatever the windows; a fresh tenant keeps all", () => {
  assert.deepEqual(settingsOfFlags(0), { clock: "wall", spans: ALL_SPANS });
  for (const clock of ["wall", "event"] as const) {
    for (let spans = 0; spans <= ALL_SPANS; spans++) {
      const flags = flagsOfSettings({ clock, spans });
      assert.ok(flags >= 0 && flags <= 255, `${flags}`);
      assert.equal(flags & TENANT_QUARANTINED, 0);
      const expected = { clock, spans: withAlways(spans) };
      assert.deepEqual(settingsOfFlags(flags), expected);
      assert.deepEqual(settingsOfFlags(flags | TENANT_QUARANTINED), expected);
    }
  }
});
