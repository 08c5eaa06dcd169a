/**
 * What `npm run build` makes: components from guests, and plain core modules. All results are
 * committed.
 */

export type Guest = {
  /** Of the result: guests/dist/<name>.component.wasm. */
  readonly name: string;
  readonly witPath: string;
  readonly world: string;
  /** Folder of the author's module and of its generated entry. */
  readonly folder: string;
  /** The author's module in that folder, without `.ts`. */
  readonly author: string;
  /** Seen from the folder, without `.ts`. */
  readonly arena: string;
  /** 64 KiB each, from the start and for good. */
  readonly memoryPages: number;
  /** Where the scratch of a call lies; left out: between the statics and the state. */
  readonly arenaBounds?: { readonly start: number; readonly end: number };
  /** Where the tenant's state begins. */
  readonly stateStart: number;
};

/** The memory of the reference summarizer: program and scratch, then 128 KiB of state. */
const SUMMARIZER_MEMORY = { memoryPages: 3, stateStart: 0x10000 } as const;
/** Of the moderator: 72 KiB of tables, arena, scratch of the scoring, 120 KiB of state. */
const MODERATOR_MEMORY = {
  memoryPages: 4,
  arenaBounds: { start: 0x12000, end: 0x1a000 },
  stateStart: 0x22000,
} as const;

export const ENTRY_NAME = "world.gen.ts";
/** Beside the entry of a guest whose world imports something. */
export const IMPORTS_NAME = "imports.gen.ts";

export const GUESTS: readonly Guest[] = [
  {
    name: "summarize",
    witPath: "wit/summarizer.wit",
    world: "summarizer",
    folder: "guests/summarize/assembly",
    author: "./summarize",
    arena: "../../sdk/assembly/arena",
    ...SUMMARIZER_MEMORY,
  },
  {
    name: "moderate",
    witPath: "wit/moderator.wit",
    world: "moderator",
    folder: "guests/moderate/assembly",
    author: "./moderate",
    arena: "../../sdk/assembly/arena",
    ...MODERATOR_MEMORY,
  },
  {
    name: "hostile",
    witPath: "wit/summarizer.wit",
    world: "summarizer",
    folder: "guests/hostile/assembly",
    author: "./hostile",
    arena: "./arena",
    ...SUMMARIZER_MEMORY,
  },
  {
    name: "hostile-moderator",
    witPath: "wit/moderator.wit",
    world: "moderator",
    folder: "guests/hostile-moderator/assembly",
    author: "./moderator",
    arena: "../../sdk/assembly/arena",
    ...MODERATOR_MEMORY,
  },
];

/** What the compiler is told of a guest, beside its entry; tests tell it the same. */
export function guestOptions({ memoryPages, arenaBounds, stateStart }: Guest): string[] {
  const places = [`STATE_START=${stateStart}`];
  if (arenaBounds !== undefined) {
    places.push(`ARENA_START=${arenaBounds.start}`, `ARENA_END=${arenaBounds.end}`);
  }
  return [
    ..."--runtime stub --use abort= -O3 --noAssert --converge --enable simd".split(" "),
    "--initialMemory",
    `${memoryPages}`,
    "--maximumMemory",
    `${memoryPages}`,
    ...places.flatMap((place) => ["--use", place]),
  ];
}

/** Throws where a guest's statics reach into its arena, which no compiler notices. */
export function checkStatics({ name, arenaBounds }: Guest, binary: Uint8Array): void {
  const end = staticsEnd(binary);
  if (arenaBounds === undefined || end <= arenaBounds.start) return;
  const over = end - arenaBounds.start;
  throw new Error(`The statics of "${name}" take ${over} bytes more than there are for them.`);
}

const DATA_SECTION = 11;
const HEADER_BYTES = 8;
const I32_CONST = 0x41;

/** Where the last data segment of a core module ends. */
function staticsEnd(binary: Uint8Array): number {
  let at = HEADER_BYTES;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < binary.length) {
    const section = binary[at++]!;
    const sectionEnd = number() + at;
    let end = 0;
    for (let count = section === DATA_SECTION ? number() : 0; count > 0; count--) {
      if (number() !== 0 || binary[at++] !== I32_CONST) throw new Error("a passive segment");
      const start = number();
      at += 1; // The end of the expression.
      const bytes = number();
      end = Math.max(end, start + bytes);
      at += bytes;
    }
    if (section === DATA_SECTION) return end;
    at = sectionEnd;
  }
  return 0;
}

/**
 * Core modules that the host runs itself; they are no guests and have no world. The compiler's
 * options stand in the config, target `release`; WebAssembly text has none.
 */
export const CORE_MODULES: readonly {
  readonly entryPath: string;
  readonly configPath?: string;
  readonly outputPath: string;
}[] = [
  {
    entryPath: "batcher/assembly/index.ts",
    configPath: "batcher/asconfig.json",
    outputPath: "batcher/dist/batcher.wasm",
  },
  {
    entryPath: "classifier/assembly/index.ts",
    configPath: "classifier/asconfig.json",
    outputPath: "classifier/dist/classifier.wasm",
  },
  {
    entryPath: "drain/assembly/index.ts",
    configPath: "drain/asconfig.json",
    outputPath: "drain/dist/drain.wasm",
  },
  {
    entryPath: "merger/assembly/index.ts",
    configPath: "merger/asconfig.json",
    outputPath: "merger/dist/merger.wasm",
  },
  {
    entryPath: "scanner/scanner.wat",
    outputPath: "scanner/dist/scanner.wasm",
  },
];

/** Where the host's descriptors of a world are written. */
export const HOST_WORLDS: readonly {
  readonly witPath: string;
  readonly world: string;
  readonly outputPath: string;
}[] = [
  {
    witPath: "wit/summarizer.wit",
    world: "summarizer",
    outputPath: "src/isolate/world.gen.ts",
  },
  {
    witPath: "wit/moderator.wit",
    world: "moderator",
    outputPath: "src/isolate/moderator-world.gen.ts",
  },
];
