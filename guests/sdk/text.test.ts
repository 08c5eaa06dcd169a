// What a text's terms are: the rules of guests/sdk/assembly/text, language by language.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { stopWords, textTables } from "../../scripts/text-tables.ts";
import { probe, shown, terms, words } from "./testing/text-probe.ts";

function table(
  name: string,
  run: (text: string) => string,
  rows: readonly [string, string][],
): void {
  test(name, () => {
    for (const [text, expected] of rows) assert.equal(run(text), expected, JSON.stringify(text));
  });
}

table("words are folded, stripped, and counted once", words, [
  ["", ""],
  ["   \t\n ", ""],
  ["... !!! --- ___ '' ", ""],
  ["Kernel KERNEL kernel", "kernel"],
  ["(kernel), [module]; {driver}! <modem>?", "kernel module driver modem"],
  ["\"kernel\" 'kernel' “kernel” «kernel» „kernel“ `kernel` *kernel* _kernel_ ~kernel~", "kernel"],
  [
    "wi-fi ubuntu-8.10 snake_case __init__ a__b --help trailing- -leading",
    "wi-fi ubuntu-8.10 snake_case init a_b help trailing leading",
  ],
  ["C++ c# G++ c++17 notepad++ C C+ c#major", "c++ c# g++ c++17 notepad++ #major"],
  ["at&t R&B q&a salt&pepper", "at&t r&b q&a salt pepper"],
  ["AT&amp;T &lt;script&gt; fish &amp; chips &#39;x", "script fish chips"],
  ["x y z I a", ""],
  ["x11 3d x86_64 1080p 2nd", "x11 3d x86_64 1080p 2nd"],
  ["nul\0byte\x01control\x7fdelete", "nul byte control delete"],
  [
    "soft\u00adhyphen zero\u200bwidth word\u2060joiner \ufeffbom",
    "softhyphen zerowidth wordjoiner bom",
  ],
  ["hard\u00a0breaking\u2003space\u3000wide", "hard breaking space wide"],
  ["right \u202eto\u202c left", "left"],
]);

table("dots join names and versions, not sentences", words, [
  ["2.6.28 version 2.6.8.1-3-686", "2.6.28 version 2.6.8.1-3-686"],
  [
    "sources.list xorg.conf node.js libc.so.6 backup.tar.gz",
    "sources.list xorg.conf node.js libc.so.6 backup.tar.gz",
  ],
  ["python2.7 python 3.9 v1.2", "python2.7 python v1.2"],
  ["kernel.Module modem.router", "kernel module modem router"],
  ["e.g. i.e. U.S.A. modem...", "u.s.a modem"],
  ["ubuntu.", "ubuntu"],
]);

table("apostrophes: contractions are stop words, clitics are cut off", words, [
  [
    "don't DON’T dont I'm i’m what's what’s can't won't isn't doesn’t they'll we've you'd let's",
    "",
  ],
  ["ubuntu's Ubuntu’s ubuntu`s ubuntu´s", "ubuntu"],
  ["o'reilly rock'n'roll", "o'reilly rock'n'roll"],
  ["l'ordinateur d’avion qu'Orléans aujourd'hui c'est j'ai", "ordinateur avion orléans"],
  ["dell'acqua un'amica", "acqua amica"],
  ["Ankara'da İstanbul’dan", "ankara istanbul"],
  ["'quoted'", "quoted"],
]);

table("letters drawn out, laughter", words, [
  ["kernellll kernelllllll", "kernell"],
  ["coooool sooooo pleaseeee nooooo", ""],
  ["hahahaha hahahahahah hehehehe lololol jajajaja", ""],
  ["10000000x00000", "10000000x00000"],
  ["нееееет", ""],
  ["ураааааа урааа", "ураа"],
  ["mississippi banana", "mississippi banana"],
]);

