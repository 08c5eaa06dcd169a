// Rolling texts, word for word on small conversations and read beside real IRC logs. SHOW=1 prints
// what the summaries of the logs say.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import test from "node:test";
import { Random } from "#std/random.ts";
import { cueTables } from "../../scripts/cue-tables.ts";
import { ConversationsProbe, type Line, type Said, type Text } from "./testing/conversations.ts";

const START_MS = 1_700_000_000_000;
/** Laid beside the project where it is developed; not a part of it. */
const IRC_FOLDER = resolve(import.meta.dirname, "../../../shared/data/irc_disentanglement");
const skip = existsSync(IRC_FOLDER) ? false : "the IRC logs are not here";

/** A conversation of "user: text" lines, ids 1, 2, 3 …; what is known of it in the end. */
function after(lines: string): Text {
  const probe = new ConversationsProbe();
  for (const [index, line] of lines.trim().split("\n").entries()) {
    const [, user, text] = /^\s*(\w+): (.*)$/.exec(line)!;
    const tsMs = START_MS + index * 20_000;
    probe.say({ conversation: "c", id: `${index + 1}`, user: user!, text: text!, tsMs });
  }
  return probe.find("c")!.text;
}

function ids(lines: readonly Line[]): string {
  return lines.map(({ eventId }) => eventId).join(" ");
}

test("a thread reads as what was said, what is open and what was settled", () => {
  const text = after(`
    ann: the nightly build fails on the arm runners since monday
    bob: same error as last month, the linker runs out of memory
    cid: should we pin the old linker version until upstream fixes it?
    ann: cid: pinning sounds fine, the old version built without problems
    bob: ok, let's pin the linker for the arm runners this week
    dee: who has access to the runner images?
  `);
  assert.equal(
    text.text,
    "ann: “the nightly build fails on the arm runners since monday” " +
      "bob: “same error as last month, the linker runs out of memory” " +
      "cid: “should we pin the old linker version until upstream fixes it?” " +
      "Open: dee asks “who has access to the runner images?”. " +
      "Settled: bob: “ok, let's pin the linker for the arm runners this week”.",
  );
  assert.equal(ids(text.lines), "1 2 3 5 6");
  assert.equal(ids(text.openQuestions), "6");
  assert.equal(ids(text.decisions), "5");
});

/** More people than among whom any yes is for whoever asked last. */
const CROWD = [1, 2, 3, 4, 5, 6].map((n) => `crowd${n}: good morning number${n}`).join("\n");

/** Conversations, and the ids of the questions that are open in the end, the newest first. */
const QUESTIONS: readonly (readonly [name: string, lines: string, open: string])[] = [
  ["asked and not answered", "ann: where do I find the crash logs?", "1"],
  ["answered by name", "ann: where do I find the crash logs?\nbob: ann: in the temp folder", ""],
  ["answered with @", "ann: where are the crash logs?\nbob: @Ann in the temp folder", ""],
  ["answered about the same", "ann: where are the crash logs?\nbob: crash logs go to disk c", ""],
  ["not by something else", "ann: where are the crash logs?\nbob: the printer is on fire", "1"],
  ["not by oneself", "ann: where are the crash logs?\nann: crash logs would help a lot", "1"],
  [
    "not by a question back",
    "ann: where are the crash logs?\nbob: ann: which operating system is it?",
    "2 1",
  ],
  ["not by a shrug", "ann: where are the crash logs?\nbob: ann: no idea", "1"],
  ["thanks: it is over", "ann: where are the crash logs?\nann: never mind, found it", ""],
  [
    "yes, right behind it, among many",
    `${CROWD}\nann: does the installer need admin rights?\nbob: yes`,
    "",
  ],
  [
    "not by a yes that is for somebody else",
    `${CROWD}\nann: does the installer need admin rights?\neve: hello all\nbob: yes`,
    "7",
  ],
  [
    "not by a yes to something else, among many",
    `${CROWD}\nann: does the installer need admin rights?\nbob: yes, lunch tastes great today`,
    "7",
  ],
  ["yes, among few", "ann: does the installer need admin rights?\nbob: yes", ""],
  ["whoever was asked speaks", "ann: bob: which kernel is it?\nbob: 5.15 from backports", ""],
  ["asked again", "ann: where are the crash logs?\nann: so where are the crash logs?", "2"],
  [
    "newest first",
    "ann: where are crash logs archived?\nbob: who wrote the installer script?",
    "2 1",
  ],
  ["without a mark", "ann: does anyone know a good pdf editor", "1"],
  [
    "three at most",
    [1, 2, 3, 4].map((n) => `u${n}: what is zone${n} rack${n}?`).join("\n"),
    "4 3 2",
  ],
  ["not a grunt", "ann: huh?\nann: really?\nann: ?", ""],
  ["not a link", "ann: see http://example.org/page?name=value for pictures", ""],
  ["not a path with a mark", "ann: run the setup program with /? at the end", ""],
  [
    "not a proposal",
    "ann: have you tried the safe graphics mode?\nann: why not boot from disc?",
    "",
  ],
  ["a proposal answers", "ann: where are the crash logs?\nbob: ann: have you tried logcat?", ""],
  ["in Japanese", "ann: ログファイルはどこにありますか？", "1"],
  ["in Arabic", "ann: كيف يمكنني تثبيت البرنامج الجديد؟", "1"],
  ["not a command", "ann: !help why does nothing work?", ""],
  ["not a bot", "ubottu: why does nothing work in this channel?", ""],
];

