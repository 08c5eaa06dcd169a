/**
 * The board for Grafana, from a list of panels: the JSON that Grafana wants says each of them in
 * fifty lines. `npm run generate` writes deploy/grafana/nexuscore.json.
 */

export const BOARD_PATH = "deploy/grafana/nexuscore.json";

type Unit = "short" | "ops" | "s" | "bytes" | "Bps" | "percentunit" | "currencyUSD" | "none";

type Panel = {
  readonly title: string;
  /** What it tells, for who sees it for the first time. */
  readonly words: string;
  readonly unit: Unit;
  /** Legend -> PromQL. */
  readonly lines: Readonly<Record<string, string>>;
  /** A single number instead of a graph; with what it is named by value. */
  readonly isNumber?: boolean;
};

/** Of the server that is chosen above the board. */
const OF = `job="$job",instance=~"$instance"`;
const rate = (metric: string, labels = ""): string =>
  `rate(${metric}{${OF}${labels}}[$__rate_interval])`;
const sum = (expression: string): string => `sum(${expression})`;

const ROWS: readonly { readonly title: string; readonly panels: readonly Panel[] }[] = [
  {
    title: "At a glance",
    panels: [
      number("Up", "Servers that answer.", "short", sum(`up{${OF}}`)),
      number("Tenants", "That live here.", "short", sum(`nexuscore_shard_tenants{${OF}}`)),
      number("Events", "Taken a second.", "ops", sum(rate("nexuscore_shard_events_total"))),
      number(
        "Disk",
        "1: events are acknowledged as they should be.",
        "none",
        `max(nexuscore_log_state{${OF},state=~"ok|off"})`,
      ),
      number(
        "Refused",
        "Of all requests: busy, over a quota, or the disk.",
        "percentunit",
        `${sum(rate("nexuscore_http_answers_total", ',status=~"429|503|507"'))} / ` +
          sum(rate("nexuscore_http_answers_total")),
      ),
      number("Memory", "Of the process.", "bytes", sum(`process_resident_memory_bytes{${OF}}`)),
    ],
  },
  {
    title: "Events",
    panels: [
      graph("Events", "Taken, and refused one by one.", "ops", {
        taken: sum(rate("nexuscore_shard_events_total")),
        refused: sum(rate("nexuscore_shard_rejected_total")),
      }),
      graph("Answers", "Of HTTP, by status.", "ops", {
        "{{status}}": `sum by (status) (${rate("nexuscore_http_answers_total")})`,
      }),
      graph("Datagrams", "Records, by who aggregates them.", "ops", {
        "{{path}}": `sum by (path) (${rate("nexuscore_datagram_records_total")})`,
        dropped: sum(rate("nexuscore_socket_drops_total")),
      }),
      graph("Connections", "Open; and closed, by the bound that they met.", "short", {
        open: sum(`nexuscore_http_connections{${OF}}`),
        "closed, {{bound}}":
          `sum by (bound) (` + rate("nexuscore_http_connections_refused_total") + ")",
      }),
    ],
  },
  {
    title: "Engine",
    panels: [
      graph("Turns", "Of tenants' components, by how they ended.", "ops", {
        "{{outcome}}": `sum by (outcome) (${rate("nexuscore_shard_outcomes_total")})`,
      }),
      graph("Time of a turn", "Quantiles since the start; the slowest shard.", "s", {
        "{{quantile}}": `max by (quantile) (nexuscore_shard_turn_seconds{${OF}})`,
      }),
      graph("Tenants in slots", "Turns that found their tenant there.", "percentunit", {
        warm:
          `${sum(rate("nexuscore_shard_slot_hits_total"))} / (` +
          `${sum(rate("nexuscore_shard_slot_hits_total"))} + ` +
          `${sum(rate("nexuscore_shard_slot_misses_total"))})`,
      }),
      graph("Memory of tenants", "Images at rest; bytes that wait for shards.", "bytes", {
        images: sum(`nexuscore_shard_image_bytes{${OF}}`),
        moderators: sum(`nexuscore_moderation_image_bytes{${OF}}`),
        waiting: sum(`nexuscore_shard_ring_bytes{${OF}}`),
      }),
      graph("CPU", "Cores that the process uses; its loop's lateness.", "short", {
        cores: sum(rate("process_cpu_seconds_total")),
      }),
      graph("Late I/O thread", "How much later than due it runs.", "s", {
        p99: `max(nodejs_eventloop_lag_p99_seconds{${OF}})`,
        mean: `max(nodejs_eventloop_lag_mean_seconds{${OF}})`,
      }),
    ],
  },
  {
    title: "Disk",
    panels: [
      graph("State of the disk", "1 at the state that it is in.", "none", {
        "{{state}}": `max by (state) (nexuscore_log_state{${OF}})`,
      }),
      graph("Commits", "Groups of events a second, and those that failed.", "ops", {
        written: sum(rate("nexuscore_log_commits_total")),
        failed: sum(rate("nexuscore_log_failures_total")),
      }),
      graph("Time of a commit", "Synced to the disk. Senders wait for it.", "s", {
        "{{quantile}}": `max by (quantile) (nexuscore_log_commit_seconds{${OF}})`,
      }),
      graph("Log", "Turns that no snapshot holds yet, and their limit.", "bytes", {
        log: sum(`nexuscore_log_bytes{${OF}}`),
        limit: sum(`nexuscore_log_bytes_max{${OF}}`),
        file: sum(`nexuscore_log_store_bytes{${OF}}`),
      }),
      graph("Next start", "What it would have to do again.", "s", {
        backlog: `max(nexuscore_log_backlog_seconds{${OF}})`,
        "last start": `max(nexuscore_recovery_seconds{${OF}})`,
      }),
      graph("Snapshots", "Bytes a second; tenants that wait for one.", "Bps", {
        written: sum(rate("nexuscore_snapshot_bytes_total")),
      }),
      graph("Tenants to be kept", "With turns that no snapshot holds.", "short", {
        tenants: sum(`nexuscore_snapshot_dirty_tenants{${OF}}`),
        "answers held": sum(`nexuscore_log_held_answers{${OF}}`),
      }),
      graph("Last start", "What was wrong with what was kept.", "short", {
        repaired: sum(`nexuscore_recovery_repaired_snapshots{${OF}}`),
        lost: sum(`nexuscore_recovery_lost_tenants{${OF}}`),
        gaps: sum(`nexuscore_recovery_gaps{${OF}}`),
      }),
    ],
  },
  {
    title: "Moderation",
    panels: [
      graph("Messages", "Judged, by what became of them.", "ops", {
        "{{action}}": `sum by (action) (${rate("nexuscore_moderation_messages_total")})`,
      }),
      graph("Time of a verdict", "Quantiles since the start; the slowest shard.", "s", {
        "{{quantile}}": `max by (quantile) (nexuscore_moderation_judge_seconds{${OF}})`,
      }),
      graph("Asked of a model", "By whether it answered; those that wait.", "ops", {
        "{{outcome}}": `sum by (outcome) (${rate("nexuscore_moderation_reviews_total")})`,
        waiting: sum(`nexuscore_moderation_reviews_open{${OF}}`),
      }),
      graph("Review store", "Transactions, failures, flagged messages that wait.", "short", {
        transactions: sum(rate("nexuscore_store_batches_total")),
        failures: sum(rate("nexuscore_store_failures_total")),
        waiting: sum(`nexuscore_store_flagged_waiting{${OF}}`),
      }),
    ],
  },
  {
    title: "Language models",
    panels: [
      graph("Calls", "By job and how they ended.", "ops", {
        "{{job}} {{outcome}}": `sum by (job, outcome) (${rate("nexuscore_llm_calls_total")}) > 0`,
      }),
      graph("Time of an upstream", "Quantiles since the start.", "s", {
        "{{quantile}}": `max by (quantile) (nexuscore_llm_upstream_seconds{${OF}})`,
      }),
      graph("Money", "A day, at the present rate.", "short", {
        cost: `86400 * ${sum(rate("nexuscore_llm_cost_total"))}`,
      }),
      graph("Queue", "Calls that wait, and that run.", "short", {
        waiting: sum(`nexuscore_llm_waiting{${OF}}`),
        running: sum(`nexuscore_llm_running{${OF}}`),
      }),
    ],
  },
  {
    title: "Keys, quotas, components, backups",
    panels: [
      graph("Not let in", "By why.", "ops", {
        "{{reason}}": `sum by (reason) (${rate("nexuscore_auth_refused_total")})`,
      }),
      graph("Keys", "Known; uses of secrets that were rotated.", "short", {
        keys: sum(`nexuscore_keys{${OF}}`),
        former: sum(rate("nexuscore_auth_former_total")),
      }),
      graph("Refused by quota", "Requests, and events of requests with others', by quota.", "ops", {
        "{{quota}}": `sum by (quota) (${rate("nexuscore_quota_refused_total")})`,
        "{{quota}}, events": `sum by (quota) (${rate("nexuscore_quota_refused_events_total")})`,
      }),
      graph("Who takes most", "Cores, of the tenants that took most CPU time.", "short", {
        "{{tenant}}": `topk(10, ${rate("nexuscore_top_tenant_cpu_seconds_total")})`,
      }),
      graph("Components", "Tenants, by what they run; those that moved, by how it went.", "short", {
        "{{world}} {{component}}": `sum by (world, component) (nexuscore_component_tenants{${OF}})`,
        "{{result}}": `sum by (result) (${rate("nexuscore_component_upgrades_total")}) > 0`,
      }),
      graph("Backups", "Age of the newest; those that failed.", "s", {
        age: `time() - max(nexuscore_backup_newest_seconds{${OF}} > 0)`,
        failed: `sum(increase(nexuscore_backup_failures_total{${OF}}[1d]))`,
      }),
    ],
  },
];

