/**
 * HTML as the text that a reader sees, with the way back: which units of the original each unit of
 * the text came from. Tags, comments, scripts and styles are no text; a tag that begins a line or a
 * paragraph parts words, the others (`in<b>sul</b>t`) do not; references such as `&amp;` are what
 * they stand for. One pass; it never fails, as browsers never do.
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

/** Tags within a line. */
const INLINE = new Set(
  `a abbr b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong
sub sup tt u var wbr`.split(/\s+/),
);
/** Elements whose content is not shown. */
const HIDDEN = new Set(["script", "style", "template", "noscript", "title"]);
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00A0",
  shy: "\u00AD",
  hellip: "…",
  ndash: "–",
  mdash: "—",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
};
const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));?/y;
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
    if (INLINE.has(name)) this.#at = end;
    else this.#put("\n", end);
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
    const text = name === undefined ? characterOf(decimal, hexadecimal) : NAMED[name];
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
