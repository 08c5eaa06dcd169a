/** A door to language models for tests of what stands before it. */
import { LLM_EXAMPLE } from "#api/llm-examples.ts";
import type { LlmDefaults } from "#api/llm-limits.ts";
import type { LlmDoor } from "#engine/door.ts";
import type { LlmStats, TenantLimits, TenantLlmUsage } from "#llm/protocol.ts";
import { NO_USAGE } from "#model/consultation.ts";

export const LLM_DEFAULTS: LlmDefaults = {
  budget: { callsPerMinute: 600, tokensPerMinute: 400_000, microsPerDay: Infinity },
  runningMax: 8,
};

/** It remembers limits, uses nothing up, and tells what the reference shows. */
export class PlayedLlm implements LlmDoor {
  readonly models = { moderation: "small-1" };
  readonly limits = new Map<string, TenantLimits>();
  isDown = false;

  async stats(): Promise<LlmStats> {
    this.#mayBeDown();
    const { defaults: _defaults, ...stats } = LLM_EXAMPLE;
    return stats as unknown as LlmStats;
  }

  async usage(tenant: string): Promise<TenantLlmUsage> {
    this.#mayBeDown();
    const { budget = LLM_DEFAULTS.budget, runningMax = 8 } = this.limits.get(tenant) ?? {};
    const left = (limit: number): number | null => (Number.isFinite(limit) ? limit : null);
    return {
      limits: budget,
      runningMax,
      left: {
        calls: left(budget.callsPerMinute),
        tokens: left(budget.tokensPerMinute),
        micros: left(budget.microsPerDay),
      },
      jobs: [
        {
          job: "moderation",
          calls: 0,
          answered: 0,
          cached: 0,
          failures: {},
          tokens: NO_USAGE,
          costMicros: 0,
        },
      ],
    };
  }

  forget(): void {}

  putLimits(tenant: string, limits: TenantLimits): void {
    this.limits.set(tenant, limits);
  }

  async spending(): Promise<[]> {
    return [];
  }

  async ask(): Promise<never> {
    throw new Error("nothing is asked here");
  }

  #mayBeDown(): void {
    if (this.isDown) throw Object.assign(new Error("down"), { code: "NEXUSCORE_LLM_DOWN" });
  }
}
