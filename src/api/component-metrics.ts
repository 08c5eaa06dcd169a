/** What Prometheus is told of the components that tenants run, and of those who moved. */
import { newUpgradeCounts, UPGRADE_RESULTS } from "#model/component.ts";
import type { ShardStats } from "#engine/door.ts";
import { counter, type Family, gauge, type Sample } from "./metric-families.ts";

export function componentFamilies(shards: readonly ShardStats[]): Family[] {
  const tenants = new Map<string, Sample>();
  const upgrades = newUpgradeCounts();
  for (const { components } of shards) {
    if (components === undefined) continue;
    for (const result of UPGRADE_RESULTS) upgrades[result] += components.upgrades[result];
    for (const { world, component, tenants: count } of components.components) {
      const key = `${world} ${component}`;
      const value = (tenants.get(key)?.value ?? 0) + count;
      tenants.set(key, { labels: { world, component }, value });
    }
  }
  const samples = UPGRADE_RESULTS.map((result) => ({
    labels: { result },
    value: upgrades[result],
  }));
  return [
    gauge("nexuscore_component_tenants", "Tenants, by what they run.", [...tenants.values()]),
    counter(
      "nexuscore_component_upgrades_total",
      "Tenants that were to move to another component, by what became of it.",
      samples,
    ),
  ];
}
