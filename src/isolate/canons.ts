/**
 * What a component may give its core module to import: functions of the world, lowered, and the few
 * built-in ones that a task needs which waits. Nothing else: no task is cancelled, yields or has
 * threads, streams or futures, and a wait is over only by the host's hand.
 * Source: component-model, design/mvp/Binary.md ("Canonical Definitions").
 */
import type { AbiType, CoreSignature } from "./abi-types.ts";
import { AdmissionError } from "./admission-error.ts";
import type { WasmReader } from "./wasm-reader.ts";

export type Canon =
  /** The only meaning of this import: `<module>#<field>` of a lowered or built-in function. */
  | { readonly kind: "named"; readonly name: string }
  /** Hands over the result of a task; which function's, its type says. */
  | {
      readonly kind: "taskReturn";
      readonly result: AbiType | undefined;
      readonly memory: string | undefined;
    };

const ROOT = "$root";
export const WAITABLE_SET_NEW = `${ROOT}#[waitable-set-new]`;
export const WAITABLE_SET_DROP = `${ROOT}#[waitable-set-drop]`;
export const WAITABLE_JOIN = `${ROOT}#[waitable-join]`;
export const SUBTASK_DROP = `${ROOT}#[subtask-drop]`;

/** Names of the built-in functions, and what they look like. */
export const BUILTINS: ReadonlyMap<string, CoreSignature> = new Map<string, CoreSignature>([
  [WAITABLE_SET_NEW, { parameters: [], results: ["i32"] }],
  [WAITABLE_SET_DROP, { parameters: ["i32"], results: [] }],
  [WAITABLE_JOIN, { parameters: ["i32", "i32"], results: [] }],
  [SUBTASK_DROP, { parameters: ["i32"], results: [] }],
]);

export const CANON_LIFT = 0x00;
export const CANON_LOWER = 0x01;
export const CANON_TASK_RETURN = 0x09;

/** By the code of the definition. */
export const BUILTIN_CODES: ReadonlyMap<number, string> = new Map([
  [0x0d, SUBTASK_DROP],
  [0x1f, WAITABLE_SET_NEW],
  [0x22, WAITABLE_SET_DROP],
  [0x23, WAITABLE_JOIN],
]);

/** Names of what is exported by the core module. */
export type CanonOptions = {
  isAsync?: boolean;
  memory?: string;
  realloc?: string;
  postReturn?: string;
  callback?: string;
};

/** What option numbers refer to. */
export type CoreNames = {
  readonly memory: (reader: WasmReader) => string;
  readonly ownFunction: (reader: WasmReader) => string;
};

/** `allowed`: of OPTION_NAMES. `name`: of the function, for what is said. */
export function readCanonOptions(
  reader: WasmReader,
  names: CoreNames,
  name: string,
  allowed: ReadonlySet<string>,
): CanonOptions {
  const options: CanonOptions = {};
  reader.vector(() => {
    const code = reader.byte();
    const option = OPTION_NAMES[code] ?? `${code}`;
    if (!allowed.has(option)) throw refusedOption(name, option);
    if (option === "memory") options.memory = names.memory(reader);
    else if (option === "realloc") options.realloc = names.ownFunction(reader);
    else if (option === "post-return") options.postReturn = names.ownFunction(reader);
    else if (option === "callback") options.callback = names.ownFunction(reader);
    else if (option === "async") options.isAsync = true;
  });
  return options;
}

export const LIFT_OPTIONS: ReadonlySet<string> = new Set(
  "utf8 memory realloc post-return async callback".split(" "),
);
export const LOWER_OPTIONS: ReadonlySet<string> = new Set("utf8 memory realloc async".split(" "));
export const TASK_RETURN_OPTIONS: ReadonlySet<string> = new Set("utf8 memory".split(" "));

/** By their codes. */
const OPTION_NAMES = "utf8 utf16 latin1+utf16 memory realloc post-return async callback".split(" ");

function refusedOption(name: string, option: string): AdmissionError {
  return new AdmissionError(
    "canonOptions",
    `"${name}" has the option ${option}, which is not for it. Use utf8; async only as in the WIT.`,
  );
}
