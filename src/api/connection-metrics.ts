/** What /metrics shows of HTTP connections. */
import type { ConnectionStats } from "./connection-limits.ts";
import { counter, type Family, gauge } from "./metric-families.ts";

export function connectionFamilies(stats: ConnectionStats | undefined): Family[] {
  if (stats === undefined) return [];
  const refused = {
    all: stats.refusedCount,
    address: stats.refusedOfAddressCount,
    slowBody: stats.slowBodyCount,
    pipeline: stats.pipelineCount,
  };
  return [
    gauge("nexuscore_http_connections", "HTTP connections that are open.", [
      { labels: {}, value: stats.openCount },
    ]),
    counter(
      "nexuscore_http_connections_refused_total",
      "HTTP connections that were closed, by the bound that they met.",
      Object.entries(refused).map(([bound, value]) => ({ labels: { bound }, value })),
    ),
  ];
}
