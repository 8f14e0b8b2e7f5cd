/** Logging by pino: one JSON line per event on standard error, which a daemon's parent has directed to its log file. */
import { destination, pino, stdTimeFunctions, type Logger } from "pino";
import type { Log } from "../base/log.ts";

export function createLog(name: string, options: { debug: boolean }): Log {
  const logger = pino(
    { name, level: options.debug ? "debug" : "info", timestamp: stdTimeFunctions.isoTime },
    // Synchronous: the last lines before a crash are the ones that matter.
    destination({ dest: 2, sync: true }),
  );
  return adapt(logger);
}

function adapt(logger: Logger): Log {
  return {
    debug: (fields, message) => {
      logger.debug(fields, message);
    },
    info: (fields, message) => {
      logger.info(fields, message);
    },
    warn: (fields, message) => {
      logger.warn(fields, message);
    },
    error: (fields, message) => {
      logger.error(fields, message);
    },
    debugging: logger.isLevelEnabled("debug"),
    child: (fields) => adapt(logger.child(fields)),
  };
}
