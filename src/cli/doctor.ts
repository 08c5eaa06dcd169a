/**
 * `nexuscore doctor`: whether this machine and installation carry the product, and what to do if
 * not. What is found about the machine, the data folder, ports and models is in files of their own.
 */
import type { Config } from "#config/options.ts";
import { readFile } from "node:fs/promises";
import type { Check } from "./check.ts";
import { checkLanguageModels } from "./doctor-llm.ts";
import { checkMachine, lookAtMachine } from "./doctor-machine.ts";
import { checkNetwork } from "./doctor-network.ts";
import { checkStorage } from "./doctor-storage.ts";
import { formatBytes } from "./terminal.ts";

const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);

export async function examine(config: Config): Promise<Check[]> {
  return [
    ...checkMachine(await lookAtMachine(), config),
    ...(await checkStorage(config)),
    ...(await checkNetwork(config)),
    await checkComponent(),
    ...(await checkLanguageModels(config, process.env)),
  ];
}

async function checkComponent(): Promise<Check> {
  const name = "component";
  const fix = "npm run build";
  const why = "tenants have nothing to run";
  let bytes: Uint8Array;
  try {
    bytes = await readFile(COMPONENT);
  } catch {
    return { name, status: "fail", detail: "the built-in summarizer is missing", why, fix };
  }
  try {
    const { admitSummarizer } = await import("./component.ts");
    admitSummarizer(bytes);
    return { name, status: "ok", detail: `summarizer admitted, ${formatBytes(bytes.length)}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, status: "fail", detail: `the summarizer is refused: ${reason}`, why, fix };
  }
}