for (const [name, lines, open] of QUESTIONS) {
  test(`questions: ${name}`, () => assert.equal(ids(after(lines).openQuestions), open));
}

const DECISIONS = `
  ok, let's move the meeting to thursday
  we decided to drop support for the old api
  we'll ship the release on monday without the importer
  I'll go with the smaller server then
  agreed on the new naming scheme for tables
  done: migrated the billing database
  fixed the login redirect by clearing the cache
  turns out the cable was broken
  going with postgres for the reports
  +1 to renaming the column
  right, so we’re going with the blue logo
  hm, I decided against the upgrade for this laptop
`;
const NO_DECISIONS = `
  let's see what the kernel log says
  lets you change the theme of the panel
  we'll see whether the driver loads
  should we decide on the database today?
  is the printer bug fixed in the new release?
  the font has a fixed width in terminals
  if it fails again we'll reinstall the server
  I have no idea what they decided about licences
  fixed
  the agreed price was too high for the client
  who decided on this horrible colour scheme
  thanks for the help with the network card
`;

test("decisions are known by how a clause begins", () => {
  for (const line of DECISIONS.trim().split("\n")) {
    assert.equal(ids(after(`ann: ${line.trim()}`).decisions), "1", line);
  }
  for (const line of NO_DECISIONS.trim().split("\n")) {
    assert.equal(ids(after(`ann: ${line.trim()}`).decisions), "", line);
  }
});

test("greetings, commands, bots, bare links and repeats are no summary", () => {
  const text = after(`
    ann: hi all
    bob: !ops
    ubottu: Help! the channel emergency operators are called: eve, mallory, trent
    cid: https://example.org/some/long/page
    dee: lol
    eve: brb
    fay: the harbour bridge is closed because of the storm
    gus: the harbour bridge is closed because of the storm
  `);
  assert.equal(text.text, "fay: “the harbour bridge is closed because of the storm”");
});

test("what answers a command is not taken for speech", () => {
  const text = after(`
    ann: !sound
    infohelper: If you have problems with sound click on the volume icon and check the mixer
    bob: the volume icon is missing from my panel since the upgrade
  `);
  assert.equal(ids(text.lines), "3");
});

test("an event without id is called by its number, one without user by nobody's name", () => {
  const probe = new ConversationsProbe();
  probe.say({ user: "ann", text: "the train to the harbour is late" });
  probe.say({ text: "where does the replacement bus stop?" });
  const text = probe.ownText();
  assert.equal(
    text.text,
    "ann: “the train to the harbour is late” " +
      "Open: somebody asks “where does the replacement bus stop?”.",
  );
  assert.equal(ids(text.lines), "e1 e2");
  assert.equal(text.lines[1]!.user, "");
});

test("a tenant's own text hears all conversations, a conversation only its own", () => {
  const probe = new ConversationsProbe();
  probe.say({ conversation: "a", user: "ann", text: "the database migration took nine hours" });
  probe.say({
    conversation: "b",
    user: "bob",
    text: "lunch moved to the italian place downstairs",
  });
  assert.equal(probe.ownText().lines.length, 2);
  assert.equal(ids(probe.find("a")!.text.lines), "e1");
  assert.equal(ids(probe.find("b")!.text.lines), "e2");
});

