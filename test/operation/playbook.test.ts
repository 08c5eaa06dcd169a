// Whoever is woken by an alert finds it in the playbook, and what the playbook says is there.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { OPTION_NAMES } from "#config/options.ts";
import { buildProgram } from "#cli/cli.ts";
import { PROBLEMS } from "#model/problem.ts";

const PAGES = ["docs/operations.md", "docs/durability.md", "docs/upgrades.md"];

test("every alert has its entry in the playbook, and every entry its alert", () => {
  const rules = readFileSync("deploy/prometheus/alerts.yml", "utf8");
  const alerts = [...rules.matchAll(/^ *- alert: (\w+)/gm)].map(([, name]) => name!);
  const page = readFileSync("docs/operations.md", "utf8");
  const [, playbook = ""] = page.split(/^## 3 AM.*$/m);
  const entries = [...playbook.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!);
  assert(alerts.length >= 10);
  assert.deepEqual(entries.toSorted(), alerts.toSorted());
  for (const part of playbook.split(/^### /m).slice(1)) {
    const [name = "", ...text] = part.split("\n");
    assert(text.join(" ").trim().length > 60, `${name} says what it means and what to do`);
  }
});

test("commands, options, files and links of the operators' pages are there", () => {
  const program = buildProgram(() => undefined);
  for (const page of PAGES) {
    const text = readFileSync(page, "utf8");
    for (const [, words = ""] of text.matchAll(/nexuscore ((?:[a-z-]+ ?){1,2})/g)) {
      const [first = "", second] = words.trim().split(" ");
      const command = program.commands.find((own) => own.name() === first);
      if (command === undefined) continue; // A word of a sentence, or the name of the service.
      const isGroup = command.commands.length > 0 && second !== undefined;
      const names = command.commands.map((own) => own.name());
      if (isGroup) assert(names.includes(second), `${page}: nexuscore ${first} ${second}`);
    }
    for (const [, path = ""] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      assert(existsSync(join(dirname(page), path)), `${page} links to ${path}`);
    }
    for (const [, path = ""] of text.matchAll(/(?:^|\s)(deploy\/[\w./-]+\w)/g)) {
      assert(existsSync(path) || path.endsWith("nexuscore-backup"), `${page} names ${path}`);
    }
    for (const [, code = ""] of text.matchAll(/50[37] `(\w+)`/g)) {
      assert(code in PROBLEMS, `${page}: the problem ${code}`);
    }
    for (const [, name = ""] of text.matchAll(
      /`((?:quota|backup|drain|log|recovery)[A-Z]\w+)\b/g,
    )) {
      assert((OPTION_NAMES as readonly string[]).includes(name), `${page}: the option ${name}`);
    }
  }
});

test("links within a page lead to a heading of it", () => {
  for (const page of PAGES) {
    const text = readFileSync(page, "utf8");
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
    for (const [, anchor = ""] of text.matchAll(/\]\(#([^)]+)\)/g)) {
      assert(anchors.includes(anchor), `${page} has no heading for #${anchor}`);
    }
  }
});
