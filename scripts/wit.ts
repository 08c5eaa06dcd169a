/**
 * Reads the part of WIT that our contracts use: one package; interfaces with records, enums, type
 * aliases and functions; worlds that import and export interfaces or functions; doc comments.
 * What it does not know (resources, variants, flags, streams, gates) it refuses, with line and
 * column.
 */

export class WitError extends Error {
  override name = "WitError";
}

export type WitType =
  | { readonly kind: "name"; readonly name: string; readonly position: number }
  | { readonly kind: "list" | "option"; readonly of: WitType }
  | {
      readonly kind: "result";
      readonly ok: WitType | undefined;
      readonly error: WitType | undefined;
    }
  | { readonly kind: "tuple"; readonly items: readonly WitType[] };

export type WitField = { readonly name: string; readonly type: WitType; readonly doc: string };
export type WitCase = { readonly name: string; readonly doc: string };

export type WitDefinition = { readonly name: string; readonly doc: string } & (
  | { readonly kind: "record"; readonly fields: readonly WitField[] }
  | { readonly kind: "enum"; readonly cases: readonly WitCase[] }
  | { readonly kind: "alias"; readonly type: WitType }
  | { readonly kind: "use"; readonly from: string; readonly original: string }
);

export type WitFunction = {
  readonly name: string;
  readonly doc: string;
  readonly isAsync: boolean;
  readonly parameters: readonly WitField[];
  readonly result: WitType | undefined;
};

export type WitInterface = {
  readonly name: string;
  readonly doc: string;
  readonly definitions: readonly WitDefinition[];
  readonly functions: readonly WitFunction[];
};

export type WitWorldItem =
  | { readonly kind: "interface"; readonly name: string }
  | { readonly kind: "function"; readonly function: WitFunction };

export type WitWorld = {
  readonly name: string;
  readonly doc: string;
  readonly imports: readonly WitWorldItem[];
  readonly exports: readonly WitWorldItem[];
};

export type WitPackage = {
  /** `nexuscore:tenant`. */
  readonly name: string;
  /** `0.1.0`, or undefined when the package names none. */
  readonly version: string | undefined;
  readonly interfaces: readonly WitInterface[];
  readonly worlds: readonly WitWorld[];
};

/** Parses one WIT document; `path` is for messages only. */
export function parseWit(source: string, path: string): WitPackage {
  return new Parser(source, path).package();
}

type Token = { readonly text: string; readonly position: number; readonly doc: string };

/** 1: a doc comment; 2: what is passed over; 3: a name, a version, a number or a sign. */
const TOKEN = new RegExp(
  [
    /(\/\/\/[^\n]*|\/\*\*[\s\S]*?\*\/)/,
    /(\/\/[^\n]*|\/\*[\s\S]*?\*\/|\s+)/,
    /(%?[a-z][a-z0-9]*(?:-[a-z0-9]+)*|\d+(?:\.\d+\.\d+[-+.a-z0-9]*)?|->|[{}()<>:;,.@/=*_])/,
  ]
    .map((part) => part.source)
    .join("|"),
  "iy",
);

const NOT_READ = new Set(["variant", "flags", "resource", "include"]);

class Parser {
  readonly #source: string;
  readonly #path: string;
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(source: string, path: string) {
    this.#source = source;
    this.#path = path;
    this.#tokens = this.#tokenize();
  }

  package(): WitPackage {
    this.#expect("package");
    const namespace = this.#identifier();
    this.#expect(":");
    const name = `${namespace}:${this.#identifier()}`;
    const version = this.#accept("@") ? this.#next().text : undefined;
    this.#expect(";");
    const interfaces: WitInterface[] = [];
    const worlds: WitWorld[] = [];
    while (this.#peek().text !== "") {
      const { text, doc } = this.#next();
      if (text === "interface") interfaces.push(this.#interface(doc));
      else if (text === "world") worlds.push(this.#world(doc));
      else this.#fail(`expected "interface" or "world", found "${text}"`, this.#index - 1);
    }
    return { name, version, interfaces, worlds };
  }

  #interface(doc: string): WitInterface {
    const name = this.#identifier();
    const definitions: WitDefinition[] = [];
    const functions: WitFunction[] = [];
    this.#expect("{");
    while (!this.#accept("}")) {
      const item = this.#peek();
      if (item.text === "record") definitions.push(this.#record());
      else if (item.text === "enum") definitions.push(this.#enum());
      else if (item.text === "type") definitions.push(this.#alias());
      else if (item.text === "use") definitions.push(...this.#use());
      else functions.push(this.#function());
    }
    return { name, doc, definitions, functions };
  }

  #world(doc: string): WitWorld {
    const name = this.#identifier();
    const imports: WitWorldItem[] = [];
    const exports: WitWorldItem[] = [];
    this.#expect("{");
    while (!this.#accept("}")) {
      const { text } = this.#next();
      if (text === "import") imports.push(this.#worldItem());
      else if (text === "export") exports.push(this.#worldItem());
      else this.#fail(`a world holds "import" and "export" only, found "${text}"`, this.#index - 1);
    }
    return { name, doc, imports, exports };
  }

  #worldItem(): WitWorldItem {
    if (this.#tokens[this.#index + 1]?.text === ":") {
      return { kind: "function", function: this.#function() };
    }
    const name = this.#identifier();
    this.#expect(";");
    return { kind: "interface", name };
  }

  #record(): WitDefinition {
    const { doc } = this.#next();
    const name = this.#identifier();
    this.#expect("{");
    const fields = this.#list("}", () => this.#field());
    if (fields.length === 0) this.#fail(`record "${name}" has no fields`, this.#index - 1);
    return { kind: "record", name, doc, fields };
  }

  #enum(): WitDefinition {
    const { doc } = this.#next();
    const name = this.#identifier();
    this.#expect("{");
    const cases = this.#list("}", () => {
      const caseDoc = this.#peek().doc;
      return { name: this.#identifier(), doc: caseDoc };
    });
    if (cases.length === 0) this.#fail(`enum "${name}" has no cases`, this.#index - 1);
    return { kind: "enum", name, doc, cases };
  }

  #alias(): WitDefinition {
    const { doc } = this.#next();
    const name = this.#identifier();
    this.#expect("=");
    const type = this.#type();
    this.#expect(";");
    return { kind: "alias", name, doc, type };
  }

  /** `use types.{a, b as c};` */
  #use(): WitDefinition[] {
    const { doc } = this.#next();
    const from = this.#identifier();
    this.#expect(".");
    this.#expect("{");
    const uses = this.#list("}", (): WitDefinition => {
      const original = this.#identifier();
      const name = this.#accept("as") ? this.#identifier() : original;
      return { kind: "use", name, doc, from, original };
    });
    this.#expect(";");
    return uses;
  }

