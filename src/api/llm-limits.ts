/** What a tenant may take of upstream language models: read, checked, kept. */
import type { EngineDoor } from "#engine/door.ts";
import type { BudgetLimits } from "#llm/budget.ts";
import type { TenantLimits } from "#llm/protocol.ts";
import { isObject } from "#model/moderation-input.ts";
import { Problem } from "#model/problem.ts";

/** Keeps tenants' own limits, and has the engine hold to them. */
export interface LlmLimitsKeeper {
  /** Tenants that have limits of their own. */
  readonly count: number;
  /** Undefined: it has none of its own. */
  current(tenant: string): TenantLimits | undefined;
  /** Problem: storeUnavailable; they are not in force then. */
  put(tenant: string, limits: TenantLimits): Promise<void>;
  /** The operator's hold again. */
  reset(tenant: string): Promise<void>;
}

/** Of a tenant without limits of its own. */
export type LlmDefaults = { readonly budget: BudgetLimits; readonly runningMax: number };

export const LLM_RUNNING_MAX = 4_096;
const BOUND_MAX = 1e15;
const BUDGETS = ["callsPerMinute", "tokensPerMinute", "microsPerDay"] as const;

/** Until the process ends. */
export class MemoryLlmLimits implements LlmLimitsKeeper {
  readonly #engine: Pick<EngineDoor, "llm">;
  readonly #limits = new Map<string, TenantLimits>();

  constructor(engine: Pick<EngineDoor, "llm">) {
    this.#engine = engine;
  }

  get count(): number {
    return this.#limits.size;
  }

  current(tenant: string): TenantLimits | undefined {
    return this.#limits.get(tenant);
  }

  async put(tenant: string, limits: TenantLimits): Promise<void> {
    this.#limits.set(tenant, limits);
    this.#engine.llm?.putLimits(tenant, limits);
  }

  async reset(tenant: string): Promise<void> {
    this.#limits.delete(tenant);
    this.#engine.llm?.putLimits(tenant, {});
  }
}

/**
 * What is left out is as in `defaults`, and nothing at all is the defaults again: undefined. All
 * mistakes are told at once. Problem: badRequest.
 */
export function readLimits(body: unknown, defaults: LlmDefaults): TenantLimits | undefined {
  const errors: { pointer: string; message: string }[] = [];
  const wrong = (pointer: string, message: string): void => void errors.push({ pointer, message });
  if (!isObject(body)) throw new Problem("badRequest", "The body must be an object.");
  const { limits = {}, runningMax, ...others } = body;
  for (const name of Object.keys(others))
    wrong(`/${name}`, "is no field; there are limits, runningMax");
  const given = isObject(limits) ? limits : {};
  if (!isObject(limits)) wrong("/limits", "must be an object");
  for (const name of Object.keys(given)) {
    if ((BUDGETS as readonly string[]).includes(name)) continue;
    wrong(`/limits/${name}`, `is no budget; there are ${BUDGETS.join(", ")}`);
  }
  for (const name of BUDGETS) {
    if (!isBound(given[name])) wrong(`/limits/${name}`, "must be a number from 0 to 1e15, or null");
  }
  if (runningMax !== undefined && !isRunning(runningMax)) {
    wrong("/runningMax", `must be an integer from 1 to ${LLM_RUNNING_MAX}`);
  }
  if (errors.length > 0) {
    const list = errors.map(({ pointer, message }) => `${pointer} ${message}`).join("; ");
    throw new Problem("badRequest", `In the body: ${list}.`, { members: { errors } });
  }
  const isOwn = runningMax !== undefined || Object.keys(given).length > 0;
  return isOwn ? filled(given, runningMax as number | undefined, defaults) : undefined;
}

function filled(
  given: Readonly<Record<string, unknown>>,
  runningMax: number | undefined,
  { budget: common, runningMax: commonMax }: LlmDefaults,
): TenantLimits {
  const bound = (name: keyof BudgetLimits): number => {
    const value = given[name] as number | null | undefined;
    return value === undefined ? common[name] : (value ?? Number.POSITIVE_INFINITY);
  };
  return {
    budget: {
      callsPerMinute: bound("callsPerMinute"),
      tokensPerMinute: bound("tokensPerMinute"),
      microsPerDay: bound("microsPerDay"),
    },
    runningMax: runningMax ?? commonMax,
  };
}

function isBound(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "number" && value >= 0 && value <= BOUND_MAX;
}

function isRunning(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LLM_RUNNING_MAX;
}

/** JSON has no Infinity: null is no bound. */
export function shownLimits(limits: BudgetLimits): Record<keyof BudgetLimits, number | null> {
  const shown = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return {
    callsPerMinute: shown(limits.callsPerMinute),
    tokensPerMinute: shown(limits.tokensPerMinute),
    microsPerDay: shown(limits.microsPerDay),
  };
}
