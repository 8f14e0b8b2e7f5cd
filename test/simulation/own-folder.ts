/** A process that does one random thing after the other in a folder of its own; every result must be the model's. */
import { isDirectory, isSymlink } from "../../src/base/attributes.ts";
import { errnoOf } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";
import type { PathClient } from "../vfs/path-client.ts";
import { drop, fsync, hold, read, readAll, readHeld, stat, sync, truncate, write } from "./own-content.ts";
import { OwnModel, type ModelFile, type SeenNode } from "./own-model.ts";
import { create, link, list, mkdir, rename, rmdir, symlink, unlink } from "./own-names.ts";
import type { Own, Step } from "./own-step.ts";

const names = ["a", "b", "c", "d", "e"];
const lengths = [10, 1_500, 5_000, 20_000, 150_000];

export class OwnFolder implements Own {
  readonly base: string;
  readonly model = new OwnModel();
  readonly #random: Random;
  /** A file that is open all the while, and may have lost its names. */
  #held: ModelFile | undefined;
  #fill = 0;
  #isMade = false;

  constructor(base: string, random: Random) {
    this.base = base;
    this.#random = random;
  }

  next(): Step {
    if (!this.#isMade) {
      this.#isMade = true;
      return mkdir(this, "");
    }
    const files = this.#paths("file");
    const file = this.#any(files);
    const free = this.#free();
    const choice = this.#random.below(20);
    if (file === undefined || files.length < 2 || choice < 2)
      return free === undefined ? list(this, "") : create(this, free);
    switch (choice) {
      case 2:
        return free === undefined ? list(this, "") : mkdir(this, free);
      case 3:
        return rmdir(this, this.#any(this.#paths("folder").filter((path) => path !== "")) ?? "/none");
      case 4:
        return unlink(this, file);
      case 5:
      case 6:
        return this.#rename(file, this.#random.below(2) === 0 ? free : this.#any(files));
      case 7:
        return free === undefined ? list(this, "") : link(this, file, free);
      case 8:
        return free === undefined ? list(this, "") : symlink(this, free, `to-${String(this.#fill++)}`);
      case 9:
        return truncate(this, file, this.#random.below(2) === 0 ? 0 : this.#random.below(100_000));
      case 10:
        return stat(this, file);
      case 11:
        return list(this, this.#any(this.#paths("folder")) ?? "");
      case 12:
        return this.#useHeld(file);
      case 13:
        return fsync(this, file);
      case 14:
        return sync(this);
      case 15:
        return read(this, file);
      default:
        return this.#write(file);
    }
  }

  /** What is wrong with what this client sees. */
  async check(client: PathClient, mayHaveLost: boolean): Promise<string | undefined> {
    const seen = new Map<string, SeenNode>();
    await this.#look(client, "", seen).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT" || seen.size > 0) throw error;
    });
    const problem = this.model.problem(seen, mayHaveLost);
    return problem === undefined ? undefined : `${this.base}: ${problem}`;
  }

  async #look(client: PathClient, path: string, seen: Map<string, SeenNode>): Promise<void> {
    const { mode, ino, nlink, size } = await client.stat(this.base + path);
    if (isSymlink(mode)) seen.set(path, { kind: "symlink", target: await client.readlink(this.base + path) });
    else if (isDirectory(mode)) {
      seen.set(path, { kind: "folder" });
      for (const name of await client.readdir(this.base + path)) await this.#look(client, `${path}/${name}`, seen);
    } else {
      seen.set(path, { kind: "file", ino, links: nlink, content: await readAll(client, this.base + path, size + 1) });
    }
  }

  #paths(kind: "file" | "folder" | "symlink"): string[] {
    return [...this.model.nodes].filter(([, node]) => node.kind === kind).map(([path]) => path);
  }

  #any<T>(of: readonly T[]): T | undefined {
    return of[this.#random.below(Math.max(1, of.length))];
  }

  /** A name that nothing has. */
  #free(): string | undefined {
    const path = `${this.#any(this.#paths("folder")) ?? ""}/${this.#any(names) ?? "a"}`;
    return this.model.nodes.has(path) || path.split("/").length > 4 ? undefined : path;
  }

  /** A file, or the folder that it is in. */
  #rename(file: string, target: string | undefined): Step {
    if (target === undefined) return list(this, "");
    const folder = file.slice(0, file.lastIndexOf("/"));
    const isFree = !this.model.nodes.has(target);
    const mayMoveFolder = isFree && folder !== "" && this.#random.below(2) === 0 && !target.startsWith(`${folder}/`);
    return rename(this, mayMoveFolder ? folder : file, target);
  }

  #useHeld(file: string): Step {
    const held = this.#held;
    if (held === undefined) {
      this.#held = this.model.file(file);
      return hold(this, file);
    }
    if (this.#random.below(3) > 0) return readHeld(held);
    this.#held = undefined;
    return drop();
  }

  #write(path: string): Step {
    const size = this.model.file(path).versions.at(-1)?.length ?? 0;
    const offset = this.#random.below(3) === 0 ? size : this.#random.below(size + 1_000);
    const bytes = Buffer.alloc(1 + this.#random.below(this.#any(lengths) ?? 10), 1 + (this.#fill++ % 255));
    return write(this, path, { offset, bytes });
  }
}
