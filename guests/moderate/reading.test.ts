// From text to tokens: disguises undone, and every token where it stood.
import assert from "node:assert/strict";
import fc from "fast-check";
import test from "node:test";
import { forms, put, probe, readingOf, readings } from "./testing/reader.ts";

function table(name: string, rows: readonly [string, string][]): void {
  test(name, () => {
    for (const [text, expected] of rows) assert.equal(forms(text), expected, JSON.stringify(text));
  });
}

table("words are folded, marks and links are none of them", [
  ["", ""],
  ["Hello, WORLD!", "hello world"],
  ["don’t you'll it's", "don't you'll it's"],
  ["see https://example.org/a?b=1 and www.example.org", "see and"],
  ["naïve Ångström Żółw", "naive angstrom zolw"],
  ["12345678 99 x86_64", "#### 99 x86 64"],
  ["rock &amp; roll &#8220;now&#8221; f&#117;ck", "rock roll now fuck"],
  ["sooooo gooood", "soo good"],
]);

table("letters in another dress", [
  ["ｉｄｉｏｔ", "idiot"],
  ["𝖎𝖉𝖎𝖔𝖙 𝒾𝒹𝒾ℴ𝓉", "idiot idiot"],
  ["ⓘⓓⓘⓞⓣ 🅘🅓🅘🅞🅣", "idiot idiot"],
  ["ɪᴅɪᴏᴛ", "idiot"],
  ["ïdíôt i\u0336d\u0336i\u0336o\u0336t\u0336", "idiot idiot"],
  ["іdiоt idіοt", "idiot idiot"],
  ["id\u200bi\u00ado\u2060t \u202eidiot\u202c", "idiot idiot"],
]);

table("a word of another alphabet stays one", [
  ["привет как дела", "привет как дела"],
  ["море рос", "море рос"],
  ["καλημέρα κόσμε", "καλημέρα κόσμε"],
]);

table("digits and signs as letters", [
  ["1d10t 1di0t !diot", "idiot idiot diot"],
  ["@sshole a$$hole a$$", "asshole asshole ass"],
  ["sh!t b1tch k1ll l0s3r", "shit bitch kill loser"],
  ["h4te y0u", "hate you"],
  ["ext3 mp3 1st 2nd h264 i386 x11 v2", "ext3 mp3 1st 2nd h264 i386 x11 v2"],
  ["US$100 $HOME costs $5", "us100 home costs 5"],
  ["hi!there a+b me@example.org", "hi there a b me example org"],
]);

table("stars in place of letters", [
  ["f*ck f**k f*cking", "fuck fuck fucking"],
  ["sh*t b*tch id**t a**hole", "shit bitch idiot asshole"],
  ["f#ck f%ck", "fuck fuck"],
  ["**bold** 2*3 *note*", "bold 2 3 note"],
]);

table("what was taken apart", [
  ["you i d i o t", "you idiot"],
  ["you are a f a g", "you are a fag"],
  ["k.i.l.l y-o-u", "kill you"],
  ["s_h_i_t s h i t", "shit shit"],
  ["k i l l   y o u r s e l f", "kill yourself"],
  ["idi.ot fu-ck sh.it", "idiot fuck shit"],
  ["e.g. i.e. a.m. node.js sources.list", "e g i e a m node js sources list"],
  ["a or b, x y", "a or b x y"],
]);

table("drawn out and doubled letters", [
  ["idiooooot idddiot", "idiot idiot"],
  ["fuuuuck shiiiit", "fuck shit"],
  ["hello all good book", "hello all good book"],
]);

table("tags are their words, mentions are somebody", [
  ["#BuildTheWall", "build the wall"],
  ["#StopHATENow #ubuntu #killalljews", "stop hate now ubuntu kill all jews"],
  ["@sam_1 hi", "hi"],
]);

test("pictures are tokens: base, tone, what is joined, flags", () => {
  assert.equal(forms("👩🏽‍🚀 🏳️‍🌈 🇩🇪 ❤️"), "👩 <tone> 🚀 🏳 🌈 🇩🇪 ❤");
  assert.ok(readingOf("🇩🇪", "🇩🇪").classes.includes("GROUP"));
  assert.ok(readingOf("these 🐀", "🐀").classes.includes("DEHUMANIZING"));
});

test("words that look like a disguise are left alone", () => {
  const plain =
    "class assess passwords cocktail peacock analysis therapist shitake document cucumber " +
    "scunthorpe grape skill hello button title bassist assign deadline screenshot killall whoop";
  for (const reading of readings(plain)) {
    assert.ok(!reading.classes.includes("HOT"), reading.form);
    assert.ok(!reading.isDisguised, reading.form);
  }
});

const pieces = fc.constantFrom(
  "idiot",
  "you ",
  " ",
  "\n",
  "f*ck",
  "i d i o t",
  "k.i.l.l",
  "é",
  "e\u0301",
  "ß",
  "\u200b",
  "&amp;",
  "&#8220;",
  "👩🏽‍🚀",
  "🇩🇪",
  "🏳️‍🌈",
  "שלום",
  "مرحبا",
  "你好世界",
  "カタカナ",
  "한국어",
  "#BuildIt",
  "@sam ",
  "𝖋𝖚",
  "\ud800",
  "\udc00",
  "...",
  "$$",
  "****",
  "'quoted'",
  '"',
  "http://a.b/c ",
  "аss",
  "\u202e",
  "!?",
  "_",
);

test("tokens stand in order, on whole characters, and never overlap", () => {
  const text = fc.oneof(
    fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join("")),
    fc.string({ unit: "binary", maxLength: 120 }),
  );
  fc.assert(
    fc.property(text, (given) => {
      const whole = given.toWellFormed();
      const bytes = new TextEncoder().encode(whole);
      const tokens = readings(whole);
      let last = 0;
      for (const { startByte, endByte } of tokens) {
        assert.ok(startByte >= last && endByte > startByte && endByte <= bytes.length);
        assert.ok((bytes[startByte]! & 0xc0) !== 0x80);
        assert.ok(endByte === bytes.length || (bytes[endByte]! & 0xc0) !== 0x80);
        last = endByte;
      }
      if (/[a-z]/i.test(whole)) assert.ok(tokens.length > 0);
    }),
    { numRuns: 3000 },
  );
});

test("bytes that are no UTF-8 are read without harm", () => {
  const memory = new Uint8Array(probe.memory.buffer, probe.textAt(), 65_536);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      memory.set(bytes);
      assert.ok(probe.read(bytes.length) <= bytes.length);
      for (let index = 0; index < probe.tokenCount(); index++) {
        const view = new DataView(probe.memory.buffer, probe.tokenAddress(index), 48);
        assert.ok(view.getUint32(28, true) <= bytes.length);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a long text is read in stretches that overlap, to its end", () => {
  for (const part of ["a word, ", "i ", "....", "😀", "x".repeat(300), "你好", "f u c k "]) {
    const text = part.repeat(Math.ceil(16_000 / part.length));
    const bytes = put(text);
    const score = new DataView(probe.memory.buffer, probe.scoreMessage(bytes, 3), 128);
    const chunkCount = score.getUint32(76, true);
    assert.ok(chunkCount > 0 && chunkCount < 120, `${part}: ${chunkCount} stretches`);
    probe.clearScratch();
  }
});