table("case and composition, script by script", words, [
  ["café CAFÉ cafe\u0301 CAFE\u0301", "café"],
  ["Ångström A\u030angstro\u0308m", "ångström"],
  ["tiếng tie\u0302\u0301ng TIẾNG", "tiếng"],
  ["ệ e\u0323\u0302x ệx", "ệx"],
  ["žluťoučký ŽLUŤOUČKÝ z\u030clut\u030couc\u030cky\u0301", "žluťoučký"],
  ["kéééé ke\u0301e\u0301e\u0301e\u0301", "kéé"],
  ["aaà aaa\u0300 ââấ a\u0302a\u0302a\u0302\u0301", "aaà ââấ"],
  ["z\u0336a\u0336l\u0353g\u0353o\u0300\u0301\u0302\u0303\u0353", "zalgò"],
  ["Größe GRÖSSE STRAẞE straße", "größe grösse straße"],
  ["İzmir ŁÓDŹ Ñandú Þór ŒUVRE", "izmir łódź ñandú þór œuvre"],
  ["ΛΌΓΟΣ λόγος λόγοσ", "λόγος"],
  ["Привет МОСКВА Москва Ёлка елка Е\u0308лка Йод и\u0306од", "москва елка йод"],
  ["ЂУРЂЕВАК ґанок ҐАНОК", "ђурђевак ґанок"],
  ["ՀԱՅԱՍՏԱՆ Հայաստան", "հայաստան"],
  ["ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ საქართველო", "საქართველო"],
  ["ＵＢＵＮＴＵ ｕｂｕｎｔｕ", "ubuntu"],
  ["𝓾𝓫𝓾𝓷𝓽𝓾 𝐔𝐁𝐔𝐍𝐓𝐔 𝕦𝕓𝕦𝕟𝕥𝕦", "ubuntu"],
  ["القَاهِرَة القاهرة القـــاهرة", "القاهرة"],
  ["שָׁלוֹם שלום", "שלום"],
  ["क्रिकेट भारत", "क्रिकेट भारत"],
]);

table("numbers are no terms but halves of bigrams", shown, [
  ["404", ""],
  ["windows 11", 'windows "windows 11"'],
  ["404 error", 'error "404 error"'],
  ["python 3", 'python "python 3"'],
  ["3 apples", "apples"],
  ["10 20 30", ""],
  ["ubuntu 8.10", 'ubuntu "ubuntu 8.10"'],
  ["order 12345678", "order"],
  ["meeting 12:30", "meeting"],
  ["price 1,000,000", "price"],
  ["date 2024-01-15", "date"],
  ["call 555-1234 half 1/2", "call half"],
  ["год ٢٠٢٤", 'год "год 2024"'],
]);

table("bigrams join neighbours only", shown, [
  ["kernel panic", 'kernel panic "kernel panic"'],
  ["kernel   panic", 'kernel panic "kernel panic"'],
  ['kernel "panic"', 'kernel panic "kernel panic"'],
  ["kernel of panic", "kernel panic"],
  ["a kernel, panic", "kernel panic"],
  [
    "kernel. panic; driver! modem? router (switch) cable: x11",
    "kernel panic driver modem router switch cable x11",
  ],
  ["kernel\npanic", "kernel panic"],
  ["kernel 🔥 panic", "kernel {🔥} panic"],
  ["kernel @bob panic #tag modem", "kernel @bob panic #tag modem"],
  ["kernel kernel panic", 'kernel panic "kernel panic"'],
  ["kernel panic kernel", 'kernel panic "kernel panic" "panic kernel"'],
  ["l'ordinateur portable", 'ordinateur portable "ordinateur portable"'],
  ["portable l'ordinateur", "portable ordinateur"],
  ["ubuntu's kernel", 'ubuntu kernel "ubuntu kernel"'],
  ["extraordinarilylong22x and", "extraordinarilylong22x"],
  [
    "abcdefghijklmnopqrst uvwxyzabcdefghijklm",
    'abcdefghijklmnopqrst uvwxyzabcdefghijklm "abcdefghijklmnopqrst uvwxyzabcdefghijklm"',
  ],
  ["abcdefghijklmnopqrstu uvwxyzabcdefghijklm", "abcdefghijklmnopqrstu uvwxyzabcdefghijklm"],
]);

