// What holds for every text: bounds, validity, determinism; fingerprints and hashes.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { hash64 } from "../../scripts/text-tables.ts";
import { memory, outStart, print, probe, terms } from "./testing/text-probe.ts";

/** What the rules are about, to be put together in any order. */
const PIECES = [
  [" ", "\n", ", ", ". ", ": ", ":", "'", "’", "-", "_", "@", "#", "&", "+", "++", "/", "://"],
  ["http://", "www.", ".com", ".", "..", "a", "ab", "ubuntu ", "don't ", "404 ", "3", "1️⃣"],
  ["\u20e3", "\ufe0f", "\u200d", "👩", "❤", "🏴", "\u{e0067}", "\u{e007f}", "🇩", "🏽"],
  ["東", "京", "は", "か", "\u3099", "ア", "ー", "한", "\u1112\u1161", "\u11ab", "ไ", "ท"],
  ["\u0e31", "ខ", "\u17d2", "e\u0301", "\u0323", "İ", "Σ", "ς", "ё", "𝓪", "Ａ", "٣", "\0"],
  ["\u00ad", "\u{10ffff}", "aaaa", "hahahaha", "&amp;", "😂😂"],
];
const pieces = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "grapheme", maxLength: 12 }) },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 3, arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 30 }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(...PIECES.flat()),
  },
);
const texts = fc.array(pieces, { maxLength: 80 }).map((parts) => parts.join("").toWellFormed());

test("any text: no trap, bounds kept, terms valid and distinct, the same every time", () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 0, max: 300 }), (text, max) => {
      const found = terms(text, max);
      const fingerprint = probe.fingerprint();
      assert.equal(new Set(found.map(({ text: term }) => term)).size, found.length, "distinct");
      for (const { text: term, kind } of found) {
        assert(kind >= 0 && kind <= 6);
        assert(!/[\n\0]/.test(term), "no controls");
      }
      assert.deepEqual(terms(text, max), found);
      assert.equal(probe.fingerprint(), fingerprint);
      const all = terms(text, 512);
      assert.deepEqual(all.slice(0, found.length), found, "`max` only cuts the list");
      assert.equal(probe.fingerprint(), fingerprint, "`max` does not change the fingerprint");
    }),
    { numRuns: 1_500 },
  );
});

test("any bytes, even no UTF-8: no trap, bounds kept, terms valid", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void terms(bytes, 300)),
    { numRuns: 1_500 },
  );
});

test("composed and decomposed text has the same terms", () => {
  const letters = Array.from("aàâäåéèêëïîôöùûüñçčšžąęőűảấđơư ΐώйў");
  // Few letters at a time, so that they repeat; some of it in a tag.
  const sentence = fc
    .shuffledSubarray(letters, { minLength: 2 })
    .chain((some) => fc.string({ unit: fc.constantFrom(...some, "a", "#"), maxLength: 30 }));
  fc.assert(
    fc.property(sentence, (text) => {
      const fingerprint = print(text.normalize("NFC"));
      const composed = terms(text.normalize("NFC"));
      assert.deepEqual(terms(text.normalize("NFD")), composed);
      assert.equal(BigInt.asUintN(64, probe.fingerprint()), fingerprint);
    }),
    { numRuns: 4_000 },
  );
});

test("long texts stay linear and within bounds, whatever they repeat", () => {
  const units = [
    "a",
    "ab ",
    "a.",
    "a.b ",
    "_",
    "a_",
    "'",
    "a'",
    "@a",
    "#a",
    "http://",
    "a@",
    "&a",
    "a+",
    "++",
    "東",
    "か\u3099",
    "👩‍",
    "❤",
    "❤☀",
    "🇩",
    "ไท",
    "e\u0301",
    "é",
    "\u0301",
    "1,",
    "12:",
    "www.",
    "ア",
    "アa",
    "x.y/",
  ];
  for (const unit of units) {
    const text = unit.repeat(Math.floor(16_384 / Buffer.byteLength(unit)));
    const found = terms(text, 64);
    assert(found.length <= 64, unit);
  }
  const dense = Array.from({ length: 5_000 }, (_, index) => index.toString(36).padStart(2, "q"));
  const text = dense.join(" ").slice(0, 16_384);
  assert.equal(terms(text, 1_000).length, 1_000);
});

