/** What options of the upstream must have together, and which jobs have one. */
import { type Job, JOBS } from "#model/consultation.ts";
import { ConfigError } from "./config-error.ts";
import { nameOfJob, ofJob } from "./llm-options.ts";
import { type Config, type OptionName, optionSpec } from "./options.ts";

type Options = {
  readonly config: Config;
  readonly origins: Readonly<Record<OptionName, string>>;
};

/** Those that are wanted and have an address. */
export function llmJobsOf(config: Config): Job[] {
  const wanted = config.llmJobs.split(",");
  return JOBS.filter((job) => wanted.includes(job) && config[ofJob("llmBaseUrl", job)] !== "");
}

export function checkLlmOptions({ config, origins }: Options): void {
  const jobs = llmJobsOf(config);
  if (origins.llmJobs !== "default" && jobs.length > 0) {
    for (const job of config.llmJobs.split(",") as Job[]) {
      if (jobs.includes(job)) continue;
      const missing = bothNames("llmBaseUrl", job);
      throw contradiction(
        `${origins.llmJobs}: llmJobs has ${job}, but no address: set ${missing}.`,
      );
    }
  }
  for (const job of jobs) {
    if (config[ofJob("llmModel", job)] !== "") continue;
    const own = origins[ofJob("llmBaseUrl", job)];
    const place = own === "as llmBaseUrl" ? origins.llmBaseUrl : own;
    const missing = bothNames("llmModel", job);
    throw contradiction(`${place}: an address for ${job}, but no model: set ${missing}.`);
  }
}

function bothNames(name: "llmBaseUrl" | "llmModel", job: Job): string {
  const { environment } = optionSpec(name);
  return `${environment}, or ${nameOfJob(environment, job)} for it alone`;
}

function contradiction(message: string): ConfigError {
  return new ConfigError("configContradictory", message);
}