test("lines are in order of time, also when a message comes late", () => {
  const probe = new ConversationsProbe();
  const say = (text: string, tsMs: number) => probe.say({ user: text.slice(0, 3), text, tsMs });
  say("ann cannot reach the mail server", START_MS);
  say("bob restarted the mail relay twice", START_MS + 60_000);
  say("cid saw certificate warnings before that", START_MS + 30_000);
  assert.equal(ids(probe.ownText().lines), "e1 e3 e2");
});

test("long text is cut at a word; cutting splits no character", () => {
  const probe = new ConversationsProbe();
  probe.say({ user: "ann", text: `the café closes early ${"très tôt ce soir ".repeat(30)}` });
  const [line] = probe.ownText().lines;
  assert.match(line!.text, /^the café closes early .*(très|tôt|ce|soir)…$/);
  assert.ok(Buffer.byteLength(line!.text) <= 160);
});

test("a line gives way to one that is better by the margin, the least line first", () => {
  const probe = new ConversationsProbe();
  const rich = (start: string) =>
    Array.from({ length: 8 }, (_, index) => `${start}${"abcdefgh"[index]}zurk`).join(" ");
  const shown = () => ids(probe.ownText().lines);
  probe.say({ user: "ann", text: rich("p") });
  probe.say({ user: "bob", text: "printer jams" });
  probe.say({ user: "cid", text: rich("q") });
  probe.say({ user: "dee", text: "window broken" });
  probe.say({ user: "eve", text: rich("r") });
  assert.equal(shown(), "e1 e2 e3 e4 e5");
  probe.say({
    user: "fay",
    text: "harbour bridge closed because heavy storm over there again",
  });
  assert.equal(shown(), "e1 e2 e3 e4 e5", "better than the least, but not by the margin");
  probe.say({ user: "gus", text: rich("s") });
  assert.equal(shown(), "e1 e3 e4 e5 e7");
  probe.say({ user: "ann", text: rich("p").replace("pazurk", "tazurk") });
  assert.equal(shown(), "e1 e3 e4 e5 e7", "nearly what is shown already");
});

test("of a long message, the question or the decision is what is shown", () => {
  const story = "the old machine in the basement has two disks and boots from the second one";
  const text = after(`
    ann: ${story}, since the update it stops. How do I get   the boot menu back?
    bob: ann: ${story}, so in the end I’m off. We decided to replace the machine next week
  `);
  assert.equal(text.lines[1]!.text, "…We decided to replace the machine next week");
  const [open] = after(`ann: ${story}. How do I get   the menu back?`).openQuestions;
  assert.equal(open!.text, `${story}. How do I get the menu back?`);
  const [long] = after(`ann: ${story}, ${story}. How do I get  the menu back?`).openQuestions;
  assert.equal(long!.text, "…How do I get the menu back?");
});

test("the table of cues is made of cues.txt", () => {
  const path = resolve(import.meta.dirname, "assembly/cues.gen.ts");
  assert.equal(readFileSync(path, "utf8"), cueTables(), "run scripts/cue-tables.ts");
});

const TOPICS = [
  "printer paper tray jams whenever duplex mode starts",
  "harbour bridge closed because heavy storm damaged cables",
  "login server rejects certificates after nightly renewal",
];

function topicMessage(topic: number, random: Random): string {
  const words = TOPICS[topic]!.split(" ");
  const from = random.below(words.length - 4);
  return `${words.slice(from, from + 4).join(" ")} ${words[random.below(words.length)]}`;
}

test("the text follows the topic, old lines fade", () => {
  const probe = new ConversationsProbe();
  const random = new Random(4);
  const topicsShown = () =>
    probe.ownText().lines.map(({ text }) => TOPICS.findIndex((topic) => shares(topic, text)));
  for (let index = 0; index < 60; index++) {
    probe.say({ user: `user${random.below(6)}`, text: topicMessage(0, random) });
  }
  assert.ok(topicsShown().every((topic) => topic === 0));
  for (let index = 0; index < 350; index++) {
    probe.say({ user: `user${random.below(6)}`, text: topicMessage(1, random) });
  }
  assert.ok(
    topicsShown().every((topic) => topic === 1),
    topicsShown().join(),
  );
});

function shares(topic: string, text: string): boolean {
  return text.split(" ").some((word) => word.length > 4 && topic.split(" ").includes(word));
}

