/**
 * Where the random choices of a run come from: paths, sizes, modes, open slots. All of it follows from the seed and from
 * what the local side holds, so that a seed always makes the same steps.
 */
import type { Random } from "../../src/base/random.ts";
import { SysError } from "../conformance/libc/calls.ts";
import type { Stat } from "../conformance/libc/structures.ts";
import { sys } from "../conformance/libc/sys.ts";
import type { Side } from "./side.ts";

/** What a step does on one side; its result (or errno) must be the same on the other. */
export type Act = (side: Side) => unknown;
export interface Choice {
  readonly args: string;
  readonly act: Act;
}
/** Makes one step of its kind; undefined if there is nothing to do it with. */
export type Maker = (world: World) => Choice | undefined;
export interface Kind {
  readonly name: string;
  readonly weight: number;
  readonly make: Maker;
  /** Whether it may be done by a user without privileges. */
  readonly anyUser: boolean;
}

export function kind(name: string, weight: number, make: Maker, options: { rootOnly?: boolean } = {}): Kind {
  return { name, weight, make, anyUser: options.rootOnly !== true };
}

const folders = ["", "", "d1", "d2", "d1/s1", "d1/s1/t", "e"];
const names = ["a", "b", "c", "f", "g", "h"];
const oddNames = ["\xff\xfe raw", "n".repeat(255), "n".repeat(256), "line\nfeed", "s1", "d1", "d2", "."];
const slots = 8;
const seriesBytes = 4 << 20;

