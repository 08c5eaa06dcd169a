/**
 * CSV after RFC 4180: CRLF, quotes doubled, a header. What others wrote may begin like a formula,
 * which a spreadsheet would run; such a text gets an apostrophe in front. Numbers are ours and stay
 * as they are; what is null, undefined or not finite is an empty cell.
 */
export type Cell = string | number | boolean | null | undefined;

export const CSV_TYPE = "text/csv; charset=utf-8; header=present";

export function csv(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [columns, ...rows].map((cells) => cells.map(cellText).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "number") return Number.isFinite(cell) ? String(cell) : "";
  if (typeof cell === "boolean") return String(cell);
  const text = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Whether CSV is wanted: the query says so, or, when it says nothing, `Accept` does. */
export function wantsCsv(format: "json" | "csv" | undefined, accept: string | undefined): boolean {
  if (format !== undefined) return format === "csv";
  // Only what is named counts: `*/*` is said by clients that never thought of CSV.
  const ranges = (accept ?? "").split(",").map(rangeOf);
  const csvAt = ranges.findIndex(({ type }) => type === "text/csv");
  const jsonAt = ranges.findIndex(({ type }) => type === "application/json");
  const csvWeight = ranges[csvAt]?.weight ?? 0;
  const jsonWeight = ranges[jsonAt]?.weight ?? 0;
  return csvWeight > jsonWeight || (csvWeight > 0 && csvWeight === jsonWeight && csvAt < jsonAt);
}

/** One media range of `Accept`, with its weight from 0 to 1 (RFC 9110, 12.4.2). */
function rangeOf(part: string): { type: string; weight: number } {
  const [type = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  return { type, weight: weight === undefined ? 1 : Math.min(Number(weight) || 0, 1) };
}
