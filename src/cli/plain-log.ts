/** The log of a process that is to be small: lines as those of logging.ts, without its package. */
import { writeSync } from "node:fs";
import { hostname } from "node:os";
import type { Log, LogFields } from "../base/log.ts";

const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const;

export function createPlainLog(name: string, fields: LogFields = {}): Log {
  const base = { pid: process.pid, hostname: hostname(), name, ...fields };
  const at = (level: keyof typeof levels) => (more: LogFields, msg: string) => {
    const line = { level: levels[level], time: new Date().toISOString(), ...base, ...more, msg };
    try {
      writeSync(2, `${JSON.stringify(line)}\n`);
    } catch {
      // Nobody reads it (a closed pipe): what it tells of goes on.
    }
  };
  return {
    debug: () => undefined,
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    debugging: false,
    child: (more) => createPlainLog(name, { ...fields, ...more }),
  };
}
