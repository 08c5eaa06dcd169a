/** One job at one upstream: what is sent, what it costs, and what is counted of it. */
import { JOBS, type Job } from "#model/consultation.ts";
import type { Prices } from "./budget.ts";
import type { Attempt } from "./call.ts";
import { JobStats } from "./gateway-stats.ts";
import { Hedges } from "./hedges.ts";
import { ANSWER_TOKENS, systemPrompt } from "./prompts.ts";
import { requestForm, type RequestForm } from "./request-form.ts";
import type { StructuredOutput, UpstreamSettings } from "./settings.ts";

/** Rather more tokens than there are: English has 4 to 5 bytes a token, others fewer. */
const BYTES_A_TOKEN = 3;

export class JobRules {
  readonly job: Job;
  readonly model: string;
  readonly form: RequestForm;
  readonly prices: Prices;
  readonly structuredOutput: StructuredOutput;
  readonly stats = new JobStats();
  /** Undefined: no second requests. */
  readonly hedges: Hedges<Attempt> | undefined;
  /** Tokens of an answer to one question, at most. */
  readonly answerTokens: number;
  readonly #systemTokens: number;

  constructor(index: number, settings: UpstreamSettings) {
    const job = JOBS[index]!;
    this.job = job;
    this.model = settings.model;
    this.form = requestForm(job, settings);
    this.prices = settings.prices;
    this.structuredOutput = settings.structuredOutput;
    this.hedges = settings.hedges ? new Hedges() : undefined;
    this.answerTokens = ANSWER_TOKENS[job];
    this.#systemTokens = Math.ceil(systemPrompt(job).length / BYTES_A_TOKEN);
  }

  promptTokens(promptBytes: number): number {
    return this.#systemTokens + Math.ceil(promptBytes / BYTES_A_TOKEN);
  }
}
