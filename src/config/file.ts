/** Reads the YAML file of options; whatever is wrong with it has its line and column. */
import { nearMiss } from "#std/near-miss.ts";
import { readFileSync, statSync } from "node:fs";
import {
  type Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
} from "yaml";
import { ConfigError, MistakeList } from "./config-error.ts";
import { KEY_VARIABLE } from "./llm-keys.ts";
import { isOptionName, OPTION_NAMES, type OptionName } from "./options.ts";

export type FileEntry = {
  readonly name: OptionName;
  readonly raw: unknown;
  /** `file:line:column` of the value. */
  readonly origin: string;
};

/** Of options; the largest sensible one has some KiB. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Undefined: there is none, and none was named. */
export function readConfigFile(
  path: string,
  isNamed: boolean,
  mistakes: MistakeList,
): readonly FileEntry[] | undefined {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_MAX) {
      const message = `${path}: has ${size} bytes; ${FILE_BYTES_MAX} are the most for options.`;
      throw new ConfigError("configFileUnreadable", message);
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && !isNamed) return undefined;
    const why = code === "ENOENT" ? "there is no such file" : message;
    throw new ConfigError("configFileUnreadable", `${path}: cannot be read: ${why}.`);
  }
  return entriesOf(path, text, mistakes);
}

/** Entries of a YAML file; `path` only names it in errors. */
export function parseFile(path: string, text: string): FileEntry[] {
  const mistakes = new MistakeList();
  const entries = entriesOf(path, text, mistakes);
  mistakes.throwAny();
  return entries;
}

/** Those that are right; of the others the list is told. */
function entriesOf(path: string, text: string, mistakes: MistakeList): FileEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // Ours says which line had it first, and does not keep other mistakes from being said.
    uniqueKeys: false,
  });
  const at: Place = (node, other) => {
    const offset = rangeOf(node) ?? rangeOf(other) ?? 0;
    const { line, col } = lines.linePos(offset);
    return { line, name: `${path}:${line}:${col}` };
  };
  for (const { pos, message } of document.errors) {
    const { line, col } = lines.linePos(pos[0]);
    mistakes.attempt(() => {
      throw new ConfigError("configSyntax", `${path}:${line}:${col}: ${message}`);
    });
  }
  // What is read of a text that is no YAML is anything but what was meant.
  if (document.errors.length > 0) return [];
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isMap(root)) {
    mistakes.attempt(() => {
      const place = at(root).name;
      throw new ConfigError("configType", `${place}: use lines such as "httpPort: 7070".`);
    });
    return [];
  }
  const entries = new Map<OptionName, FileEntry & { line: number }>();
  for (const pair of root.items) {
    mistakes.attempt(() => {
      const entry = entryOf(pair, document, at);
      const { name, line } = entry;
      const first = entries.get(name);
      if (first !== undefined) {
        const place = at(pair.key).name;
        const message = `${place}: ${name} is there twice; it is in line ${first.line} already.`;
        throw new ConfigError("configSyntax", message);
      }
      entries.set(name, { ...entry, line });
    });
  }
  return [...entries.values()].map(({ name, raw, origin }) => ({ name, raw, origin }));
}

type Place = (node: unknown, other?: unknown) => { line: number; name: string };

function rangeOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function entryOf(pair: Pair, document: Document, at: Place): FileEntry & { line: number } {
  const { key, value } = pair;
  const place = at(key, value);
  if (!isScalar(key) || typeof key.value !== "string") {
    throw new ConfigError("configUnknown", `${place.name}: the name of an option is a word.`);
  }
  const name = key.value;
  if (!isOptionName(name)) throw unknownOption(name, place.name);
  refuseSecrets(name, value, at);
  const node = isNode(value) ? value : undefined;
  const { name: origin } = at(node, key);
  return { name, raw: plainValue(node, document, origin), origin, line: place.line };
}

function plainValue(node: unknown, document: Document, origin: string): unknown {
  if (isScalar(node)) return node.value;
  if (!isNode(node)) return undefined;
  try {
    return node.toJS(document, { maxAliasCount: ALIASES_MAX });
  } catch (error) {
    // An alias of nothing, or so many of them that they would fill the memory.
    const { message } = error as Error;
    throw new ConfigError("configSyntax", `${origin}: ${message}`);
  }
}

const ALIASES_MAX = 100;

/** What holds a secret is readable by more than who may have it: backups, images, repositories. */
function refuseSecrets(name: string, value: unknown, at: Place): void {
  if (!isScalar(value) && !isCollection(value)) return;
  const refuse = (node: unknown): never => {
    const { name: place } = at(node, value);
    const way = `set ${KEY_VARIABLE}, or name a file that holds it`;
    const message = `${place}: ${name} has what looks like a key, which is not kept here; ${way}.`;
    throw new ConfigError("configKey", message);
  };
  const look = (node: unknown): void => {
    if (isScalar(node) && typeof node.value === "string" && SECRET.test(node.value)) refuse(node);
  };
  if (isScalar(value)) look(value);
  else visit(value, (_, node) => look(node));
}

/** Of ours, of OpenAI and those who took its form, of a header, and of a PEM file. */
const SECRET =
  /\bnxc_[0-9A-Za-z]{12}_|\bsk-[\w-]{16,}|\bBearer\s+\S{8,}|-----BEGIN [A-Z ]*PRIVATE KEY-----/;

function unknownOption(name: string, place: string): ConfigError {
  if (/(key|password|passphrase|secret|token|credentials?)$/i.test(name)) {
    const file = `${name}File`;
    const option = isOptionName(file) ? file : "llmApiKeyFile";
    const way = `set ${KEY_VARIABLE}, or ${option}`;
    return new ConfigError("configUnknown", `${place}: a key is not kept in this file; ${way}.`);
  }
  const shown = name.length > NAME_SHOWN_MAX ? `${name.slice(0, NAME_SHOWN_MAX)}...` : name;
  const near = nearMiss(name, OPTION_NAMES);
  const way =
    near === undefined
      ? "nexuscore config print --default lists those there are"
      : `did you mean ${near}?`;
  const end = near === undefined ? "." : "";
  return new ConfigError("configUnknown", `${place}: ${shown} is no option; ${way}${end}`);
}

const NAME_SHOWN_MAX = 64;
