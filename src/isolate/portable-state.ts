/**
 * The state of a tenant as its component hands it over, to be taken in by another version of the
 * component: parts, one behind the other, each after its length (the interface `portable` of the
 * WIT). What is in a part only guests know.
 */
import assert from "node:assert/strict";
import {
  PORTABLE_BYTES_MAX,
  PORTABLE_PART_BYTES_MAX,
  PORTABLE_PART_COUNT_MAX,
  PORTABLE_REASON_CHARACTERS_MAX,
} from "#model/limits.ts";
import { postReturnName, type AbiFunction } from "./abi-types.ts";
import { REALLOC_NAME, type AdmittedComponent } from "./admission.ts";
import { AbiError, compileLiftResult, type GuestMemory } from "./canonical-abi.ts";
import * as moderator from "./moderator-world.gen.ts";
import * as world from "./world.gen.ts";

type CoreFunction = (...values: number[]) => number;

/** What `import-state` answers. */
type Imported = { readonly tag: "ok" } | { readonly tag: "err"; readonly val: string };

const LENGTH_BYTES = 4;
const { EXPORT_STATE, IMPORT_STATE } = world;
// Both worlds have the interface, word for word.
assert.deepEqual([EXPORT_STATE, IMPORT_STATE], [moderator.EXPORT_STATE, moderator.IMPORT_STATE]);

const liftPart: (memory: GuestMemory, value: number) => Uint8Array | undefined =
  lifting(EXPORT_STATE);
const liftImported: (memory: GuestMemory, value: number) => Imported = lifting(IMPORT_STATE);

/** The guest said what is wrong with the state that it was given. */
export class StateRefused extends Error {
  override name = "StateRefused";
}

/** The functions of `portable` of one instance. */
export class PortableCalls {
  readonly #memory: GuestMemory;
  readonly #realloc: CoreFunction;
  readonly #export: CoreFunction;
  readonly #exportPost: CoreFunction | undefined;
  readonly #import: CoreFunction;
  readonly #importPost: CoreFunction | undefined;

  /** Of a component that is portable. */
  constructor(
    exports: Readonly<Record<string, unknown>>,
    memory: GuestMemory,
    { isPortable, postReturns }: AdmittedComponent,
  ) {
    assert(isPortable);
    const find = (name: string): CoreFunction => exports[name] as CoreFunction;
    const findPost = ({ coreName }: AbiFunction): CoreFunction | undefined => {
      const name = postReturnName(coreName);
      return postReturns.has(name) ? find(name) : undefined;
    };
    this.#memory = memory;
    this.#realloc = find(REALLOC_NAME);
    this.#export = find(EXPORT_STATE.coreName);
    this.#exportPost = findPost(EXPORT_STATE);
    this.#import = find(IMPORT_STATE.coreName);
    this.#importPost = findPost(IMPORT_STATE);
  }

  /** Writes the whole state to `target`; returns its bytes. Throws AbiError. */
  exportTo(target: Buffer): number {
    let at = 0;
    for (let part = 0; part <= PORTABLE_PART_COUNT_MAX; part++) {
      const result = this.#export(part);
      const bytes = liftPart(this.#memory, result);
      if (bytes !== undefined) at = put(target, at, bytes);
      this.#exportPost?.(result);
      if (bytes === undefined) return at;
    }
    throw new AbiError(`A state has more than ${PORTABLE_PART_COUNT_MAX} parts.`);
  }

  /** Hands what `exportTo` wrote to an instance that is new. Throws StateRefused, AbiError. */
  importFrom(source: Buffer, byteCount: number): void {
    let at = 0;
    while (at < byteCount) {
      if (at + LENGTH_BYTES > byteCount) throw new StateRefused("A length is cut off.");
      const partBytes = source.readUInt32LE(at);
      at += LENGTH_BYTES;
      if (partBytes === 0 || partBytes > PORTABLE_PART_BYTES_MAX || at + partBytes > byteCount) {
        throw new StateRefused("A part is cut off, or of no length that a part has.");
      }
      this.#take(source, at, partBytes);
      at += partBytes;
    }
    this.#take(source, at, 0);
  }

  #take(source: Buffer, at: number, byteCount: number): void {
    const pointer = this.#realloc(0, 0, 1, byteCount) >>> 0;
    this.#memory.check(pointer, byteCount, 1);
    source.copy(this.#memory.bytes, pointer, at, at + byteCount);
    const result = this.#import(pointer, byteCount);
    const imported = liftImported(this.#memory, result);
    this.#importPost?.(result);
    if (imported.tag === "ok") return;
    throw new StateRefused(imported.val.slice(0, PORTABLE_REASON_CHARACTERS_MAX));
  }
}

/** Returns where the next part goes. */
function put(target: Buffer, at: number, part: Uint8Array): number {
  const end = at + LENGTH_BYTES + part.length;
  if (part.length === 0 || part.length > PORTABLE_PART_BYTES_MAX) {
    throw new AbiError(`A part of a state has ${part.length} bytes.`);
  }
  if (end > PORTABLE_BYTES_MAX) {
    throw new AbiError(`A state has more than ${PORTABLE_BYTES_MAX} bytes.`);
  }
  target.writeUInt32LE(part.length, at);
  target.set(part, at + LENGTH_BYTES);
  return end;
}

function lifting<Value>({ result }: AbiFunction): (memory: GuestMemory, value: number) => Value {
  assert(result !== undefined);
  const lift = compileLiftResult(result);
  return (memory, value) => lift(memory, value) as Value;
}
