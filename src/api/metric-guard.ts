/**
 * What keeps /metrics small, whatever is counted: each series costs a Prometheus some KiB for as
 * long as it keeps it, and callers choose the names of tenants. A family has a bound; a tenant is a
 * label only in families that say so, of the largest few; what is left out is counted.
 */
import type { Family, Sample } from "./metric-families.ts";

/** Of a family: 256 threads in nine states are the most that is ours to say. */
export const SERIES_MAX = 2_500;
/** Of a family of tenants. */
export const TENANTS_SHOWN_MAX = 20;
const LABEL_CHARACTERS_MAX = 128;
/** Names of families whose label is a tenant end so. */
const OF_TENANTS = /^nexuscore_top_tenant_/;
/** What callers choose may be a label nowhere else. */
const FORBIDDEN = ["tenant", "user", "sender", "conversation", "address", "key"];

export function guarded(families: readonly Family[]): Family[] {
  let dropped = 0;
  const bounded = families.map((family) => {
    const values = boundedSamples(family);
    dropped += family.values.length - values.length;
    // Quantiles without sum and count: Prometheus knows those of summaries alone.
    const type = values.some(({ labels }) => "quantile" in labels) ? "summary" : family.type;
    return { ...family, type, values };
  });
  const help = "Series that were left out of this answer, to keep it small.";
  const own: Sample = { labels: {}, value: dropped };
  return [
    ...bounded,
    { name: "nexuscore_metrics_series_dropped", help, type: "gauge", values: [own] },
  ];
}

function boundedSamples({ name, type, values }: Family): Sample[] {
  const ofTenants = OF_TENANTS.test(name);
  const seriesMax = ofTenants ? TENANTS_SHOWN_MAX : SERIES_MAX;
  const ranked = ofTenants ? largest(values, seriesMax) : values;
  const kept = new Map<string, Sample>();
  for (const sample of ranked) {
    if (kept.size >= seriesMax) break;
    if (FORBIDDEN.some((label) => label in sample.labels && !(ofTenants && label === "tenant"))) {
      continue;
    }
    const labels = Object.fromEntries(
      Object.entries(sample.labels).map(([label, value]) => [label, harmless(value)]),
    );
    const key = `${sample.metricName ?? ""}${JSON.stringify(labels)}`;
    const same = kept.get(key);
    // Two that were cut to the same name are one from here on; a series may come only once.
    if (same === undefined) kept.set(key, { ...sample, labels });
    else if (type !== "histogram") kept.set(key, { ...same, value: same.value + sample.value });
  }
  return [...kept.values()];
}

/** Without sorting all of them: there may be very many. */
function largest(samples: readonly Sample[], count: number): Sample[] {
  const best: Sample[] = [];
  for (const sample of samples) {
    const last = best.at(-1);
    if (best.length >= count && last !== undefined && sample.value <= last.value) continue;
    const found = best.findIndex(({ value }) => value < sample.value);
    best.splice(found < 0 ? best.length : found, 0, sample);
    if (best.length > count) best.pop();
  }
  return best;
}

/** Quotes and line ends are escaped where they are written; what has no form at all goes here. */
function harmless(value: string): string {
  return value
    .toWellFormed()
    .slice(0, LABEL_CHARACTERS_MAX)
    .toWellFormed()
    .replaceAll(/(?!\n)\p{C}/gu, "?");
}
