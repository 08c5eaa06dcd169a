/** Reports for people. */
import type { Report, Scenario } from "./harness.ts";

export function renderReport(report: Report): string {
  const { machine } = report;
  const parameters = Object.entries(report.parameters).map(([name, value]) => `${name}=${value}`);
  const rows = Object.entries(report.results).map(([name, { median, min, max, runs, unit }]) => {
    return [name, number(median), number(min), number(max), String(runs), unit];
  });
  return [
    `${report.scenario} at ${report.commit}, ${new Date(report.startedAtMs).toISOString()}`,
    `${machine.cores} cores of ${machine.cpu}, kernel ${machine.kernel}, Node ${machine.node}`,
    `parameters: ${parameters.join(" ")}`,
    "",
    ...align([["result", "median", "min", "max", "runs", "unit"], ...rows]),
    "",
    `hash ${report.hash}`,
    "",
  ].join("\n");
}

export function renderList(scenarios: readonly Scenario[]): string {
  const lines = scenarios.flatMap(({ name, sentence, parameters }) => [
    `${name}: ${sentence}`,
    ...align(
      Object.entries(parameters).map(([parameter, spec]) => {
        return [`  ${parameter}`, String(spec.full), spec.sentence];
      }),
      [1],
    ),
    "",
  ]);
  return `${lines.join("\n")}\n`;
}

/** Columns of equal width; all but the first and last are numbers unless `left` is said. */
function align(rows: readonly (readonly string[])[], left: readonly number[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, column) => {
    return Math.max(...rows.map((row) => row[column]!.length));
  });
  const last = widths.length - 1;
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      if (column === last) return cell;
      return column === 0 || left.includes(column)
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!);
    });
    return cells.join("  ");
  });
}

function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return value >= 1000
    ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(4)));
}
