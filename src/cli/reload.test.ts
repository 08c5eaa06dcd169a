import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LiveConfig } from "#config/live.ts";
import { loadConfig, type LoadedConfig } from "#config/load.ts";
import { openLog } from "#observe/log.ts";
import { reload } from "./reload.ts";

test("reload: what is right is taken, what is wrong changes nothing and is told", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-reload-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "f.yaml");
  const lines: Record<string, unknown>[] = [];
  const log = openLog("info", { write: (line) => void lines.push(JSON.parse(line) as never) });
  const flags = { udpPort: "9" };
  const read = (): LoadedConfig => loadConfig({ file, environment: {}, flags });
  const write = (text: string): void => writeFileSync(file, text);

  write("slowRequestMs: 1\n");
  const live = new LiveConfig(read().config);
  live.onChange(({ logLevel }) => void (log.level = logLevel));

  write("slowRequestMs: 2\nlogLevel: warn\nhttpPort: 8\nudpPort: 7\n");
  assert.deepEqual(reload(live, read, log)?.changed.toSorted(), ["logLevel", "slowRequestMs"]);
  assert.equal(live.current.slowRequestMs, 2);
  assert.equal(live.current.httpPort, 7070);
  assert.equal(log.level, "warn");
  assert.equal(lines.at(-1)!["message"], "options read again; some need a restart");
  assert.deepEqual(lines.at(-1)!["needRestart"], ["httpPort"], "the flag still wins over the file");

  write("slowRequestMs: 3\nlogLevel: loud\nhttpPrt: 1\n");
  assert.equal(reload(live, read, log), undefined);
  assert.equal(live.current.slowRequestMs, 2);
  const { level, mistakes } = lines.at(-1) as { level: string; mistakes: string[] };
  assert.equal(level, "error");
  assert.deepEqual(
    mistakes.map((mistake) => mistake.replace(file, "f")),
    [
      "f:3:1: httpPrt is no option; did you mean httpPort?",
      'f:2:11: logLevel is "loud"; use one of debug, info, warn, error, silent.',
    ],
  );

  rmSync(file);
  assert.equal(reload(live, read, log), undefined, "a file that is gone is no empty file");
  assert.match(String(lines.at(-1)!["mistakes"]), /cannot be read/);

  write("slowRequestMs: 2\nlogLevel: info\nhttpPort: 7070\n");
  reload(live, read, log);
  assert.equal(lines.at(-1)!["message"], "options read again", "said although the level was warn");
  assert.equal(lines.length, 4);
});
