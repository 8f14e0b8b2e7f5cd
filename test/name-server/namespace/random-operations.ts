/** Random steps done to a namespace and to the model, from a seed, and the comparison of both. */
import { fileType } from "../../../src/base/attributes.ts";
import { FsError, type ErrnoName } from "../../../src/base/errno.ts";
import { blockName, type BlockId, type Ino } from "../../../src/base/ids.ts";
import { seededRandom, type Random } from "../../../src/base/random.ts";
import { reclaimStep, type ReclaimPlace } from "../../../src/name-server/namespace/index.ts";
import type { Extent } from "../../../src/protocol/types.ts";
import { Model, putContent, Refusal, type Node } from "./model.ts";
import { same } from "./same.ts";
import { group, groupEpoch, n, Namespace, root, rootIno, session } from "./support.ts";

const fileBytesMax = 20_000;

export class RandomRun {
  #reclaimed: ReclaimPlace | undefined;
  readonly namespace = new Namespace();
  readonly model = new Model(rootIno);
  readonly #random: Random;
  /** What the storage nodes would hold. */
  readonly #blocks = new Map<string, Buffer>();
  log: string[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  step(): void {
    const steps = [
      this.#make,
      this.#make,
      this.#tmpfile,
      this.#remove,
      this.#link,
      this.#rename,
      this.#rename,
      this.#release,
      this.#write,
      this.#write,
      this.#write,
      this.#append,
      this.#truncate,
      this.#fallocate,
      this.#copy,
      this.#compact,
      this.#reclaim,
    ];
    this.#pick(steps).call(this);
  }

  /** Compares everything; throws with what differs. */
  compare(): void {
    for (const node of this.model.nodes) {
      const shown = this.namespace.stat(node.ino);
      const at = `inode ${String(node.ino)}`;
      same(shown.nlink, node.nlink, `${at} nlink`);
      same(shown.mode & fileType.mask, node.type, `${at} type`);
      if (node.type === fileType.directory) {
        same(this.namespace.names(node.ino).sort().join(), [...node.entries.keys()].sort().join(), `${at} names`);
        for (const [name, child] of node.entries)
          same(this.namespace.lookup(node.ino, name)?.ino, child.ino, `${at} ${name}`);
      }
      if (node.type === fileType.regular) this.#compareContent(node);
    }
  }

  #compareContent(node: Node): void {
    same(this.namespace.stat(node.ino).size, node.content.length, `inode ${String(node.ino)} size`);
    const bytes = Buffer.alloc(node.content.length);
    for (const extent of this.namespace.extents(node.ino)) this.#bytesOf(extent).copy(bytes, extent.offset);
    if (!bytes.equals(node.content)) throw new Error(`the content of inode ${String(node.ino)} differs`);
  }