test("similar texts of one who repeats himself", () => {
  const base = "join our server now and win a free phone today 12 left";
  const repeats = [
    "join our server now and win a free phone today 11 left",
    "JOIN our SERVER now and win a free PHONE today!!! 9 left",
    "🔥🔥🔥 join our server now and win a free phone today 12 left 🔥",
    "join our server now, and win a free phone today: 12 left join our server now",
    "@alice join our server now and win a free phone today 12 left",
  ];
  for (const repeat of repeats) assert.equal(probe.similar(print(base), print(repeat)), 1, repeat);
  const pairs = [
    ["look https://shop.example.com/a?id=1 cheap", "look https://shop.example.com/b?id=2 cheap"],
    ["build-123 of job42 failed", "build-124 of job43 failed"],
    ["东京地震了 3", "东京地震了 4"],
    ["🎉", "🎉🎉🎉"],
    ["lol", "LOL"],
  ] as const;
  for (const [a, b] of pairs) assert.equal(probe.similar(print(a), print(b)), 1, a);
  const others = [
    "does anybody know why my sound card is not detected",
    "the kernel panics as soon as i mount the second disk",
    "server",
    "🎉",
    "look https://other.example.org/ cheap",
  ];
  for (const [index, text] of others.entries()) {
    assert.equal(probe.similar(print(base), print(text)), 0, text);
    for (const other of others.slice(index + 1)) {
      assert.equal(probe.similar(print(text), print(other)), 0, `${text} / ${other}`);
    }
  }
});

test("no words, no fingerprint; none is similar to none", () => {
  for (const text of ["", " ", "...", "123", "12:30", "$5"]) assert.equal(print(text), 0n, text);
  assert.notEqual(print("a"), 0n);
  assert.equal(probe.similar(0n, 0n), 0);
  print("kernel");
  probe.forgetText();
  assert.equal(probe.fingerprint(), 0n);
});

test("fingerprints follow the overlap of the sets of words", () => {
  const rate = (shared: number): number => {
    let found = 0;
    for (let trial = 0; trial < 400; trial++) {
      const left = Array.from({ length: 20 }, (_, index) => lettersOf(trial * 100 + index));
      const right = left.map((own, index) => (index < shared ? own : `${own}other`));
      if (probe.similar(print(left.join(" ")), print(right.join(" "))) === 1) found += 1;
    }
    return found / 400;
  };
  // Jaccard 19/21, 14/26, 4/36: by the binomial 0.94, 0.37, 0.005.
  assert(rate(19) > 0.85);
  assert(rate(14) > 0.2 && rate(14) < 0.55);
  assert(rate(4) < 0.04);
});

test("hashes: as the generator's, over every length, and spread", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, index) => (index * 37 + 11) & 0xff);
  memory.set(bytes, outStart);
  const seen = new Set<bigint>();
  for (let length = 0; length <= 100; length++) {
    const hash = BigInt.asUintN(64, probe.hash64(outStart, length));
    assert.equal(hash, hash64(bytes.subarray(0, length)));
    assert.equal(BigInt(probe.hash32(outStart, length) >>> 0), hash & 0xffff_ffffn);
    seen.add(hash);
  }
  assert.equal(seen.size, 101);
  // Each bit of the input turns about half of the bits of the key.
  let turned = 0;
  for (let bit = 0; bit < 64; bit++) {
    memory.set(bytes, outStart);
    const before = probe.hash32(outStart, 8);
    memory[outStart + (bit >> 3)]! ^= 1 << (bit & 7);
    let difference = (before ^ probe.hash32(outStart, 8)) >>> 0;
    for (; difference !== 0; difference &= difference - 1) turned += 1;
  }
  assert(Math.abs(turned / 64 - 16) < 1.5, `${turned / 64} of 32 bits`);
});

test("hashing reads no byte behind the text, not even at the end of memory", () => {
  const end = memory.length;
  for (let length = 0; length <= 20; length++) {
    memory.fill(7, end - 32, end);
    const there = probe.hash64(end - length, length);
    memory.fill(7, outStart, outStart + 32);
    assert.equal(probe.hash64(outStart, length), there);
  }
});

/** A word of letters only, another for each number. */
function lettersOf(value: number): string {
  const digits = (value + 26 ** 3).toString(26);
  return Array.from(digits, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 26))).join(
    "",
  );
}
