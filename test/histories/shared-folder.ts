/**
 * What clients share while a history is recorded, and how what they know as values lies in files:
 *
 *   register-N      a value, filled up with spaces to its length, at a fixed offset within one page
 *   log-N           records of 64 bytes with their line feed; made by who appends or reads first
 *   names-N/        the names that come and go
 *   inodes/N        files that `link` gives more names; nobody changes their own ones
 */
import { mkdirSync, openSync, closeSync, writeSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { initialValue } from "./register.ts";

export interface RegisterPlace {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Short and long, at the beginning, the end and in the middle of a page. */
export const registers: readonly RegisterPlace[] = [
  { file: "register-0", offset: 0, bytes: 64 },
  { file: "register-1", offset: 8_192, bytes: 4_096 },
  { file: "register-2", offset: 100_000, bytes: 1_000 },
];
export const directories: readonly string[] = ["names-0", "names-1"];
export const linkedInodes: readonly string[] = ["inodes/0", "inodes/1"];
export const recordBytes = 64;

/** Before any client begins. */
export function prepareFolder(folder: string): void {
  mkdirSync(folder);
  for (const place of registers) {
    const fd = openSync(join(folder, place.file), "wx");
    writeSync(fd, valueBytes(initialValue, place), 0, place.bytes, place.offset);
    closeSync(fd);
  }
  for (const directory of [...directories, "inodes"]) mkdirSync(join(folder, directory));
  for (const file of linkedInodes) writeFileSync(join(folder, file), "");
}

export function valueBytes(value: string, { bytes }: RegisterPlace): Buffer {
  // Repeated, so that a mixture of two values shows.
  return Buffer.from(`${value} `.repeat(Math.ceil(bytes / (value.length + 1))).slice(0, bytes));
}

export function valueIn(content: Buffer, place: RegisterPlace): string {
  const [value = ""] = content.toString("latin1").split(" ", 1);
  return content.equals(valueBytes(value, place)) ? value : `torn:${content.toString("latin1")}`;
}

export function recordLine(record: string): Buffer {
  return Buffer.from(`${record.padEnd(recordBytes - 1)}\n`);
}

export function recordsIn(content: Buffer): string[] {
  const records: string[] = [];
  for (let at = 0; at < content.length; at += recordBytes) {
    const line = content.toString("latin1", at, at + recordBytes);
    const record = line.trimEnd();
    records.push(line === recordLine(record).toString("latin1") ? record : `torn:${JSON.stringify(line)}`);
  }
  return records;
}
