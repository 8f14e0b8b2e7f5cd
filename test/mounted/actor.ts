/**
 * A process that acts on a mount under the hand of an asynchronous test: several act at the same time, and a call that
 * hangs fails the test after a while instead of hanging it too. Calls of one actor are done one after the other; what it
 * can do is in acts.ts. It dies with the test's process, whatever that one dies of.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SysError } from "../conformance/libc/calls.ts";
import { acts, diesWithParent } from "./acts.ts";

type Acts = typeof acts;
type Command = readonly [name: keyof Acts, args: readonly unknown[]];
type Answer =
  { readonly value: unknown } | { readonly call: string; readonly errno: string } | { readonly fault: string };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Actor {
  private readonly child: ChildProcess;
  private readonly gone: Promise<void>;
  private readonly waiting: Waiting[] = [];

  constructor() {
    this.child = spawn(
      process.execPath,
      [`--import=${import.meta.resolve("tsx")}`, fileURLToPath(import.meta.url), "act"],
      {
        cwd: "/",
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        serialization: "advanced",
      },
    );
    this.child.on("message", (answer) => this.settle(answer as Answer));
    this.gone = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.failAll(error.message);
        resolve();
      });
      this.child.once("exit", (code, signal) => {
        this.failAll(`ended with ${String(code ?? signal)}`);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Rejects with SysError if the system call fails, and with Error if there is no answer in time. */
  call<K extends keyof Acts>(name: K, ...args: Parameters<Acts[K]>): Promise<ReturnType<Acts[K]>> {
    return this.callWithin(30, name, ...args);
  }

  callWithin<K extends keyof Acts>(
    seconds: number,
    name: K,
    ...args: Parameters<Acts[K]>
  ): Promise<ReturnType<Acts[K]>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${name}(${inWords(args)}) has not returned after ${String(seconds)} s`));
        this.child.kill("SIGKILL");
      }, seconds * 1000);
      this.waiting.push({ resolve: resolve as (value: unknown) => void, reject, timer });
      this.child.send([name, args] satisfies Command, (error) => {
        if (error !== null) this.failAll(error.message);
      });
    });
  }

  /** Inside a system call that waits for the filesystem, for example for a lock. */
  isWaiting(): boolean {
    return readFileSync(`/proc/${String(this.pid)}/wchan`, "latin1").includes("request_wait");
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** The process ends by itself: what it has open is closed by exit(2). */
  async exit(): Promise<void> {
    this.child.disconnect();
    await this.ended();
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended();
  }

  /** A process that the kernel cannot end, because its filesystem does not answer, is not waited for. */
  private async ended(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 5_000);
    });
    await Promise.race([this.gone, late]);
    clearTimeout(timer);
  }

  private settle(answer: Answer): void {
    const first = this.waiting.shift();
    if (first === undefined) return;
    clearTimeout(first.timer);
    if ("errno" in answer) first.reject(new SysError(answer.call, answer.errno));
    else if ("fault" in answer) first.reject(new Error(answer.fault));
    else first.resolve(answer.value);
  }

  private failAll(why: string): void {
    for (const { reject, timer } of this.waiting.splice(0)) {
      clearTimeout(timer);
      reject(new Error(`the acting process: ${why}`));
    }
  }
}

/** The errno of a call that fails, `undefined` of one that does not. Other errors pass. */
export async function errnoOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
}

function inWords(args: readonly unknown[]): string {
  return args.map((arg) => (Buffer.isBuffer(arg) ? `${String(arg.length)} bytes` : String(arg))).join(", ");
}

function serve(): void {
  diesWithParent();
  process.on("disconnect", () => process.exit(0));
  process.on("message", (command) => {
    const [name, args] = command as Command;
    process.send?.(answerTo(name, args));
  });
}

function answerTo(name: keyof Acts, args: readonly unknown[]): Answer {
  try {
    return { value: (acts[name] as (...all: unknown[]) => unknown)(...args.map(asBuffer)) };
  } catch (error) {
    if (error instanceof SysError) return { call: name, errno: error.errno };
    return { fault: `${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}` };
  }
}

/** Buffers arrive as plain Uint8Arrays in the versions of Node that serialise them so. */
function asBuffer(value: unknown): unknown {
  return value instanceof Uint8Array && !Buffer.isBuffer(value) ? Buffer.from(value) : value;
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === "act") serve();
