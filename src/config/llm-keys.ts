/**
 * Keys of the upstreams: of the environment or of a file, never of a flag, which everybody on the
 * machine can read. No message, print or log has one in it.
 */
import { readFileSync } from "node:fs";
import { type Job, JOBS } from "#model/consultation.ts";
import { ConfigError } from "./config-error.ts";
import { llmJobsOf } from "./llm-checks.ts";
import { nameOfJob, ofJob } from "./llm-options.ts";
import type { Config } from "./options.ts";

/** For all jobs; `nameOfJob` for one. */
export const KEY_VARIABLE = "NEXUSCORE_LLM_API_KEY";
const KEY_CHARACTERS_MAX = 4_096;

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that hold one. */
export function keysSet(environment: Environment): string[] {
  const names = [KEY_VARIABLE, ...JOBS.map((job) => nameOfJob(KEY_VARIABLE, job))];
  return names.filter((name) => (environment[name] ?? "") !== "");
}

/**
 * The key for a job; undefined: none. A job that has a server of its own never sends the common
 * key to it: that is another server's secret.
 */
export function llmKeyOf(job: Job, config: Config, environment: Environment): string | undefined {
  const own = readKey({
    variable: nameOfJob(KEY_VARIABLE, job),
    option: ofJob("llmApiKeyFile", job),
    // As the common one, unless it is set.
    file: ownFile(config[ofJob("llmApiKeyFile", job)], config.llmApiKeyFile),
    environment,
  });
  if (own !== undefined) return own;
  if (!isCommonServer(job, config)) return undefined;
  return readKey({
    variable: KEY_VARIABLE,
    option: "llmApiKeyFile",
    file: config.llmApiKeyFile,
    environment,
  });
}

/** That of llmBaseUrl; without it, the only one there is. */
function isCommonServer(job: Job, config: Config): boolean {
  const own = originOf(config[ofJob("llmBaseUrl", job)]);
  if (config.llmBaseUrl !== "") return own === originOf(config.llmBaseUrl);
  return llmJobsOf(config).every((each) => originOf(config[ofJob("llmBaseUrl", each)]) === own);
}

function ownFile(file: string, common: string): string {
  return file === common ? "" : file;
}

function originOf(address: string): string {
  return new URL(address).origin;
}

function readKey(source: {
  readonly variable: string;
  readonly option: string;
  readonly file: string;
  readonly environment: Environment;
}): string | undefined {
  const { variable, option, file, environment } = source;
  const inVariable = environment[variable] ?? "";
  if (inVariable !== "" && file !== "") {
    const message = `${variable} and ${option} both give a key; take one of them away.`;
    throw new ConfigError("configContradictory", message);
  }
  if (inVariable !== "") return checkKey(inVariable.trim(), variable);
  if (file === "") return undefined;
  return checkKey(readKeyFile(file, option).trim(), `the file of ${option}`);
}

function readKeyFile(file: string, option: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    // Whoever mistook it for the key itself should not find it in a log.
    const which = file.includes("/") ? `the file ${file}` : "the file it names";
    const message = `${option}: ${which} cannot be read (${code}); it holds the key, in one line.`;
    throw new ConfigError("configFileUnreadable", message);
  }
}

/** It goes into a header as it is, so it is printable ASCII. */
function checkKey(key: string, place: string): string {
  if (key !== "" && key.length <= KEY_CHARACTERS_MAX && /^[\x21-\x7e]+$/.test(key)) return key;
  const what =
    key === "" ? "is empty" : "has spaces, line breaks or other characters that no key has";
  throw new ConfigError(
    "configKey",
    `The key in ${place} ${what}; use one line of printable ASCII.`,
  );
}
