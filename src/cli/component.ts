/** `nexuscore component check`: whether a component would be admitted as a tenant's summarizer. */
import { admitComponent, type AdmittedComponent } from "#isolate/admission.ts";
import { AdmissionError } from "#isolate/admission-error.ts";
import { SUMMARIZER } from "#isolate/world.gen.ts";
import { readFile } from "node:fs/promises";
import { CliError, formatBytes, print, printJson, style } from "./terminal.ts";

export function admitSummarizer(bytes: Uint8Array): AdmittedComponent {
  return admitComponent(bytes, SUMMARIZER);
}

/** The exit code: 0 admitted, 1 refused. */
export async function checkComponent(path: string, json: boolean): Promise<number> {
  const bytes = await readFile(path).catch((error: Error) => {
    throw new CliError(`${path}: cannot be read: ${error.message}`);
  });
  try {
    const { sha256, isPortable } = admitSummarizer(bytes);
    if (json)
      printJson({ path, admitted: true, sha256, bytes: bytes.length, portable: isPortable });
    else {
      print(
        `${style("green", "admitted")}  ${path}, ${formatBytes(bytes.length)}\n` +
          `sha256    ${sha256}\n` +
          `portable  ${isPortable ? "yes" : "no: its tenants stay on it when a new version comes"}`,
      );
    }
    return 0;
  } catch (error) {
    if (!(error instanceof AdmissionError)) throw error;
    const { code, message } = error;
    if (json) printJson({ path, admitted: false, code, message });
    else print(`${style("red", "refused")}   ${path}\n${code}: ${message}`);
    return 1;
  }
}