table("somebody addressed is a mention, a label is not", words, [
  ["bob: reboot", "@bob reboot"],
  ["HrdwrBoB: reboot", "@hrdwrbob reboot"],
  ["Matt|, reboot", "@matt| reboot"],
  ["|trey|, kernel", "@|trey| kernel"],
  ["[z]_^: kernel", "@[z]_^ kernel"],
  ["жора, ядро", "@жора ядро"],
  ["bob:", "@bob"],
  ["so, kernel", "kernel"],
  ["Error: kernel", "error kernel"],
  ["Вопрос: ядро", "вопрос ядро"],
  ["unfortunately, kernel", "unfortunately kernel"],
  ["bob:kernel", "bob kernel"],
  ["12: kernel", "kernel"],
  ["http://example.org/", "example.org"],
  ["two words: kernel", "words kernel"],
]);

table("tags", words, [
  [
    "#Ubuntu #ubuntu-devel ##linux #été #東京 #ไทย ＃full",
    "#ubuntu #ubuntu-devel #linux #été #東京 #ไทย #full",
  ],
  ["#1 #56125 # #! #-", "#56125"],
  ["@Bob @bob. @alice_ @j.doe, @ @@carol <@U123>", "@bob @alice_ @j.doe @carol @u123"],
]);

table("links are host and path", shown, [
  ["https://www.Example.com/Path/To?x=1#y", "<example.com/Path/To>"],
  ["see http://example.com/.", "<example.com>"],
  ["(http://en.wikipedia.org/wiki/Foo_(bar))", "<en.wikipedia.org/wiki/Foo_(bar)>"],
  [
    "www.example.org, Example.com: ubuntu.com/download/",
    "<example.org> <example.com> <ubuntu.com/download>",
  ],
  ["youtu.be/AbC t.me/chan amazon.it", "<youtu.be/AbC> <t.me/chan> amazon"],
  ["http://localhost:8080/x ftp://ftp.example.net", "<localhost/x> <ftp.example.net>"],
  ["<http://example.com/a|label>", "<example.com/a> label"],
  ["http://example.com/は kernel", "<example.com> kernel"],
  ["http://Käse.example.de/Größe", "<käse.example.de/Größe>"],
  [
    "https://example.com/0123456789/0123456789/0123456789/abc",
    "<example.com/0123456789/0123456789/012345>",
  ],
  [
    "bob@example.com John.Smith+news@mail.example.org root@server",
    "bob@example.com john.smith+news@mail.example.org root@server",
  ],
  ["http:// https:// www.", ""],
]);

table("an emoji is one term", shown, [
  ["🔥🔥🔥", "{🔥}"],
  ["👍🏽 👍", "{👍🏽} {👍}"],
  ["👨‍👩‍👧‍👦👨‍👩‍👧", "{👨‍👩‍👧‍👦} {👨‍👩‍👧}"],
  ["🇩🇪🇫🇷 🇩", "{🇩🇪} {🇫🇷}"],
  ["1️⃣ 1⃣ #️⃣ *️⃣", "{1️⃣} {#️⃣} {*️⃣}"],
  ["❤️ ❤ ☀ ☀️", "{❤️} {☀️}"],
  ["🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴", "{🏴󠁧󠁢󠁥󠁮󠁧󠁿} {🏴}"],
  ["🕵️‍♀️ 🕵‍♀", "{🕵️‍♀️}"],
  ["👩🏻‍❤️‍💋‍👩🏿", "{👩🏻‍❤️‍💋‍👩🏿}"],
  ["© ©️ ™ ↔️", "{©️} {↔️}"],
  ["wow😂kernel😂", "{😂} kernel"],
  ["\u200d \ufe0f \u{1f3fb} ", ""],
]);