  #bytesOf(extent: Extent): Buffer {
    if (extent.kind === "inline") return extent.content;
    const block = this.#blocks.get(blockName(extent.block));
    if (block === undefined) throw new Error(`block ${blockName(extent.block)} was never written`);
    return block.subarray(extent.blockOffset, extent.blockOffset + extent.length);
  }

  /** Both must refuse with the same errno, or both do it. */
  #both(what: string, model: () => ((ino: Ino) => unknown) | undefined, real: () => Ino | undefined): void {
    this.log.push(what);
    let expected: ErrnoName | "none" = "none";
    let finish: ((ino: Ino) => unknown) | undefined;
    try {
      finish = model();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      expected = error.errno;
    }
    let got: ErrnoName | "none" = "none";
    try {
      const ino = real();
      if (ino !== undefined) finish?.(ino);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      got = error.errno;
    }
    same(got, expected, what);
  }

  #make(): void {
    const types = [fileType.regular, fileType.regular, fileType.directory, fileType.symlink, fileType.fifo];
    const type = this.#pick(types);
    const [parent, name] = [this.#directory(), this.#name()];
    const request = { caller: root, parent: parent.ino, name: n(name), umask: 0o022 };
    this.#both(
      `make ${type.toString(8)} ${String(parent.ino)}/${name}`,
      () => this.model.make(parent, name, type),
      () => {
        if (type === fileType.directory) return this.namespace.mkdir(parent.ino, name);
        if (type === fileType.symlink) return this.namespace.symlink(parent.ino, name, "somewhere");
        if (type === fileType.regular) return this.namespace.create(parent.ino, name);
        return this.namespace.call("mknod", { ...request, mode: type | 0o600, rdev: 0 }).attributes.ino;
      },
    );
  }

  #tmpfile(): void {
    const parent = this.#directory();
    const request = { caller: root, parent: parent.ino, mode: 0o600, umask: 0 };
    this.#both(
      `tmpfile in ${String(parent.ino)}`,
      () => this.model.tmpfile(parent),
      () => this.namespace.call("tmpfile", request).attributes.ino,
    );
  }

  #remove(): void {
    const [parent, name, asDirectory, keep] = [this.#directory(), this.#name(), this.#chance(2), this.#chance(2)];
    this.#both(
      `${asDirectory ? "rmdir" : "unlink"} ${String(parent.ino)}/${name} keep ${String(keep)}`,
      () => {
        this.model.remove(parent, name, asDirectory, keep);
        return undefined;
      },
      () => {
        this.namespace[asDirectory ? "rmdir" : "unlink"](parent.ino, name, root, keep);
        return undefined;
      },
    );
  }

  #link(): void {
    const [node, parent, name] = [this.#any(), this.#directory(), this.#name()];
    this.#both(
      `link ${String(node.ino)} ${String(parent.ino)}/${name}`,
      () => {
        this.model.link(node, parent, name);
        return undefined;
      },
      () => {
        this.namespace.link(node.ino, parent.ino, name);
        return undefined;
      },
    );
  }

  #rename(): void {
    const [from, name, to, newName] = [this.#directory(), this.#name(), this.#directory(), this.#name()];
    const [flags, keep] = [this.#pick([0, 0, 0, 1, 2, 3]), this.#chance(2)];
    this.#both(
      `rename ${String(from.ino)}/${name} ${String(to.ino)}/${newName} ${String(flags)} keep ${String(keep)}`,
      () => {
        this.model.rename(from, name, to, newName, { flags, keep });
        return undefined;
      },
      () => {
        this.namespace.rename([from.ino, name], [to.ino, newName], { flags, keep });
        return undefined;
      },
    );
  }

  #release(): void {
    const held = [...this.model.nodes].filter((node) => node.held && this.#chance(2));
    this.log.push(`release ${held.map(({ ino }) => ino).join()}`);
    this.namespace.call("releaseOrphans", { inos: [...held.map(({ ino }) => ino), 999_999 as Ino] });
    for (const node of held) this.model.release(node);
  }

  #write(): void {
    const node = this.#file();
    if (node === undefined) return;
    const extents: Extent[] = [];
    let at = this.#below(fileBytesMax);
    const block = this.namespace.allocate(1)[0] as BlockId;
    let blockOffset = 0;
    const blockBytes: Buffer[] = [];
    const count = 1 + this.#below(4);
    for (let i = 0; i < count; i++) {
      const content = this.#random.bytes(1 + this.#below(this.#chance(3) ? 5_000 : 300));
      const length = content.length;
      if (this.#chance(2)) extents.push({ kind: "inline", offset: at, length, content });
      else {
        extents.push({ kind: "block", offset: at, length, block, blockOffset });
        blockBytes.push(content);
        blockOffset += length;
      }
      putContent(node, at, content);
      at += length + (this.#chance(2) ? this.#below(1_000) : 0);
    }
    this.#blocks.set(blockName(block), Buffer.concat(blockBytes));
    this.log.push(
      `write ${String(node.ino)} ${JSON.stringify(extents.map(({ kind, offset, length }) => [kind, offset, length]))}`,
    );
    this.namespace.write(node.ino, extents);
  }

  #append(): void {
    const node = this.#file();
    if (node === undefined || node.content.length > fileBytesMax) return;
    const content = this.#random.bytes(1 + this.#below(200));
    this.log.push(`append ${String(node.ino)} ${String(content.length)}`);
    const { appendedAt } = this.namespace.writeInline(node.ino, 0, content, true);
    same(appendedAt, node.content.length, "appendedAt");
    putContent(node, node.content.length, content);
  }

  #truncate(): void {
    const node = this.#file();
    if (node === undefined) return;
    const size = this.#chance(3) ? 0 : this.#below(fileBytesMax);
    this.log.push(`truncate ${String(node.ino)} ${String(size)}`);
    this.namespace.setattr(node.ino, { size });
    const resized = new Uint8Array(size);
    resized.set(node.content.subarray(0, size));
    node.content = resized;
  }

  #fallocate(): void {
    const node = this.#file();
    if (node === undefined) return;
    const [offset, length] = [this.#below(fileBytesMax), 1 + this.#below(5_000)];
    const mode = this.#pick([0, 1, 3, 16, 17]);
    this.log.push(`fallocate ${String(node.ino)} ${String(offset)} ${String(length)} ${String(mode)}`);
    this.namespace.call("fallocate", { caller: root, ino: node.ino, offset, length, mode });
    const grows = (mode & 1) === 0 && offset + length > node.content.length;
    if (grows) putContent(node, offset + length - 1, Buffer.alloc(0), offset + length);
    if (mode > 1) node.content.fill(0, offset, offset + length);
  }

  #copy(): void {
    const [from, to] = [this.#file(), this.#file()];
    if (from === undefined || to === undefined) return;
    const [fromOffset, toOffset] = [this.#below(fileBytesMax), this.#below(fileBytesMax)];
    const length = 1 + this.#below(6_000);
    const asked = Math.min(length, Math.max(0, from.content.length - fromOffset));
    if (from === to && Math.abs(fromOffset - toOffset) < asked) return;
    this.log.push(
      `copy ${String(from.ino)} ${String(fromOffset)} ${String(to.ino)} ${String(toOffset)} ${String(length)}`,
    );
    const request = { caller: root, from: from.ino, fromOffset, to: to.ino, toOffset, length };
    same(this.namespace.call("copyFileRange", request).copied, asked, "copied");
    if (asked > 0) putContent(to, toOffset, Buffer.from(from.content.slice(fromOffset, fromOffset + asked)));
  }

  /** Some extents of a file become one block with the same bytes. */
  #compact(): void {
    const node = this.#file();
    if (node === undefined) return;
    const before = this.namespace.extents(node.ino).slice(0, 1 + this.#below(6));
    const [first, last] = [before[0], before[before.length - 1]];
    if (first === undefined || last === undefined) return;
    this.log.push(`compact ${String(node.ino)} ${String(before.length)}`);
    const [start, end] = [first.offset, last.offset + last.length];
    const block = this.namespace.allocate(1)[0] as BlockId;
    this.#blocks.set(blockName(block), Buffer.from(node.content.slice(start, end)));
    const after: Extent[] = [{ kind: "block", offset: start, length: end - start, block, blockOffset: 0 }];
    this.namespace.call("compactExtents", { ino: node.ino, before, after, epochs: [{ group, epoch: groupEpoch }] });
  }

  #reclaim(): void {
    const budget = 1 + this.#below(20);
    this.log.push(`reclaim ${String(budget)}`);
    this.#reclaimed = this.namespace.run((context) => reclaimStep(context, budget, this.#reclaimed), session);
    if (!this.#chance(20)) return;
    this.namespace.restart();
    this.#reclaimed = undefined;
  }

  #file(): Node | undefined {
    const files = [...this.model.nodes].filter(({ type }) => type === fileType.regular);
    return files.length === 0 ? undefined : this.#pick(files);
  }
  #directory(): Node {
    const directories = [...this.model.nodes].filter(({ type }) => type === fileType.directory);
    return this.#chance(30) ? this.#any() : this.#pick(directories);
  }
  #any(): Node {
    return this.#pick([...this.model.nodes]);
  }
  #name(): string {
    return this.#pick(["a", "b", "c", "d", "e"]);
  }
  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }
  #below(bound: number): number {
    return this.#random.below(bound);
  }
  #chance(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0;
  }
}