  #function(): WitFunction {
    const first = this.#peek();
    if (NOT_READ.has(first.text)) this.#fail(`"${first.text}" is not supported`);
    const name = this.#identifier();
    this.#expect(":");
    const isAsync = this.#accept("async");
    this.#expect("func");
    this.#expect("(");
    const parameters = this.#list(")", () => this.#field());
    const result = this.#accept("->") ? this.#type() : undefined;
    this.#expect(";");
    return { name, doc: first.doc, isAsync, parameters, result };
  }

  #field(): WitField {
    const { doc } = this.#peek();
    const name = this.#identifier();
    this.#expect(":");
    return { name, type: this.#type(), doc };
  }

  #type(): WitType {
    const { position } = this.#peek();
    const name = this.#identifier();
    if (name === "list" || name === "option") {
      this.#expect("<");
      const of = this.#type();
      if (this.#peek().text === ",") this.#fail("lists of fixed length are not supported");
      this.#expect(">");
      return { kind: name, of };
    }
    if (name === "tuple") {
      this.#expect("<");
      const items = this.#list(">", () => this.#type());
      if (items.length === 0) this.#fail("a tuple has at least one item", this.#index - 1);
      return { kind: "tuple", items };
    }
    return name === "result" ? this.#result() : { kind: "name", name, position };
  }

  /** `result`, `result<t>`, `result<_, e>`, `result<t, e>`. */
  #result(): WitType {
    if (!this.#accept("<")) return { kind: "result", ok: undefined, error: undefined };
    const ok = this.#accept("_") ? undefined : this.#type();
    const error = this.#accept(",") ? this.#type() : undefined;
    this.#expect(">");
    return { kind: "result", ok, error };
  }

  /** Items up to `close`, separated by commas; a last comma is allowed. */
  #list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.#accept(close)) {
      items.push(item());
      if (!this.#accept(",") && this.#peek().text !== close) {
        this.#fail(`expected "," or "${close}", found "${this.#peek().text}"`);
      }
    }
    return items;
  }

  #identifier(): string {
    const { text } = this.#peek();
    if (!/^%?[A-Za-z]/.test(text)) this.#fail(`expected a name, found "${text}"`);
    this.#index += 1;
    return text.replace("%", "");
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(`expected "${text}", found "${this.#peek().text}"`);
  }

  #accept(text: string): boolean {
    if (this.#peek().text !== text) return false;
    this.#index += 1;
    return true;
  }

  #next(): Token {
    const token = this.#peek();
    this.#index += 1;
    return token;
  }

  #peek(): Token {
    return this.#tokens[this.#index] ?? this.#tokens.at(-1)!;
  }

  /** All tokens and, last, an empty one. A doc comment belongs to the token that follows it. */
  #tokenize(): Token[] {
    const tokens: Token[] = [];
    const doc: string[] = [];
    TOKEN.lastIndex = 0;
    let position = 0;
    while (position < this.#source.length) {
      TOKEN.lastIndex = position;
      const match = TOKEN.exec(this.#source);
      if (match === null)
        throw this.#error(`unknown character "${this.#source[position]}"`, position);
      if (match[1] !== undefined) doc.push(docText(match[1]));
      if (match[3] !== undefined)
        tokens.push({ text: match[3], position, doc: doc.splice(0).join("\n") });
      position = TOKEN.lastIndex;
    }
    tokens.push({ text: "", position, doc: "" });
    return tokens;
  }

  #fail(message: string, index = this.#index): never {
    throw this.#error(message, (this.#tokens[index] ?? this.#tokens.at(-1)!).position);
  }

  #error(message: string, position: number): WitError {
    const before = this.#source.slice(0, position).split("\n");
    const found = message.replace('found ""', "found the end of the file");
    return new WitError(`${this.#path}:${before.length}:${before.at(-1)!.length + 1}: ${found}.`);
  }
}

function docText(comment: string): string {
  if (comment.startsWith("///")) return comment.slice(3).trim();
  return comment
    .slice(3, -2)
    .split("\n")
    .map((line) => line.replace(/^\s*\*?\s?/, "").trimEnd())
    .join("\n")
    .trim();
}
