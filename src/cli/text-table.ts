/** Tables for people, as lines of text. */
import { stripVTControlCharacters } from "node:util";
import { colors } from "./colors.ts";

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const plain = (text: string): number => stripVTControlCharacters(text).length;
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => plain(row[i] ?? ""))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - plain(cell)))
      .join("  ")
      .trimEnd();
  return [colors.bold(line(head)), ...(rows.length === 0 ? ["none"] : rows.map(line))];
}
