/**
 * A process that takes an flock and then writes when it is told to. It never waits in the test's own process, so that a
 * lock that is not granted fails a test and does not hang it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

const script = `
exec 9>>"$1" || exit 1
flock $2 9 && echo got || { echo busy; exit; }
while read -r line; do if echo "$line" 2>/dev/null >&9; then echo wrote; else echo refused; fi; done`;

export class LockWitness {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #first: Promise<string>;

  /** Waits for the lock, or, with `wait: false`, asks for it once. */
  constructor(file: string, { wait }: { wait: boolean }) {
    // A descriptor of the mount is opened by the script only: this process must not wait for the mount.
    this.#child = spawn("bash", ["-c", script, "witness", file, wait ? "" : "-n"], {
      cwd: "/",
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error("no output");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#first = this.#next();
    // Nobody may ask for it.
    this.#first.catch(() => undefined);
  }

  /** Resolves when it was granted; false: it was not asked to wait, and somebody else has it. */
  async got(seconds: number): Promise<boolean> {
    return (await within(seconds, "the lock", this.#first)) === "got";
  }

  /** Writes through the descriptor that has the lock; false: that failed. */
  async write(text: string, seconds = 30): Promise<boolean> {
    this.#child.stdin?.write(`${text}\n`);
    return (await within(seconds, "writing", this.#next())) === "wrote";
  }

  /** Ends the process, and its lock with it. */
  end(): void {
    this.#child.kill("SIGKILL");
  }

  async #next(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error("the witness has ended");
    return line.value;
  }
}

async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${String(seconds)} s: ${what}`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