/** Bytes that repeat nowhere nearby: what is in the wrong place shows. */
const series = ((): Buffer => {
  const words = new Uint32Array(seriesBytes / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return Buffer.from(words.buffer);
})();

export class World {
  readonly random: Random;
  /** The local side: to see what there is. */
  readonly local: Side;
  private readonly remote: Side;

  constructor(random: Random, local: Side, remote: Side) {
    this.random = random;
    this.local = local;
    this.remote = remote;
  }

  /** The filesystem is looked at through more than one mount. */
  get hasManyMounts(): boolean {
    return this.remote.roots.length > 1;
  }

  below(bound: number): number {
    return this.random.below(bound);
  }
  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }
  any<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)] as T;
  }

  folder(): string {
    return this.any(folders);
  }
  name(): string {
    return this.chance(20) ? this.any(oddNames) : this.any(names);
  }
  /** Any path, existing or not. */
  path(): string {
    if (this.chance(40)) return this.folder();
    const folder = this.folder();
    return folder === "" ? this.name() : `${folder}/${this.name()}`;
  }
  /** A path that is there, if a few tries find one. */
  existing(): string {
    let path = this.path();
    for (let i = 0; i < 6 && !this.exists(path); i++) path = this.path();
    return path;
  }
  exists(path: string): boolean {
    return this.typeOf(path) !== undefined;
  }
  /** S_IFMT bits of what the path leads to (`follow`) or of itself. */
  typeOf(path: string, follow = false): number | undefined {
    return this.typeAt(this.local.path(path), follow);
  }
  private typeAt(path: Buffer, follow: boolean): number | undefined {
    try {
      return (follow ? sys.stat : sys.lstat)(path).mode & 0o170000;
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }

  /** A slot that is open. */
  slot(): number | undefined {
    const open = [...this.local.open.keys()];
    return open.length === 0 ? undefined : this.any(open);
  }
  /**
   * A slot whose inode may be changed through it. Left out: FIFOs and devices without a name. The kernel opens them by
   * itself, so nobody knows that they are in use, and they are gone with their last name (see SEMANTICS.md).
   */
  changeableSlot(): number | undefined {
    const slot = this.slot();
    if (slot === undefined) return undefined;
    const { mode, nlink } = sys.fstat(this.local.fd(slot));
    const isSpecial = ![0o100000, 0o040000].includes(mode & 0o170000);
    return isSpecial && nlink === 0 ? undefined : slot;
  }
  /** Through two mounts the kernel copies by itself, and does not see that both are one file. */
  twoSlotsToCopy(): [number, number] | undefined {
    return this.twoSlots((one, other) => one.ino !== other.ino);
  }
  /** Directories and FIFOs are locked by each kernel for itself (see SEMANTICS.md). */
  twoSlotsToLock(): [number, number] | undefined {
    return this.twoSlots((one) => (one.mode & 0o170000) === 0o100000);
  }
  /** Two slots that may be the same; opened through different mounts only if `mayDiffer`. */
  private twoSlots(mayDiffer: (one: Stat, other: Stat) => boolean): [number, number] | undefined {
    const [one, other] = [this.slot(), this.slot()];
    if (one === undefined || other === undefined) return undefined;
    const isOneMount = this.remote.file(one).root === this.remote.file(other).root;
    const stats = [sys.fstat(this.local.fd(one)), sys.fstat(this.local.fd(other))] as const;
    return isOneMount || mayDiffer(...stats) ? [one, other] : undefined;
  }
  /** What is written to a FIFO through one mount cannot be read through another (see SEMANTICS.md). */
  isFifoOfManyMounts(path: string, slot?: number): boolean {
    const from = slot === undefined ? this.local.root.toString() : `/proc/self/fd/${String(this.local.fd(slot))}`;
    return this.hasManyMounts && this.typeAt(Buffer.from(`${from}/${path}`, "latin1"), true) === 0o010000;
  }
  anySlot(): number {
    return this.below(slots);
  }

  offset(): number {
    switch (this.below(10)) {
      case 0:
        return 0;
      case 1:
      case 2:
        return this.below(200);
      case 3:
      case 4:
        return this.below(12_000);
      case 5:
        return Math.max(0, 4096 * this.below(8) + this.below(3) - 1);
      case 6:
        return 16_200 + this.below(300);
      case 7:
        return this.below(150_000);
      case 8:
        return this.chance(4) ? (4 << 20) + this.below(9000) - 4500 : this.below(70_000);
      default:
        return 4096 * this.below(20);
    }
  }
  length(): number {
    switch (this.below(8)) {
      case 0:
        return this.below(4);
      case 1:
      case 2:
        return this.below(200);
      case 3:
        return 4096 * (1 + this.below(4));
      case 4:
      case 5:
        return this.below(9_000);
      case 6:
        return this.below(70_000);
      default:
        return this.chance(8) ? this.below(2_500_000) : 16_000 + this.below(600);
    }
  }
  bytes(length: number): Buffer {
    const start = this.below(seriesBytes - Math.min(length, seriesBytes - 1));
    return series.subarray(start, start + length);
  }
  mode(): number {
    return this.any([0o644, 0o600, 0o755, 0o666, 0o777, 0o444, 0o4755, 0o2755, 0o6711, 0o1777, 0o2644, 0o000]);
  }
  /** -1 leaves it as it is. */
  owner(): { uid: number; gid: number } {
    const ids = [0, 1001, 1001, 1002];
    switch (this.below(3)) {
      case 0:
        return { uid: this.any(ids), gid: -1 };
      case 1:
        return { uid: -1, gid: this.any(ids) };
      default:
        return { uid: this.any(ids), gid: this.any(ids) };
    }
  }
  /** Nanoseconds, far from the time of the test. */
  time(): bigint | "now" | "omit" {
    switch (this.below(6)) {
      case 0:
        return "now";
      case 1:
        return "omit";
      case 2:
        return -BigInt(this.below(1_000_000_000)) * 1_000_000_000n + BigInt(this.below(1_000_000_000));
      case 3:
        // Beyond 2038 and 2106, before ext4's end in 2446.
        return BigInt(5_000_000_000 + this.below(1_000_000_000)) * 1_000_000_000n + 999_999_999n;
      default:
        return BigInt(this.below(1_000_000_000)) * 1_000_000_000n + BigInt(this.below(1_000_000_000));
    }
  }
}

export function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}
