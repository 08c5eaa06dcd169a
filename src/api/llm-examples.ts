/** Examples of the reference; the tests hold them against their schemas. */
const TOKENS = { promptTokens: 61_230, completionTokens: 8_012, cachedTokens: 44_100 };
const FAILURES = {
  off: 0,
  overBudget: 0,
  queueFull: 0,
  timedOut: 2,
  unavailable: 0,
  rateLimited: 1,
  refused: 0,
  malformed: 0,
  cancelled: 0,
  interrupted: 0,
};

export const LLM_EXAMPLE = {
  defaults: {
    limits: { callsPerMinute: 600, tokensPerMinute: 400_000, microsPerDay: null },
    runningMax: 8,
  },
  jobs: [
    {
      job: "moderation",
      model: "qwen3:8b",
      origin: "http://127.0.0.1:11434",
      waiting: 0,
      running: 3,
      calls: 118,
      answered: 97,
      cached: 15,
      joined: 4,
      failures: FAILURES,
      malformed: 1,
      retries: 2,
      hedges: 0,
      tokens: TOKENS,
      costMicros: 0,
      waitMs: { p50: 0.4, p99: 12, max: 31 },
      upstreamMs: { p50: 820, p99: 2_100, max: 2_640 },
    },
  ],
  breakers: [{ origin: "http://127.0.0.1:11434", state: "closed" }],
  exchanges: 2,
  cacheBytes: 21_504,
  traces: [
    {
      tenant: "acme",
      job: "moderation",
      arrivedMs: 1_795_197_659_120,
      queuedMs: 0.3,
      upstreamMs: 812,
      tries: 1,
      promptBytes: 604,
      tokens: 702,
      outcome: "answered",
    },
  ],
  top: [{ tenant: "acme", tokens: 52_118, costMicros: 0 }],
  cpuMs: 412,
};

export const TENANT_LLM_EXAMPLE = {
  tenant: "acme",
  source: "tenant",
  limits: { callsPerMinute: 60, tokensPerMinute: 400_000, microsPerDay: 2_000_000 },
  runningMax: 8,
  left: { calls: 41, tokens: 388_120, micros: 1_993_400 },
  jobs: [
    {
      job: "moderation",
      calls: 90,
      answered: 74,
      cached: 13,
      failures: { timedOut: 2, rateLimited: 1 },
      tokens: TOKENS,
      costMicros: 6_600,
    },
  ],
};