function number(title: string, words: string, unit: Unit, expression: string): Panel {
  return { title, words, unit, lines: { "": expression }, isNumber: true };
}

function graph(title: string, words: string, unit: Unit, lines: Panel["lines"]): Panel {
  return { title, words, unit, lines };
}

/** Of Grafana's grid, which is 24 wide. */
const WIDE = 24;
const GRAPH = { w: 8, h: 8 };
const NUMBER = { w: 4, h: 4 };
const SOURCE = { type: "prometheus", uid: "${source}" };

export function boardText(): string {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: those } of ROWS) {
    panels.push(rowOf(panels.length + 1, title, y));
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of those) {
      const { w, h } = panel.isNumber === true ? NUMBER : GRAPH;
      if (x + w > WIDE) {
        x = 0;
        y += height;
      }
      panels.push(panelOf(panels.length + 1, panel, { x, y, w, h }));
      x += w;
      height = h;
    }
    y += height;
  }
  return `${JSON.stringify({ ...HEAD, panels }, undefined, 1)}\n`;
}

function rowOf(id: number, title: string, y: number): object {
  return {
    id,
    type: "row",
    title,
    collapsed: false,
    gridPos: { x: 0, y, w: WIDE, h: 1 },
    panels: [],
  };
}

function panelOf(id: number, panel: Panel, gridPos: object): object {
  const { title, words, unit, lines, isNumber } = panel;
  const targets = Object.entries(lines).map(([legend, expr], index) => {
    const refId = String.fromCodePoint(A + index);
    return { refId, datasource: SOURCE, expr, legendFormat: legend, range: true };
  });
  return {
    id,
    type: isNumber === true ? "stat" : "timeseries",
    title,
    description: words,
    datasource: SOURCE,
    gridPos,
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options:
      isNumber === true
        ? { reduceOptions: { calcs: ["lastNotNull"] }, graphMode: "area", colorMode: "none" }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets,
  };
}

const A = 65;

function variable(name: string, label: string, query: string): object {
  const definition = { query, refId: name };
  const all = name === "instance" ? { includeAll: true, multi: true, allValue: ".*" } : {};
  return { type: "query", name, label, datasource: SOURCE, query: definition, refresh: 2, ...all };
}

const HEAD = {
  uid: "nexuscore",
  title: "NexusCore",
  description: "Events, engine, disk, moderation, language models and keys of NexusCore servers.",
  tags: ["nexuscore"],
  schemaVersion: 39,
  editable: true,
  refresh: "30s",
  time: { from: "now-1h", to: "now" },
  timezone: "browser",
  templating: {
    list: [
      { type: "datasource", name: "source", label: "Source", query: "prometheus" },
      variable("job", "Job", "label_values(nexuscore_shard_tenants, job)"),
      variable("instance", "Server", 'label_values(nexuscore_shard_tenants{job="$job"}, instance)'),
    ],
  },
  annotations: {
    list: [
      {
        name: "Starts",
        enable: true,
        datasource: SOURCE,
        iconColor: "purple",
        expr: `changes(process_start_time_seconds{${OF}}[1m]) > 0`,
        titleFormat: "start",
      },
    ],
  },
};
