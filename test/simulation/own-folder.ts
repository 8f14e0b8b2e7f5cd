/** A process that does one random thing after the other in a folder of its own; every result must be the model's. */
import { isDirectory, isSymlink } from "../../src/base/attributes.ts";
import { errnoOf } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";
import { open, type PathClient } from "../vfs/path-client.ts";
import { OwnModel, type ModelFile, type SeenNode } from "./own-model.ts";

interface Step {
  readonly what: string;
  /** Changes the model, and says what must come of it. */
  readonly expected: () => unknown;
  readonly run: (client: PathClient) => Promise<unknown>;
}

const names = ["a", "b", "c", "d", "e"];
const [fd, heldFd] = [901, 902];
const lengths = [10, 1_500, 5_000, 20_000, 150_000];

export class OwnFolder {
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
      return this.#mkdir("");
    }
    const files = this.#paths("file");
    const file = this.#any(files);
    const free = this.#free();
    const choice = this.#random.below(20);
    if (files.length < 2 || choice < 2) return free === undefined ? this.#list("") : this.#create(free);
    switch (choice) {
      case 2:
        return free === undefined ? this.#list("") : this.#mkdir(free);
      case 3:
        return this.#rmdir(this.#any(this.#paths("folder").filter((path) => path !== "")) ?? "/none");
      case 4:
        return this.#unlink(file ?? "/none");
      case 5:
      case 6:
        return this.#rename(file ?? "/none", this.#random.below(2) === 0 ? free : this.#any(files));
      case 7:
        return free === undefined ? this.#list("") : this.#link(file ?? "/none", free);
      case 8:
        return free === undefined ? this.#list("") : this.#symlink(free);
      case 9:
        return this.#truncate(file ?? "");
      case 10:
        return this.#stat(file ?? "");
      case 11:
        return this.#list(this.#any(this.#paths("folder")) ?? "");
      case 12:
        return this.#held === undefined
          ? this.#hold(file ?? "")
          : this.#random.below(3) === 0
            ? this.#drop()
            : this.#readHeld();
      case 13:
        return this.#fsync(file ?? "");
      case 14:
        return this.#sync();
      case 15:
        return this.#read(file ?? "");
      default:
        return this.#write(file ?? "");
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

  #file(path: string): ModelFile {
    const node = this.model.nodes.get(path);
    if (node?.kind !== "file") throw new Error(`${path} is no file in the model`);
    return node.file;
  }

  #mkdir(path: string): Step {
    return this.#changing(
      `mkdir ${path}`,
      (client) => client.mkdir(this.base + path, 0o755),
      () => {
        this.model.nodes.set(path, { kind: "folder" });
      },
    );
  }

  #create(path: string): Step {
    return this.#changing(
      `create ${path}`,
      async (client) => {
        await client.open(fd, this.base + path, open.readWrite | open.create | open.exclusive);
        await client.close(fd);
      },
      () => {
        this.model.nodes.set(path, { kind: "file", file: this.model.newFile() });
      },
    );
  }

  #rmdir(path: string): Step {
    const isFull = [...this.model.nodes.keys()].some((other) => other.startsWith(`${path}/`));
    const isThere = this.model.nodes.has(path);
    return this.#changing(
      `rmdir ${path}`,
      (client) => client.rmdir(this.base + path),
      () => {
        if (!isThere) return "ENOENT";
        if (isFull) return "ENOTEMPTY";
        this.model.nodes.delete(path);
        return undefined;
      },
    );
  }

  #unlink(path: string): Step {
    return this.#changing(
      `unlink ${path}`,
      (client) => client.unlink(this.base + path),
      () => {
        if (!this.model.nodes.delete(path)) return "ENOENT";
        return undefined;
      },
    );
  }

  /** A file, or the folder that it is in. */
  #rename(file: string, target: string | undefined): Step {
    if (target === undefined) return this.#list("");
    const folder = file.slice(0, file.lastIndexOf("/"));
    const isFree = !this.model.nodes.has(target);
    const from =
      isFree && folder !== "" && this.#random.below(2) === 0 && !target.startsWith(`${folder}/`) ? folder : file;
    return this.#changing(
      `rename ${from} ${target}`,
      (client) => client.rename(this.base + from, this.base + target),
      () => {
        const moved = this.model.nodes.get(from);
        const replaced = this.model.nodes.get(target);
        if (moved?.kind === "file" && replaced?.kind === "file" && moved.file === replaced.file) return undefined;
        for (const [path, node] of [...this.model.nodes]) {
          if (path !== from && !path.startsWith(`${from}/`)) continue;
          this.model.nodes.delete(path);
          this.model.nodes.set(target + path.slice(from.length), node);
        }
        return undefined;
      },
    );
  }

  #link(file: string, path: string): Step {
    const node = this.model.nodes.get(file);
    return this.#changing(
      `link ${file} ${path}`,
      (client) => client.link(this.base + file, this.base + path),
      () => {
        if (node === undefined) return "ENOENT";
        this.model.nodes.set(path, node);
        return undefined;
      },
    );
  }

  #symlink(path: string): Step {
    const target = `to-${String(this.#fill++)}`;
    return this.#changing(
      `symlink ${path}`,
      (client) => client.symlink(this.base + path, target),
      () => {
        this.model.nodes.set(path, { kind: "symlink", target });
      },
    );
  }

  #truncate(path: string): Step {
    const file = this.#file(path);
    const size = this.#random.below(2) === 0 ? 0 : this.#random.below(100_000);
    return this.#changing(
      `truncate ${path} ${String(size)}`,
      (client) => client.truncate(this.base + path, size),
      () => {
        const content = Buffer.alloc(size);
        file.versions.at(-1)?.copy(content);
        file.versions.push(content);
      },
    );
  }

  #write(path: string): Step {
    const file = this.#file(path);
    const size = file.versions.at(-1)?.length ?? 0;
    const offset = this.#random.below(3) === 0 ? size : this.#random.below(size + 1_000);
    const content = Buffer.alloc(1 + this.#random.below(this.#any(lengths) ?? 10), 1 + (this.#fill++ % 255));
    return this.#changing(
      `write ${path} ${String(content.length)} at ${String(offset)}`,
      async (client) => {
        await client.open(fd, this.base + path, open.readWrite);
        await client.write(fd, offset, content);
        await client.close(fd);
      },
      () => {
        const after = Buffer.alloc(Math.max(size, offset + content.length));
        file.versions.at(-1)?.copy(after);
        content.copy(after, offset);
        file.versions.push(after);
      },
    );
  }

  #stat(path: string): Step {
    const file = this.#file(path);
    return {
      what: `stat ${path}`,
      run: async (client) => {
        const { size, nlink } = await client.stat(this.base + path);
        return { size, nlink };
      },
      expected: () => ({ size: file.versions.at(-1)?.length, nlink: this.model.links(file) }),
    };
  }

  #list(path: string): Step {
    return {
      what: `list ${path}`,
      run: (client) => client.readdir(this.base + path),
      expected: () =>
        [...this.model.nodes.keys()]
          .filter((other) => other !== "" && other.slice(0, other.lastIndexOf("/")) === path)
          .map((other) => other.slice(path.length + 1))
          .sort(),
    };
  }

  #read(path: string): Step {
    const file = this.#file(path);
    return {
      what: `read ${path}`,
      run: async (client) => content(await readAll(client, this.base + path, 1 << 20)),
      expected: () => content(file.versions.at(-1)),
    };
  }

  #hold(path: string): Step {
    this.#held = this.#file(path);
    return {
      what: `hold ${path}`,
      run: (client) => client.open(heldFd, this.base + path, 0),
      expected: () => undefined,
    };
  }

  #readHeld(): Step {
    const held = this.#held;
    return {
      what: "read what is held",
      run: async (client) => content(await client.read(heldFd, 0, 1 << 20)),
      expected: () => content(held?.versions.at(-1)),
    };
  }

  #drop(): Step {
    this.#held = undefined;
    return { what: "drop what is held", run: (client) => client.close(heldFd), expected: () => undefined };
  }

  #fsync(path: string): Step {
    const file = this.#file(path);
    return {
      what: `fsync ${path}`,
      run: async (client) => {
        const moment = this.model.moment();
        await client.open(fd, this.base + path, open.readWrite);
        await client.fsync(fd);
        this.model.isSynced(moment, file);
        await client.close(fd);
      },
      expected: () => undefined,
    };
  }

  #sync(): Step {
    return {
      what: "sync",
      run: async (client) => {
        const moment = this.model.moment();
        await client.syncAll();
        this.model.isSynced(moment);
      },
      expected: () => undefined,
    };
  }

  #changing(what: string, run: Step["run"], expected: () => unknown): Step {
    return {
      what,
      run,
      expected: () => {
        const result = expected();
        this.model.changed();
        return result;
      },
    };
  }
}

async function readAll(client: PathClient, path: string, bytes: number): Promise<Buffer> {
  await client.open(fd, path, 0);
  try {
    return await client.read(fd, 0, bytes);
  } finally {
    await client.close(fd);
  }
}

function content(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString("latin1");
}
