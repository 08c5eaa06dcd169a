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
};

export const ENTRY_NAME = "world.gen.ts";

export const GUESTS: readonly Guest[] = [
  {
    name: "summarize",
    witPath: "wit/summarizer.wit",
    world: "summarizer",
    folder: "guests/summarize/assembly",
    author: "./summarize",
    arena: "../../sdk/assembly/arena",
  },
  {
    name: "hostile",
    witPath: "wit/summarizer.wit",
    world: "summarizer",
    folder: "guests/hostile/assembly",
    author: "./hostile",
    arena: "./arena",
  },
];

/**
 * Core modules that the host runs itself; they are no guests and have no world. The compiler's
 * options stand in the config, target `release`.
 */
export const CORE_MODULES: readonly {
  readonly entryPath: string;
  readonly configPath: string;
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
    entryPath: "scanner/assembly/index.ts",
    configPath: "scanner/asconfig.json",
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
];
