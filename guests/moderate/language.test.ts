// How the language of a message is told, and what stands behind a verdict on it.
import assert from "node:assert/strict";
import test from "node:test";
import { compileModerator, Moderator } from "./testing/moderator.ts";

const moderator = new Moderator(await compileModerator("stand-in"));

function told(text: string, language?: string): string {
  const verdict = moderator.judge({ text, language, tsMs: 0 });
  return `${verdict.language} ${verdict.languageSource} ${verdict.languageSupport}`;
}

const DETECTED: readonly (readonly [string, string])[] = [
  ["this is what they said about the server yesterday", "en detected full"],
  ["thanks for the help", "en detected full"],
  ["das ist nicht mein Rechner und ich weiß auch nicht warum", "de detected lists"],
  ["no sé por qué pero esto ya no funciona con la nueva versión", "es detected lists"],
  ["je ne sais pas pourquoi mais cela ne marche plus avec vous", "fr detected lists"],
  ["non so perché ma questo non funziona più con il mio computer", "it detected lists"],
  ["ik weet niet waarom maar het werkt niet meer met deze versie", "nl detected lists"],
  ["nie wiem dlaczego ale to już nie działa z nową wersją", "pl detected lists"],
  ["eu não sei por que mas isso já não funciona com a nova versão", "pt detected lists"],
  ["jag vet inte varför men det fungerar inte längre med den här", "sv detected none"],
  ["neden bilmiyorum ama bu yeni sürüm ile artık çok kötü bir şey", "tr detected none"],
  ["saya tidak tahu mengapa tetapi ini sudah tidak bisa dengan yang baru", "id detected none"],
  ["я не знаю почему, но это больше не работает", "ru detected none"],
  ["لا أعرف لماذا ولكن هذا لا يعمل", "ar detected none"],
  ["मुझे नहीं पता क्यों", "hi detected none"],
  ["왜 그런지 모르겠어요", "ko detected none"],
  ["なぜか分かりません", "ja detected none"],
  ["我不知道为什么", "zh detected none"],
  ["δεν ξέρω γιατί", "und unknown none"],
  ["אני לא יודע למה", "und unknown none"],
  ["ไม่รู้ว่าทำไม", "und unknown none"],
];

for (const [text, expected] of DETECTED) {
  test(`detected: ${text}`, () => assert.equal(told(text), expected));
}

const UNDECIDED = ["", "lol", "👍👍🏽", "12345", "kubernetes nginx 2.0", "!?"];

for (const text of UNDECIDED) {
  test(`left open, and judged as English is: ${JSON.stringify(text)}`, () => {
    assert.equal(told(text), "und unknown full");
  });
}

test("a tag that is given is believed", () => {
  assert.equal(told("das ist nicht mein Rechner", "en"), "en given full");
  assert.equal(told("the thing is that you are not", "de"), "de given lists");
  assert.equal(told("hello", "EN-us"), "en given full");
  assert.equal(told("hello", "pt_BR"), "pt given lists");
  assert.equal(told("hello", "sw"), "sw given none");
  assert.equal(told("hello", "tlh"), "tlh given none");
  assert.equal(told("hello", "zh-Hant-TW"), "zh given none");
});

test("what is no tag is as if there were none", () => {
  for (const tag of ["und", "e", "12", "-en", "englishlanguage", "e n", "\u0000", "日本"]) {
    assert.equal(told("what is this about", tag), "en detected full", tag);
  }
});

test("letters of other alphabets within words are a disguise, not a language", () => {
  assert.equal(told("уоu arе whаt уоu eаt and thе rest оf it"), "en detected full");
});

test("one foreign word or name does not change the language", () => {
  assert.equal(told("I was at the Straße in Köln and it was great"), "en detected full");
  assert.equal(told("they said Привет to all of us here"), "en detected full");
});

test("a few words of an unknown language are looked up if they are not rather English", () => {
  const insult = (text: string): number => moderator.judge({ text, tsMs: 0 }).scores[2]!;
  assert.equal(told("hijo de foreign4"), "und unknown full");
  assert.equal(insult("hijo de foreign4"), 0.75);
  assert.equal(insult("coffee foreign4"), 0);
  assert.equal(insult("this foreign4"), 0);
});

test("words of another language around English ones do not hide them", () => {
  const score = (text: string, language?: string): number =>
    moderator.judge({ text, language, tsMs: 0 }).scores[0]!;
  const english = "you are what they said toxic90";
  const spanish = "que para los una esto pero porque";
  assert.equal(score(english), 0.9);
  assert.equal(score(`${spanish} ${english}`), 0.9);
  assert.equal(score(`что это такое почему они говорят ${english}`), 0.9);
  assert.equal(score(`${spanish} toxic90`), 0.45, "nothing speaks for English");
  assert.equal(score(`${spanish} hot1 toxic90`), 0.675, "but a word does");
  assert.equal(score(`${spanish}. hot1 toxic90`), 0.9, "and here a sentence");
  assert.equal(score(`${`${spanish} `.repeat(9)}you hot1 toxic90`), 0.9);
  assert.equal(score("что это такое почему они говорят hot1 toxic90"), 0.9);
  assert.equal(score("что это такое почему они говорят 90"), 0, "no letter could be English");
  const padding = `${spanish} `.repeat(100);
  assert.equal(score(`${padding}you hot1 toxic90`), 0.9, "also behind what tells the language");
  assert.equal(score(`${padding}hot1 toxic90`), 0.675);
  assert.equal(score(`${padding}\nhot1 toxic90`), 0.9);
  assert.equal(score(english, "es"), 0, "a tag that is given is believed");
  assert.equal(told(`${`${spanish} `.repeat(9)}you hot1`), "es detected full");
});

test("a word of another language does not make a message of English one of that language", () => {
  for (const word of ["yang", "und", "est", "que", "niet", "jest", "och", "bir", "non", "não"]) {
    for (const text of [`${word} toxic90`, `toxic90 ${word}`, `you ${word} toxic90`]) {
      const verdict = moderator.judge({ text, tsMs: 0 });
      assert.equal(verdict.languageSupport, "full", text);
      assert.equal(verdict.scores[0], 0.9, text);
    }
  }
});

test("what hangs on digits and signs is no evidence of a language", () => {
  // "ke" and "di" are words of Indonesian, "un" and "die" of French and German.
  for (const text of ["k1ke k1ke", "di$ di_ ke@", "w1th.die 4und un*", "x.die.y a!und!b"]) {
    assert.equal(told(text), "und unknown full", text);
  }
  assert.equal(told("das ist nicht gut! und warum? die, der, was."), "de detected lists");
});