table("scripts without spaces", shown, [
  ["北京烤鸭", "[北京] [京烤] [烤鸭]"],
  ["我们今天去北京", "[今天] [天去] [去北] [北京]"],
  ["火", "[火]"],
  ["的 は", ""],
  ["3月5日", ""],
  ["東京タワー", "[東京] タワー"],
  ["地震です。", "[地震]"],
  ["かめ か\u3099く", "[かめ] [がく]"],
  ["オリンピック オリンヒ\u309aック", "オリンピック"],
  ["お金", "[お金]"],
  ["삼성전자 주가", '삼성전자 주가 "삼성전자 주가"'],
  ["\u1109\u1161\u11b7성 삼성", "삼성"],
  ["ubuntu를 LG전자 ㅋㅋㅋㅋ", "ubuntu lg 전자"],
  ["ไทย", "[ไทย]"],
  ["เทศ ประ", "[เทศ] [ประ]"],
  ["ລາວ", "[ລາວ]"],
  ["ខ្មែរ", "[ខ្មែរ]"],
]);

test("every listed word is a stop word, in every language", () => {
  const lists = stopWords();
  const least: Record<string, number> = {
    en: 400,
    es: 120,
    pt: 100,
    fr: 120,
    de: 110,
    it: 100,
    nl: 90,
    ru: 120,
    tr: 80,
    pl: 80,
    id: 80,
    sv: 70,
    ar: 60,
    hi: 50,
    ja: 60,
    zh: 40,
    ko: 40,
  };
  assert.deepEqual([...lists.keys()], Object.keys(least).toSorted());
  for (const [language, entries] of lists) {
    assert(entries.length >= least[language]!, `${language} has ${entries.length}`);
    assert.equal(new Set(entries).size, entries.length, `${language} repeats itself`);
    for (const entry of entries) {
      if (entry.startsWith("'") || entry.endsWith("'")) continue;
      const found = terms(entry).map(({ text }) => text);
      assert.deepEqual(found, [], `${language}: ${entry}`);
      // I is the large form of i, but in Turkish.
      if (entry.includes("ı")) continue;
      assert.deepEqual(
        terms(entry.toUpperCase()).map(({ text }) => text),
        [],
        `${language}: ${entry}, loud`,
      );
    }
  }
});

test("words that matter in one language are no stop words of another", () => {
  const matter = `
    die war pour sous ten main chat car son sin van sea era solo todo dos comment pan font
    sans door word men net vet dom lite nic lan abi kim os ai eu pc gut fast bald mal bin dir mag
    linux windows kernel python java rust node server client error bug crash release update driver
    network router modem goal match team player game music movie film book song party election
    vote president minister police fire flood storm earthquake rain snow sun moon star space
    rocket nasa tesla apple google amazon microsoft netflix twitter bitcoin market stock price
    money bank tax law court school football berlin paris london madrid roma moskau ankara
    warszawa jakarta stockholm amsterdam
  `;
  const lost = matter
    .trim()
    .split(/\s+/)
    .filter((word) => words(word) !== word);
  assert.deepEqual(lost, []);
});

test("a word that is not listed passes as a stop word once in thousands", () => {
  let dropped = 0;
  for (let index = 0; index < 20_000; index++) {
    const word = `q${(index * 7919 + 12_345).toString(36)}zv`;
    if (terms(word, 4).length === 0) dropped += 1;
  }
  assert(dropped <= 5, `${dropped} of 20,000`);
});

test("the tables are small and up to date", () => {
  const path = new URL("assembly/text/tables.gen.ts", import.meta.url);
  const text = readFileSync(path, "utf8");
  assert.equal(text, textTables(), "run scripts/text-tables.ts");
  assert(Number(/(\d+) bytes in all/.exec(text)![1]) <= 9_216);
  assert(probe.freeStart() <= 1_024 + 9_216 + 256, "statics of the whole tokenizer");
});
