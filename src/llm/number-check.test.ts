import assert from "node:assert/strict";
import test from "node:test";
import { numberBeyond } from "./number-check.ts";

const RECORD = [
  "1187 messages of 42 people in 60 s",
  '"outage" 318 times, 12.5% of all, 7.2 times the usual',
  "first seen at 14:05",
  "median 1,250.5 ms",
];

test("what the record says may be said", () => {
  for (const text of [
    "In 60 s 42 people wrote 1,187 messages.",
    "“outage” came 318 times (12.5 %), 7.2 times the usual, from 14:05 on.",
    "forty... no: 42 people; the median is 1250.5 ms".replace("forty... no: ", ""),
    "٤٢ people, ４２ people, 1’187 messages",
    "One of them asked why.",
    "Nothing in numbers.",
    "1.187k messages",
  ]) {
    assert.equal(numberBeyond(text, RECORD), undefined, text);
  }
});

test("anything else is named", () => {
  const cases = [
    { text: "1,188 messages", said: "1,188" },
    { text: "about 1,200 messages", said: "1,200" },
    { text: "1.2k messages", said: "1.2k" },
    { text: "318 % of all", said: "318 %" },
    { text: "12.5 of all", said: "12.5" },
    { text: "-42 people", said: "-42" },
    { text: "forty people", said: "forty" },
    { text: "two dozen people", said: "two" },
    { text: "it doubled", said: "doubled" },
    { text: "most people agree", said: "most" },
    { text: "half of it", said: "half" },
    { text: "٤٣ people", said: "٤٣" },
    { text: "the ② thing", said: "2" },
    { text: "from 14:06 on", said: "06" },
  ];
  for (const { text, said } of cases) assert.equal(numberBeyond(text, RECORD), said, text);
});
