/** Logging, injected. One line per event; fields are named, secrets and file content never appear. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** Whether debug lines are wanted: check before building costly fields. */
  readonly debugging: boolean;
  /** A log that adds `fields` to every line. */
  child(fields: LogFields): Log;
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debugging: false,
  child: () => silentLog,
};
