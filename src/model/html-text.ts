/**
 * HTML as the text that a reader sees, with the way back: which units of the original each unit of
 * the text came from. Tags, comments, scripts and styles are no text; a tag that begins a line, a
 * paragraph or a cell parts words, others (`in<b>sul</b>t`, `in<made-up>sul</made-up>t`) do not;
 * references such as `&amp;` are what they stand for. One pass; it never fails, as browsers never
 * do.
 */
export class HtmlText {
  readonly text: string;
  /** Of each UTF-16 unit of the text: where its source starts, and where it ends. */
  readonly #starts: readonly number[];
  readonly #ends: readonly number[];

  constructor(html: string) {
    const reader = new HtmlReader(html);
    reader.read();
    this.text = reader.units.join("");
    this.#starts = reader.starts;
    this.#ends = reader.ends;
  }

  /** A span of the text, as a span of the original. */
  toSource({ start, end }: { readonly start: number; readonly end: number }): {
    start: number;
    end: number;
  } {
    if (end <= start) return { start: 0, end: 0 };
    return { start: this.#starts[start] ?? 0, end: this.#ends[end - 1] ?? 0 };
  }
}

/** What browsers show in a line, a box or a cell of its own; all else, known or not, is inline. */
const BLOCKS = new Set(
  `address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset
figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li listing main
menu nav ol optgroup option p plaintext pre search section select summary table tbody td textarea
tfoot th thead tr ul xmp`.split(/\s+/),
);
/** Elements whose content is not shown. */
const HIDDEN = new Set(["script", "style", "template", "noscript", "title"]);
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  ast: "*",
  bull: "•",
  colon: ":",
  comma: ",",
  commat: "@",
  dollar: "$",
  excl: "!",
  gt: ">",
  lowbar: "_",
  lt: "<",
  middot: "·",
  num: "#",
  period: ".",
  plus: "+",
  quot: '"',
  apos: "'",
  Tab: "\t",
  NewLine: "\n",
  emsp: "\u2003",
  ensp: "\u2002",
  nbsp: "\u00A0",
  shy: "\u00AD",
  thinsp: "\u2009",
  zwj: "\u200D",
  zwnj: "\u200C",
  NoBreak: "\u2060",
  ZeroWidthSpace: "\u200B",
  hellip: "…",
  ndash: "–",
  mdash: "—",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
};
const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,20}));?/y;
/** Of `&iacute;` and its like: a combining mark for each name. */
const MARKS: Readonly<Record<string, string>> = {
  acute: "\u0301",
  caron: "\u030C",
  cedil: "\u0327",
  circ: "\u0302",
  grave: "\u0300",
  ring: "\u030A",
  tilde: "\u0303",
  uml: "\u0308",
};
const TAG = /<\/?([a-zA-Z][^\s/>]*)/y;

class HtmlReader {
  readonly units: string[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly #html: string;
  #at = 0;
  /** A tag was found that nothing closes: no later `<` is tried, so that reading stays linear. */
  #unclosed = false;

  constructor(html: string) {
    this.#html = html;
  }

  read(): void {
    while (this.#at < this.#html.length) {
      const unit = this.#html[this.#at]!;
      const special =
        (unit === "<" && this.#skipMarkup()) || (unit === "&" && this.#readReference());
      if (!special) this.#put(unit, this.#at + 1);
    }
  }

  /** `text` for the source up to `end`. */
  #put(text: string, end: number): void {
    for (const unit of text.split("")) {
      this.units.push(unit);
      this.starts.push(this.#at);
      this.ends.push(end);
    }
    this.#at = end;
  }

  /** False: a `<` that begins no markup is text. */
  #skipMarkup(): boolean {
    const html = this.#html;
    if (html.startsWith("<!--", this.#at)) {
      this.#skipTo(html.indexOf("-->", this.#at + 4), 3);
      return true;
    }
    if (html.startsWith("<!", this.#at) || html.startsWith("<?", this.#at)) {
      this.#skipTo(html.indexOf(">", this.#at), 1);
      return true;
    }
    TAG.lastIndex = this.#at;
    const match = this.#unclosed ? null : TAG.exec(html);
    if (match === null) return false;
    const name = (match[1] ?? "").toLowerCase();
    const end = this.#endOfTag(this.#at + match[0].length);
    if (end === -1) return false;
    const opens = html[this.#at + 1] !== "/" && html[end - 2] !== "/";
    if (BLOCKS.has(name)) this.#put("\n", end);
    else this.#at = end;
    if (opens && HIDDEN.has(name)) this.#skipElement(name);
    return true;
  }

  /** Behind the `>` that is in no quotes, or -1. */
  #endOfTag(from: number): number {
    const html = this.#html;
    let quote = "";
    for (let at = from; at < html.length; at++) {
      const unit = html[at]!;
      if (quote !== "") quote = unit === quote ? "" : quote;
      else if (unit === ">") return at + 1;
      else if (unit === '"' || unit === "'") quote = unit;
    }
    this.#unclosed = true;
    return -1;
  }

  #skipElement(name: string): void {
    const close = new RegExp(`</${name}`, "gi");
    close.lastIndex = this.#at;
    const match = close.exec(this.#html);
    if (match === null) this.#at = this.#html.length;
    else this.#skipTo(this.#html.indexOf(">", match.index), 1);
  }

  #skipTo(found: number, bytes: number): void {
    this.#at = found === -1 ? this.#html.length : found + bytes;
  }

  #readReference(): boolean {
    REFERENCE.lastIndex = this.#at;
    const match = REFERENCE.exec(this.#html);
    if (match === null) return false;
    const [whole, decimal, hexadecimal, name] = match;
    const text = name === undefined ? characterOf(decimal, hexadecimal) : namedCharacter(name);
    if (text === undefined || (name !== undefined && !whole.endsWith(";"))) return false;
    this.#put(text, this.#at + whole.length);
    return true;
  }
}

function characterOf(decimal: string | undefined, hexadecimal: string | undefined): string {
  const code = decimal === undefined ? parseInt(hexadecimal ?? "", 16) : Number(decimal);
  const legal = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return legal ? String.fromCodePoint(code) : "\uFFFD";
}

/** Undefined: none that is known here, so it is text as it stands. */
function namedCharacter(name: string): string | undefined {
  if (Object.hasOwn(NAMED, name)) return NAMED[name];
  const mark = name.slice(1);
  return Object.hasOwn(MARKS, mark) ? `${name[0]}${MARKS[mark]}`.normalize("NFC") : undefined;
}
