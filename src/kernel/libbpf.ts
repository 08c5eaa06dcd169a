/**
 * Loads a built BPF object through the distribution's libbpf and node:ffi: no native addon, no
 * compiler on the user's machine. Loading needs CAP_BPF and CAP_PERFMON; attaching to a socket
 * needs nothing.
 */
import { errorName, type Ffi } from "./libc.ts";

export const LIBBPF = "libbpf.so.1";

export type MapSizes = { readonly entryCount?: number; readonly valueBytes?: number };

export type BpfMap = {
  readonly fd: number;
  readonly valueBytes: number;
  readonly entryCount: number;
};

export type BpfObject = {
  readonly programFd: (name: string) => number;
  readonly map: (name: string) => BpfMap;
  /** Attaches every program to the place that its section names. */
  readonly attachAll: () => void;
  /**
   * Detaches what `attachAll` attached. Gives programs and maps back to the kernel, unless a socket
   * or a mapping still holds them.
   */
  readonly close: () => void;
};

/** The kernel or libbpf refused; `message` names the step and the error. */
export class BpfError extends Error {
  override name = "BpfError";
  readonly code: string;

  constructor(step: string, errno: number) {
    super(`${step}: ${errorName(errno)}`);
    this.code = errorName(errno);
  }
}

export type LoadOptions = {
  readonly object: Uint8Array;
  readonly maps: Readonly<Record<string, MapSizes>>;
  /** What the object's `const volatile` variables begin with, in the order of its .rodata. */
  readonly constants: Uint8Array;
};

/** Throws BpfError, or whatever dlopen throws where there is no libbpf. */
export function loadBpf(ffi: Ffi, { object: bytes, maps, constants }: LoadOptions): BpfObject {
  const { functions: bpf, lib } = openLibbpf(ffi);
  // libbpf talks on stderr; what matters is in the error.
  bpf.libbpf_set_print(0n);
  const object = bpf.bpf_object__open_mem(bytes, BigInt(bytes.length), 0n);
  if (object === 0n) throw new BpfError("bpf_object__open_mem", ffi.getInt32(bpf.errno(), 0));
  const links: bigint[] = [];
  const close = (): void => {
    for (const link of links.splice(0)) bpf.bpf_link__destroy(link);
    bpf.bpf_object__close(object);
    lib.close();
  };
  try {
    const named = new Map<string, bigint>();
    for (let map = 0n; (map = bpf.bpf_object__next_map(object, map)) !== 0n;) {
      const name = ffi.toString(bpf.bpf_map__name(map)) ?? "";
      named.set(name.endsWith(".rodata") ? ".rodata" : name, map);
    }
    const find = (name: string): bigint => {
      const map = named.get(name);
      if (map === undefined) throw new Error(`The BPF object has no map ${name}.`);
      return map;
    };
    check(
      "constants",
      bpf.bpf_map__set_initial_value(find(".rodata"), constants, BigInt(constants.length)),
    );
    for (const [name, { entryCount, valueBytes }] of Object.entries(maps)) {
      const map = find(name);
      if (entryCount !== undefined) check(name, bpf.bpf_map__set_max_entries(map, entryCount));
      if (valueBytes !== undefined) check(name, bpf.bpf_map__set_value_size(map, valueBytes));
    }
    check("bpf_object__load", bpf.bpf_object__load(object));
    return {
      close,
      attachAll: () => {
        for (let program = 0n; ;) {
          program = bpf.bpf_object__next_program(object, program);
          if (program === 0n) return;
          const link = bpf.bpf_program__attach(program);
          const name = ffi.toString(bpf.bpf_program__name(program)) ?? "";
          if (link === 0n) throw new BpfError(`attach ${name}`, ffi.getInt32(bpf.errno(), 0));
          links.push(link);
        }
      },
      programFd: (name) => bpf.bpf_program__fd(bpf.bpf_object__find_program_by_name(object, name)),
      map: (name) => ({
        fd: bpf.bpf_map__fd(find(name)),
        valueBytes: bpf.bpf_map__value_size(find(name)),
        entryCount: bpf.bpf_map__max_entries(find(name)),
      }),
    };
  } catch (error) {
    close();
    throw error;
  }
}

function check(step: string, result: number): void {
  if (result !== 0) throw new BpfError(step, -result);
}

function openLibbpf(ffi: Ffi) {
  const { functions, lib } = ffi.dlopen(LIBBPF, {
    bpf_link__destroy: { arguments: ["pointer"], return: "int32" },
    bpf_map__fd: { arguments: ["pointer"], return: "int32" },
    bpf_map__max_entries: { arguments: ["pointer"], return: "uint32" },
    bpf_map__name: { arguments: ["pointer"], return: "pointer" },
    bpf_map__set_initial_value: { arguments: ["pointer", "buffer", "uint64"], return: "int32" },
    bpf_map__set_max_entries: { arguments: ["pointer", "uint32"], return: "int32" },
    bpf_map__set_value_size: { arguments: ["pointer", "uint32"], return: "int32" },
    bpf_map__value_size: { arguments: ["pointer"], return: "uint32" },
    bpf_object__close: { arguments: ["pointer"], return: "void" },
    bpf_object__find_program_by_name: { arguments: ["pointer", "string"], return: "pointer" },
    bpf_object__load: { arguments: ["pointer"], return: "int32" },
    bpf_object__next_map: { arguments: ["pointer", "pointer"], return: "pointer" },
    bpf_object__next_program: { arguments: ["pointer", "pointer"], return: "pointer" },
    bpf_object__open_mem: { arguments: ["buffer", "uint64", "pointer"], return: "pointer" },
    bpf_program__attach: { arguments: ["pointer"], return: "pointer" },
    bpf_program__fd: { arguments: ["pointer"], return: "int32" },
    bpf_program__name: { arguments: ["pointer"], return: "pointer" },
    libbpf_set_print: { arguments: ["pointer"], return: "pointer" },
  });
  const { functions: libc } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: "pointer" },
  });
  return { functions: { ...functions, errno: () => libc.__errno_location() }, lib };
}
