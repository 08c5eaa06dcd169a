/** The committed weights, as a host binds them to a moderator. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ClassifierFunctions } from "./moderator.ts";

const FOLDER = resolve(import.meta.dirname, "../../../classifier/dist");
const PAGE_BYTES = 65_536;

export function loadClassifier(): ClassifierFunctions {
  const weights = readFileSync(resolve(FOLDER, "weights.bin"));
  const pages = Math.ceil(weights.length / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).set(weights);
  const module = new WebAssembly.Module(readFileSync(resolve(FOLDER, "classifier.wasm")));
  const { messageRow, replyRow, parameter } = new WebAssembly.Instance(module, {
    env: { memory },
  }).exports as Record<string, ClassifierFunctions["parameter"]>;
  return { "message-row": messageRow!, "reply-row": replyRow!, parameter: parameter! };
}
