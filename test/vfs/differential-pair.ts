/** A local directory and the vfs side by side: one random step at a time is done on both, and compared. */
import { closeSync, constants, fsyncSync, ftruncateSync, linkSync, lstatSync, mkdirSync } from "node:fs";
import { openSync, readSync, readdirSync, readlinkSync, renameSync, rmdirSync, symlinkSync, chmodSync } from "node:fs";
import { truncateSync, unlinkSync, utimesSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { Random } from "../../src/base/random.ts";
import { existsHere, isSymlinkHere, ofAttributes, ofStat, outcome } from "./local-side.ts";
import { open, type PathClient } from "./path-client.ts";

const folders = ["", "/a", "/b", "/a/c", "/a/c/d"];
const names = ["a", "b", "c", "d", "f", "g", "h"];
const fds = [0, 1, 2, 3];
const fileBytesMax = 60_000;

interface Step {
  readonly what: string;
  readonly here: () => unknown;
  readonly there: (client: PathClient) => Promise<unknown>;
}

export class Pair {
  readonly root: string;
  readonly random: Random;
  /** Local descriptors by number, and through which client each was opened. */
  private readonly open = new Map<number, { fd: number; client: PathClient }>();
  private readonly clients: readonly PathClient[];

  constructor(root: string, clients: readonly PathClient[], random: Random) {
    this.root = root;
    this.clients = clients;
    this.random = random;
  }

  async step(t: ExecutionContext, label: string): Promise<void> {
    const client = this.any(this.clients);
    if (this.random.below(20) === 0) client.forgetAll();
    const { what, here, there } = this.choose(client);
    const expected = await outcome(here);
    const actual = await outcome(() => there(client));
    t.deepEqual(actual, expected, `${label}: ${what}`);
  }

  async compareTrees(t: ExecutionContext, label: string, path = ""): Promise<void> {
    for (const client of this.clients) {
      const entries = readdirSync(this.root + path).sort();
      t.deepEqual(await client.readdir(path), entries, `${label}: ${path}`);
      for (const entry of entries) {
        const child = `${path}/${entry}`;
        t.deepEqual(ofAttributes(await client.stat(child)), ofStat(this.root + child), `${label}: ${child}`);
        const stat = lstatSync(this.root + child);
        if (stat.isDirectory()) await this.compareTrees(t, label, child);
        if (stat.isFile()) await this.compareContent(t, client, label, child);
      }
    }
  }

  async closeAll(): Promise<void> {
    for (const [number, { fd, client }] of this.open) {
      closeSync(fd);
      await client.close(number);
    }
  }

  private async compareContent(t: ExecutionContext, client: PathClient, label: string, path: string): Promise<void> {
    const local = Buffer.alloc(fileBytesMax * 2);
    const fd = openSync(this.root + path, "r");
    const length = readSync(fd, local, 0, local.length, 0);
    closeSync(fd);
    await client.open(99, path, 0);
    const there = await client.read(99, 0, local.length);
    await client.close(99);
    t.true(there.equals(local.subarray(0, length)), `${label}: content of ${path}`);
  }

  private any<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)] as T;
  }
  private path(): string {
    return `${this.any(folders)}/${this.any(names)}`;
  }

  private choose(client: PathClient): Step {
    const path = this.path();
    const local = join(this.root, path);
    const number = this.any(fds);
    const file = this.open.get(number);
    const offset = this.random.below(3) === 0 ? 0 : this.random.below(fileBytesMax);
    const length = this.random.below(5_000);
    const mode = this.any([0o644, 0o600, 0o755, 0o2755, 0o4711]);
    switch (this.random.below(22)) {
      case 0:
      case 1:
        return {
          what: `mkdir ${path}`,
          here: () => {
            mkdirSync(local);
            chmodSync(local, mode & 0o1777);
          },
          there: () => client.mkdir(path, mode & 0o1777),
        };
      case 2:
        return {
          what: `rmdir ${path}`,
          here: () => {
            rmdirSync(local);
          },
          there: () => client.rmdir(path),
        };
      case 3:
        return {
          what: `unlink ${path}`,
          here: () => {
            unlinkSync(local);
          },
          there: () => client.unlink(path),
        };
      case 4:
      case 5: {
        const target = this.path();
        const to = join(this.root, target);
        return {
          what: `rename ${path} ${target}`,
          here: () => {
            renameSync(local, to);
          },
          there: () => client.rename(path, target),
        };
      }
      case 6: {
        const target = this.path();
        const to = join(this.root, target);
        return {
          what: `link ${path} ${target}`,
          here: () => {
            linkSync(local, to);
          },
          there: () => client.link(path, target),
        };
      }
      case 7:
        return {
          what: `symlink ${path}`,
          here: () => {
            symlinkSync("nowhere", local);
          },
          there: () => client.symlink(path, "nowhere"),
        };
      case 8:
        return { what: `readlink ${path}`, here: () => readlinkSync(local), there: () => client.readlink(path) };
      case 9:
      case 10:
        return {
          what: `stat ${path}`,
          here: () => ofStat(local),
          there: async () => ofAttributes(await client.stat(path)),
        };
      case 11:
        return { what: `readdir ${path}`, here: () => readdirSync(local).sort(), there: () => client.readdir(path) };
      case 12: {
        const isLink = isSymlinkHere(local);
        return {
          what: `chmod ${path} ${mode.toString(8)}`,
          here: () => {
            if (!isLink) chmodSync(local, mode);
          },
          there: async () => {
            if (!isLink) await client.chmod(path, mode);
          },
        };
      }
      case 13: {
        const seconds = 1 + this.random.below(1_000_000);
        const isLink = isSymlinkHere(local);
        return {
          what: `utimes ${path} ${String(seconds)}`,
          here: () => {
            if (!isLink) utimesSync(local, seconds, seconds);
          },
          there: async () => {
            if (!isLink) await client.utimes(path, seconds, seconds);
          },
        };
      }
      case 14: {
        const isLink = isSymlinkHere(local);
        return {
          what: `truncate ${path} ${String(offset)}`,
          here: () => {
            if (!isLink) truncateSync(local, offset);
          },
          there: async () => {
            if (!isLink) await client.truncate(path, offset);
          },
        };
      }
      default:
        return file === undefined
          ? this.opening(client, number, path, local)
          : this.using(number, file, offset, length);
    }
  }

  private opening(client: PathClient, number: number, path: string, local: string): Step {
    const extra = this.any([0, open.create, open.create | open.exclusive, open.create | open.truncate, open.append]);
    const flags = open.readWrite | extra;
    const fresh = !existsHere(local);
    return {
      what: `open ${path} ${flags.toString(8)} as ${String(number)}`,
      here: () => {
        const fd = openSync(local, flags | constants.O_NOFOLLOW, 0o644);
        if (fresh) chmodSync(local, 0o644);
        this.open.set(number, { fd, client });
      },
      there: () => client.open(number, path, flags),
    };
  }

  /** Descriptors stay with the client that opened them. */
  private using(number: number, file: { fd: number; client: PathClient }, offset: number, length: number): Step {
    const { fd, client } = file;
    const content = this.random.bytes(length + 1);
    switch (this.random.below(7)) {
      case 0:
        return {
          what: `close ${String(number)}`,
          here: () => {
            this.open.delete(number);
            closeSync(fd);
          },
          there: () => client.close(number),
        };
      case 1:
        return {
          what: `fsync ${String(number)}`,
          here: () => {
            fsyncSync(fd);
          },
          there: () => client.fsync(number),
        };
      case 2:
        return {
          what: `ftruncate ${String(number)} ${String(offset)}`,
          here: () => {
            ftruncateSync(fd, offset);
          },
          there: () => client.ftruncate(number, offset),
        };
      case 3:
        return {
          what: `fstat ${String(number)}`,
          here: () => ofStat(fd),
          there: async () => ofAttributes(await client.fstat(number)),
        };
      case 4:
        return {
          what: `read ${String(number)} at ${String(offset)}`,
          here: () => {
            const into = Buffer.alloc(length);
            return into.subarray(0, length === 0 ? 0 : readSync(fd, into, 0, length, offset)).toString("latin1");
          },
          there: async () => (await client.read(number, offset, length)).toString("latin1"),
        };
      default:
        return {
          what: `write ${String(number)} at ${String(offset)}, ${String(content.length)} bytes`,
          here: () => writeSync(fd, content, 0, content.length, offset),
          there: () => client.write(number, offset, content),
        };
    }
  }
}
