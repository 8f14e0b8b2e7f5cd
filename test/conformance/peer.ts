/**
 * A second process under the hand of the first, which is synchronous: commands and answers travel through two FIFOs.
 * It offers the calls of `sys` by name (`peer.call("open", path, flags)`), and `start`/`finish` for one that blocks.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SysError } from "./libc/calls.ts";
import { sys } from "./libc/sys.ts";

type Sys = typeof sys;
type Result<K extends keyof Sys> = ReturnType<Sys[K]>;

export class Peer {
  readonly #folder = mkdtempSync("/tmp/dfs-peer-");
  readonly #child: ChildProcess;
  readonly #commands: number;
  readonly #answers: number;
  #rest = "";

  constructor() {
    const commands = `${this.#folder}/commands`;
    const answers = `${this.#folder}/answers`;
    sys.mkfifo(commands);
    sys.mkfifo(answers);
    this.#child = spawn(
      process.execPath,
      [`--import=${import.meta.resolve("tsx")}`, fileURLToPath(import.meta.url), commands, answers],
      {
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    // Opened for both directions, so that neither open nor read ever sees "no writer".
    this.#commands = openSync(commands, "r+");
    this.#answers = openSync(answers, "r+");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  call<K extends keyof Sys>(name: K, ...args: Parameters<Sys[K]>): Result<K> {
    this.start(name, ...args);
    return this.finish() as Result<K>;
  }

  /** Sends the command and does not wait: `finish` does. */
  start<K extends keyof Sys>(name: K, ...args: Parameters<Sys[K]>): void {
    writeSync(this.#commands, JSON.stringify([name, args], encode) + "\n");
  }

  finish(): unknown {
    const line = this.#readLine();
    const [ok, value] = JSON.parse(line, decode) as [boolean, unknown];
    if (ok) return value;
    const [call, errno] = value as [string, string];
    throw new SysError(call, errno);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  close(): void {
    this.kill();
    closeSync(this.#commands);
    closeSync(this.#answers);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #readLine(): string {
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      this.#rest += buffer.toString("utf8", 0, readSync(this.#answers, buffer));
    }
  }
}

function encode(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return { bigint: String(value) };
  return value;
}

function decode(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("bigint" in value) return BigInt(value.bigint as string);
  if ("type" in value && value.type === "Buffer" && "data" in value) return Buffer.from(value.data as number[]);
  return value;
}

function serve(commandPath: string, answerPath: string): void {
  const commands = openSync(commandPath, "r");
  const answers = openSync(answerPath, "w");
  const buffer = Buffer.alloc(65_536);
  let rest = "";
  for (;;) {
    const end = rest.indexOf("\n");
    if (end < 0) {
      const count = readSync(commands, buffer);
      if (count === 0) return;
      rest += buffer.toString("utf8", 0, count);
      continue;
    }
    const [name, args] = JSON.parse(rest.slice(0, end), decode) as [keyof Sys, unknown[]];
    rest = rest.slice(end + 1);
    let answer: [boolean, unknown];
    try {
      answer = [true, (sys[name] as (...all: unknown[]) => unknown)(...args) ?? null];
    } catch (error) {
      answer = [false, [name, error instanceof SysError ? error.errno : String(error)]];
    }
    writeSync(answers, JSON.stringify(answer, encode) + "\n");
  }
}

const [, script, commandPath, answerPath] = process.argv;
if (script === fileURLToPath(import.meta.url) && commandPath !== undefined && answerPath !== undefined) {
  serve(commandPath, answerPath);
}
