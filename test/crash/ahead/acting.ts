/** The actor's other end: an actor process under this one's hand, and what it left behind read again. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { shell } from "../../support/cluster.ts";
import type { Task } from "./actor.ts";
import type { Found } from "./found.ts";

const nodeArguments = ["--import", import.meta.resolve("tsx")];
const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export class Actor {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor() {
    this.#child = spawn(process.execPath, [...nodeArguments, path("actor.ts")], {
      cwd: "/",
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error("no pipe");
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Resolves when it is done with the task. */
  act(task: Task, seconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(timer);
        this.#lines.removeAllListeners();
        this.#child.removeAllListeners("exit");
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => {
        end(new Error(`the operations of seed ${String(task.seed)} are not done after ${String(seconds)} s`));
      }, seconds * 1000);
      this.#lines.once("line", () => {
        end();
      });
      this.#child.once("exit", (code, signal) => {
        end(new Error(`the actor ended with ${String(code ?? signal)}`));
      });
      this.#child.stdin?.write(`${JSON.stringify(task)}\n`);
    });
  }

  close(): void {
    this.#child.kill("SIGKILL");
    this.#lines.close();
  }
}

/** What is in folders of a mount, by a process of its own. It waits for whoever else may still change them. */
export async function lookAt(folders: readonly string[], seconds: number): Promise<Found[]> {
  const command = [process.execPath, ...nodeArguments, path("look.ts"), ...folders];
  const output = await shell(command.map((word) => `'${word}'`).join(" "), { seconds, cwd: "/" });
  return output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Found);
}