test("nothing changes while nothing new is said", () => {
  const probe = new ConversationsProbe();
  const lines = TOPICS.map((text, index) => ({ user: `user${index}`, text, conversation: "c" }));
  for (const line of lines) probe.say(line);
  const { revision, text } = probe.find("c")!.text;
  for (let index = 0; index < 30; index++) probe.say(lines[index % 3]!);
  for (let index = 0; index < 30; index++)
    probe.say({ conversation: "c", user: "eve", text: "lol" });
  assert.equal(probe.find("c")!.text.text, text);
  assert.equal(probe.find("c")!.text.revision, revision);
});

test("the revision rises with every change of the text, and with nothing else", () => {
  const probe = new ConversationsProbe();
  const random = new Random(8);
  let last = probe.ownText();
  for (let index = 0; index < 600; index++) {
    const ends = ["", "?", " thanks"][random.below(3)]!;
    const text = random.below(3) === 0 ? "ok" : topicMessage(random.below(3), random) + ends;
    probe.say({ user: `user${random.below(9)}`, text });
    const now = probe.ownText();
    assert.ok(now.revision >= last.revision);
    if (now.revision === last.revision) assert.deepEqual(now, last);
    else assert.notDeepEqual(now.lines, last.lines);
    last = now;
  }
  assert.ok(last.revision > 10);
});

// Real chat.

type Message = Said & { readonly text: string; readonly user: string; readonly tsMs: number };

function readLog(path: string): Message[] {
  const messages: Message[] = [];
  let dayMs = Date.UTC(2020, 0, 1);
  let last = -1;
  for (const [index, line] of readFileSync(path, "utf8").split("\n").entries()) {
    const [, hours, minutes, user, text] = /^\[(\d\d):(\d\d)\] <([^>]+)> (.*)$/.exec(line) ?? [];
    if (user === undefined || text === undefined) continue;
    const minute = Number(hours) * 60 + Number(minutes);
    if (minute < last) dayMs += 86_400_000;
    last = minute;
    messages.push({ id: `${index}`, user, text, tsMs: dayMs + minute * 60_000 });
  }
  return messages;
}

/** The message, or a part of it with "…" where something is left out. */
function excerptOf(line: Line, message: Message): boolean {
  const whole = message.text.replaceAll(/\s+/g, " ").trim();
  if (line.text === whole) return true;
  const part = line.text.replace(/^…/, "").replace(/…$/, "");
  if (!whole.includes(part)) return false;
  return line.text.endsWith("…") ? true : whole.endsWith(part);
}

function checkText(text: Text, messages: ReadonlyMap<string, Message>, saidMax: number): void {
  assert.ok(text.lines.filter(({ kind }) => kind === "said").length <= saidMax);
  assert.ok(text.openQuestions.length <= 3);
  assert.ok(text.decisions.length <= 3);
  const times = text.lines.map(({ tsMs }) => tsMs);
  assert.deepEqual(
    times,
    times.toSorted((left, right) => left - right),
  );
  for (const line of text.lines) {
    const message = messages.get(line.eventId);
    assert.ok(message !== undefined, `${line.eventId} is no message`);
    assert.equal(line.user, message.user);
    assert.equal(line.tsMs, message.tsMs);
    assert.ok(excerptOf(line, message), `${line.text} is not what was said`);
    assert.ok(Buffer.byteLength(line.text) <= 160);
    assert.ok(text.text.includes(`“${line.text}”`));
  }
}

const logs = skip === false ? globSync(`${IRC_FOLDER}/*/*.ascii.txt`).toSorted() : [];

test(
  "real chat: every line is a message, bounds hold, and the text does not flicker",
  { skip },
  () => {
    let messageCount = 0;
    const changes = { own: 0, conversation: 0 };
    for (const path of logs) {
      const log = readLog(path);
      const messages = new Map(log.map((message) => [message.id!, message]));
      const probe = new ConversationsProbe();
      const shown = { own: "", conversation: "" };
      for (const message of log) {
        probe.say({ ...message, conversation: "channel" });
        const texts = { own: probe.ownText(), conversation: probe.find("channel")!.text };
        for (const scope of ["own", "conversation"] as const) {
          checkText(texts[scope], messages, scope === "own" ? 5 : 3);
          const said = ids(texts[scope].lines.filter(({ kind }) => kind === "said"));
          if (said !== shown[scope]) changes[scope]++;
          shown[scope] = said;
        }
        messageCount++;
      }
    }
    assert.ok(messageCount > 10_000);
    for (const [scope, count] of Object.entries(changes)) {
      const perHundred = (count / messageCount) * 100;
      assert.ok(
        perHundred > 1 && perHundred < 9,
        `${scope}: ${perHundred} changes in 100 messages`,
      );
    }
  },
);

