/** One finding of `nexuscore doctor`, and how findings are shown. */
import { COLUMNS, style, wrap } from "./terminal.ts";

export type Check = {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** Why it matters; absent where it is plain, and where nothing is wrong. */
  readonly why?: string;
  /** What to do about it, a command where there is one; absent where nothing is needed. */
  readonly fix?: string;
};

const STATUS_COLUMNS = 6;

/** Within 80 columns; but a command stays on one line, so that it can be copied. */
export function renderChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length)) + 2;
  const indent = " ".repeat(STATUS_COLUMNS + width);
  const lines = checks.map(({ name, status, detail, why, fix }) => {
    const color = status === "ok" ? "green" : status === "warn" ? "yellow" : "red";
    const head = style(color, status.padEnd(4)) + "  " + name.padEnd(width);
    const text = why === undefined ? detail : `${detail}: ${why}`;
    const first = head + wrap(text, indent).slice(indent.length);
    return fix === undefined ? first : `${first}\n${fixLines(fix, indent)}`;
  });
  return [...lines, "", summary(checks)].join("\n");
}

function fixLines(fix: string, indent: string): string {
  const arrow = `${indent}→ `;
  const isCommand = /^(sudo|nexuscore|chmod|ulimit|npm|curl) /.test(fix);
  if (isCommand || arrow.length + fix.length <= COLUMNS) return arrow + fix;
  return arrow + wrap(fix, `${indent}  `).slice(arrow.length);
}

function summary(checks: readonly Check[]): string {
  const count = (status: Check["status"]): number =>
    checks.filter((check) => check.status === status).length;
  const [failed, warned] = [count("fail"), count("warn")];
  if (failed + warned === 0) return `${checks.length} checks, nothing to do.`;
  const parts = [
    ...(failed > 0 ? [`${failed} to be fixed before it can run well`] : []),
    ...(warned > 0 ? [`${warned} to think about`] : []),
  ];
  return `${checks.length} checks: ${parts.join(", ")}.`;
}
