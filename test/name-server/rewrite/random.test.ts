/**
 * Random writes, clones, truncations, removals and restarts while content is cleaned and packed, against a model: content
 * is right at every moment, also for a reader with an older layout, and in the end nodes hold what is named and nothing else.
 */
import test, { type ExecutionContext } from "ava";
import { errnoOf } from "../../../src/base/errno.ts";
import type { Ino } from "../../../src/base/ids.ts";
import { nameFromText } from "../../../src/base/name.ts";
import { seededRandom, type Random } from "../../../src/base/random.ts";
import type { Extent } from "../../../src/protocol/types.ts";
import { violations } from "../namespace/invariants.ts";
import { root, rootIno } from "../support.ts";
import { pattern, RewriteCluster } from "./support.ts";

const KiB = 1024;
const unit = 4 * KiB;
const unitsMax = 64;

interface File {
  readonly ino: Ino;
  readonly name: string;
  content: Buffer;
}

class Run {
  readonly #t: ExecutionContext;
  readonly #random: Random;
  readonly #cluster: RewriteCluster;
  readonly #files: File[] = [];
  /** What a reader knew a while ago. */
  #layout: { file: File; extents: Extent[]; content: Buffer } | undefined;
  #made = 0;
  #seed = 0;

  constructor(t: ExecutionContext, cluster: RewriteCluster, random: Random) {
    this.#t = t;
    this.#cluster = cluster;
    this.#random = random;
  }

  async step(): Promise<void> {
    const kind = this.#random.below(20);
    const file = await this.#pick();
    const { client } = this.#cluster;
    if (kind < 9) await this.#overwrite(file);
    else if (kind < 12) await this.#writeInline(file);
    else if (kind < 14) await this.#clone(file);
    else if (kind < 15) {
      const size = this.#random.below(file.content.length + 1);
      await client.change("setattr", { caller: root, ino: file.ino, size });
      file.content = Buffer.from(file.content.subarray(0, size));
    } else if (kind < 16 && this.#files.length > 3) {
      const request = { caller: root, parent: rootIno, name: nameFromText(file.name), keep: false };
      await client.change("unlink", request);
      this.#files.splice(this.#files.indexOf(file), 1);
      if (this.#layout?.file === file) this.#layout = undefined;
    } else if (kind < 17) {
      this.#layout = { file, extents: await this.#cluster.extents(file.ino), content: file.content };
    } else if (kind < 18) await this.#cluster.pass(1 + this.#random.below(6_000));
    else if (kind < 19) {
      // In the middle of what is being composed.
      for (let i = 0; i < 8; i++) {
        await this.#cluster.pass(150);
        if (i % 2 === 0) await this.#overwrite(file);
        else await this.#writeInline(file);
      }
    } else await this.check();
  }

  async #pick(): Promise<File> {
    const found = this.#files[this.#random.below(6)];
    if (found !== undefined) return found;
    const name = `f${String(this.#made++)}`;
    const file = { ino: await this.#cluster.client.create(name), name, content: Buffer.alloc(0) };
    this.#files.push(file);
    return file;
  }

  #write(file: File, offset: number, bytes: Buffer): void {
    const content = Buffer.alloc(Math.max(file.content.length, offset + bytes.length));
    file.content.copy(content);
    bytes.copy(content, offset);
    file.content = content;
  }

  /** Scattered pieces in one block, as a flush writes them. */
  async #overwrite(file: File): Promise<void> {
    const pieces: { offset: number; bytes: Buffer }[] = [];
    for (let at = this.#random.below(8); at < unitsMax; at += 1 + this.#random.below(16)) {
      const bytes = pattern(this.#seed++, unit * (1 + this.#random.below(2)) - this.#random.below(2) * 100);
      pieces.push({ offset: at * unit, bytes });
      at += 1;
    }
    await this.#cluster.writeBlock(file.ino, pieces);
    for (const { offset, bytes } of pieces) this.#write(file, offset, bytes);
  }

  async #writeInline(file: File): Promise<void> {
    const offset = this.#random.below(unitsMax * unit);
    const bytes = pattern(this.#seed++, 1 + this.#random.below(8 * KiB));
    await this.#cluster.writeInline(file.ino, offset, bytes);
    this.#write(file, offset, bytes);
  }

  async #clone(file: File): Promise<void> {
    const to = await this.#pick();
    const length = Math.floor(file.content.length / 2);
    if (to === file || length === 0) return;
    const toOffset = this.#random.below(8) * unit;
    const request = { caller: root, from: file.ino, fromOffset: 0, to: to.ino, toOffset, length };
    const { copied } = await this.#cluster.client.change("copyFileRange", request);
    this.#write(to, toOffset, file.content.subarray(0, copied));
  }

  async check(): Promise<void> {
    for (const file of this.#files) {
      const found = await this.#cluster.read(file.ino);
      this.#t.true(found.equals(file.content), `${file.name}: other content`);
    }
    const old = this.#layout;
    this.#layout = undefined;
    if (old === undefined) return;
    for (const extent of old.extents) {
      try {
        const bytes = await this.#cluster.bytesOf(extent);
        this.#t.true(old.content.subarray(extent.offset, extent.offset + extent.length).equals(bytes), "an old layout");
      } catch (error) {
        // The block is gone: the reader asks for the layout again.
        if (errnoOf(error) !== "ENOENT") throw error;
      }
    }
  }
}

for (const [i, seed] of [11, 12, 13].entries()) {
  test(`random changes while content is rewritten: seed ${String(seed)}`, async (t) => {
    const cluster = await RewriteCluster.start({ inlineTableBytesMax: 48 * KiB });
    const run = new Run(t, cluster, seededRandom(seed));
    cluster.composeMillis = 500;
    for (let step = 0; step < 160; step++) {
      await run.step();
      if (step % 40 === 39) {
        t.deepEqual(violations(cluster.cluster.store), []);
        if (step % 80 === 39) {
          await cluster.cluster.crash();
          await cluster.client.resume();
          await cluster.until(() => cluster.nodes.every(({ node }) => node.isConnected), "the nodes");
        }
      }
    }
    await cluster.pass(60_000);
    await run.check();
    t.true(cluster.cluster.server.status().rewrite.rewrittenBytes > 0, `nothing was rewritten (${String(i)})`);
    t.deepEqual(violations(cluster.cluster.store), []);
    t.deepEqual(await cluster.differences(), []);
    await cluster.stop();
  });
}
