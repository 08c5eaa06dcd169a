import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { SEED } from "#testing/seed.ts";
import { HtmlText } from "./html-text.ts";

const texts: [html: string, text: string][] = [
  ["plain text", "plain text"],
  ["in<b>sul</b>t", "insult"],
  ["<p>one</p><p>two</p>", "\none\n\ntwo\n"],
  ["a<br>b<br/>c", "a\nb\nc"],
  ["<!-- hidden -->seen<!-- open", "seen"],
  ["<script>var a = '<b>';</script>x<style>b{}</style>", "x"],
  ["i<made-up>d</made-up><script></script>i<img src=x>ot", "idiot"],
  ["<td>a</td><td>b</td>", "\na\n\nb\n"],
  [
    "&iacute;d&ZeroWidthSpace;i&shy;ot &commat;x &constructor; &Ccedil;",
    "íd\u200Bi\u00ADot @x &constructor; Ç",
  ],
  ["<a href=\"x>y\" title='>'>link</a>", "link"],
  ["a &amp; b &lt;c&gt; &#33;&#x21; &quot;", 'a & b <c> !! "'],
  ["&unknown; &amp &#0; &#xD800; &#x1F600;", "&unknown; &amp \uFFFD \uFFFD 😀"],
  ["3 < 4 and 5 > 2", "3 < 4 and 5 > 2"],
  ["an <open tag", "an <open tag"],
  ['<i title="never closed>shown', '<i title="never closed>shown'],
  ["<!DOCTYPE html><?php x ?>t", "t"],
  ["&valueOf; &toString; &__proto__;", "&valueOf; &toString; &__proto__;"],
  ["", ""],
];

for (const [html, text] of texts) {
  test(`html: ${JSON.stringify(html)}`, () => assert.equal(new HtmlText(html).text, text));
}

test("html: spans go back to the original, markup and references included", () => {
  const html = "<p>You &amp; <b>id</b>iot 😀</p>";
  const read = new HtmlText(html);
  const sourceOf = (words: string): string => {
    const start = read.text.indexOf(words);
    const span = read.toSource({ start, end: start + words.length });
    return html.slice(span.start, span.end);
  };
  assert.equal(sourceOf("You"), "You");
  assert.equal(sourceOf("&"), "&amp;");
  assert.equal(sourceOf("idiot"), "id</b>iot");
  assert.equal(sourceOf("😀"), "😀");
  assert.deepEqual(read.toSource({ start: 3, end: 3 }), { start: 0, end: 0 });
});

test("html: any text is read, in one pass, with spans within it and in order", () => {
  const piece = fc.constantFrom(
    "<",
    ">",
    "</",
    "<b>",
    "&",
    "&lt;",
    '"',
    "'",
    "a",
    " ",
    "<!--",
    "é😀",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const html = pieces.join("");
      const read = new HtmlText(html);
      let end = 0;
      for (let at = 0; at < read.text.length; at++) {
        const span = read.toSource({ start: at, end: at + 1 });
        assert.ok(span.start >= end || span.start < span.end, html);
        assert.ok(span.end <= html.length && span.start >= 0, html);
        end = Math.max(end, span.start);
      }
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test("html: hostile markup costs steps in proportion to its length", () => {
  // Each would take minutes if every `<` were followed to the end of the text.
  for (const piece of ['<a "', "<script", "<!-", "</script", "&#"]) {
    const html = piece.repeat(40_000);
    assert.ok(new HtmlText(html).text.length <= html.length);
  }
});