/** Threads as people have told them apart, from the annotations beside the logs. */
function readThreads(path: string): Map<number, Message[]> {
  const parents = new Map<number, number>();
  const root = (line: number): number => {
    const parent = parents.get(line) ?? line;
    return parent === line ? line : root(parent);
  };
  const annotations = readFileSync(path.replace("ascii", "annotation"), "utf8");
  for (const [, from, to] of annotations.matchAll(/^(\d+) (\d+) -/gm)) {
    parents.set(root(Number(from)), root(Number(to)));
  }
  const threads = new Map<number, Message[]>();
  for (const message of readLog(path)) {
    const line = Number(message.id);
    if (path.includes("/dev/") && line < 1000) continue;
    const thread = threads.get(root(line)) ?? [];
    thread.push(message);
    threads.set(root(line), thread);
  }
  return threads;
}

test("real threads: few questions stay open that somebody has answered", { skip }, () => {
  let open = 0;
  let alone = 0;
  let asked = 0;
  for (const path of logs) {
    for (const thread of readThreads(path).values()) {
      const probe = new ConversationsProbe();
      for (const message of thread) probe.say({ ...message, conversation: "thread" });
      const { openQuestions } = probe.find("thread")!.text;
      asked += thread.filter(({ text }) => text.endsWith("?")).length;
      for (const { eventId, user } of openQuestions) {
        const behind = thread.slice(thread.findIndex(({ id }) => id === eventId) + 1);
        open++;
        if (behind.every((message) => message.user === user)) alone++;
      }
    }
  }
  assert.ok(asked > 300, `${asked} questions`);
  assert.ok(open < asked / 3, `${open} of ${asked} are open`);
  assert.ok(alone / open > 0.6, `${alone} of ${open} had nobody speak after them`);
});

test("real chat: a summary to be read beside the log", { skip }, () => {
  const path = logs.find((name) => name.includes("2009-02-23_10"))!;
  const probe = new ConversationsProbe();
  for (const message of readLog(path)) probe.say({ ...message, conversation: "#ubuntu" });
  const { participants, text, item } = probe.find("#ubuntu")!;
  if (process.env["SHOW"] === "1") {
    process.stdout.write(`${probe.ownText().text}\n\n${text.text}\n\n`);
    process.stdout.write(`${JSON.stringify(item)} ${JSON.stringify(participants)}\n\n`);
    for (const thread of readThreads(path).values()) {
      if (thread.length < 6) continue;
      const one = new ConversationsProbe();
      for (const message of thread) one.say({ ...message, conversation: "thread" });
      const log = thread.map((message) => `  <${message.user}> ${message.text}`).join("\n");
      process.stdout.write(`${log}\n→ ${one.find("thread")!.text.text}\n\n`);
    }
  }
  assert.ok(text.text.length > 100);
  assert.ok(participants.length === 8);
});

test("real chat: the worked example of docs/summaries.md", { skip }, () => {
  const path = logs.find((name) => name.includes("2016-12-19_20"))!;
  const thread = [...readThreads(path).values()].find(([first]) => first?.id === "1028")!;
  const probe = new ConversationsProbe();
  const revisions: string[] = [];
  for (const message of thread) {
    probe.say({ ...message, conversation: "thread" });
    const { revision } = probe.find("thread")!.text;
    if (revisions.length < revision) revisions.push(message.id!);
  }
  const { text, participants } = probe.find("thread")!;
  assert.equal(
    text.text,
    "groob: “…What is the best way to get the bootloader to automatically update if OS2 has a " +
      "kernel update?” corba: “groob, I guess the easiest way is to instal grub customizer in " +
      "os2, and when you update the kernel, also update grub…” Settled: groob: “…I'll try using " +
      "a dedicated boot partition instead. The biggest downside that I can think of is that the " +
      "partition…”.",
  );
  assert.deepEqual(revisions.join(" "), "1028 1030 1035 1054 1079 1083 1085 1089");
  assert.deepEqual(participants, [
    { user: "groob", eventCount: 15 },
    { user: "corba", eventCount: 9 },
    { user: "Bashing-om", eventCount: 4 },
  ]);
});
