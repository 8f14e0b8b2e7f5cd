/** A command that cannot do what it was told: one sentence for a person, and the exit status. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly status: number;

  constructor(message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.status = options.status ?? 1;
  }
}
