/**
 * Rounds of "one machine changes something, the other looks": what they work on, and the record of looks that showed
 * something old. The kinds of changes are in staleness-content.ts and staleness-names.ts. The model of what must be seen
 * is kept here; all expected values are computed without asking a mount.
 */
import { isDeepStrictEqual } from "node:util";
import type { Random } from "../../src/base/random.ts";
import { SysError } from "../conformance/libc/calls.ts";
import { O } from "../conformance/libc/constants.ts";
import type { Actor } from "./actor.ts";

export const holdings = ["nothing", "read-only", "read-write", "path only", "its folder"] as const;
export type Holding = (typeof holdings)[number];

const flagsOf = {
  "read-only": O.RDONLY,
  "read-write": O.RDWR,
  "path only": O.PATH | O.NOFOLLOW,
} as const;

/** A file that is changed in many rounds, and what must be in it. */
export interface Subject {
  readonly name: string;
  content: Buffer;
  /** Grows when another inode gets the name: what was open is then another file. */
  generation: number;
}

interface Held {
  readonly holding: Exclude<Holding, "nothing">;
  /** A descriptor, or the number of an open listing. */
  readonly open: number;
  readonly generation: number;
}

/** One machine's process, its view of the folder, and what it holds open there for many rounds. */
export class Hand {
  readonly actor: Actor;
  readonly machine: string;
  private readonly root: string;
  private readonly held = new Map<string, Held>();

  constructor(actor: Actor, options: { machine: string; root: string }) {
    this.actor = actor;
    this.machine = options.machine;
    this.root = options.root;
  }

  path(name = "."): string {
    return `${this.root}/${name}`;
  }

  /** Holds on to the subject as told, or goes on as before if `keep`. */
  async hold(subject: Subject, options: { holding: Holding; keep: boolean }): Promise<void> {
    const before = this.held.get(subject.name);
    if (before !== undefined) {
      if (options.keep && before.generation === subject.generation) return;
      this.held.delete(subject.name);
      await this.actor.call(before.holding === "its folder" ? "closeListing" : "close", before.open);
    }
    const { holding } = options;
    if (holding === "nothing") return;
    const open =
      holding === "its folder"
        ? await this.actor.call("openListing", this.path())
        : await this.actor.call("open", this.path(subject.name), flagsOf[holding]);
    this.held.set(subject.name, { holding, open, generation: subject.generation });
  }

  holding(subject: Subject): Holding {
    return this.held.get(subject.name)?.holding ?? "nothing";
  }
  /** A descriptor of this very inode with one of these ways to open it. */
  descriptor(subject: Subject, ...ways: readonly (keyof typeof flagsOf)[]): number | undefined {
    const held = this.held.get(subject.name);
    if (held === undefined || held.holding === "its folder" || !ways.includes(held.holding)) return undefined;
    return held.generation === subject.generation ? held.open : undefined;
  }
  openFolder(subject: Subject): number | undefined {
    const held = this.held.get(subject.name);
    return held?.holding === "its folder" ? held.open : undefined;
  }
}

/** One look at what was changed. `look` is a system call, or opens what it looks at first. */
export interface Look {
  readonly what: string;
  readonly look: () => Promise<unknown>;
  readonly expected: unknown;
}

export interface Stale {
  readonly kind: string;
  readonly text: string;
}

export interface Folder {
  readonly subjects: readonly Subject[];
  /** All names in it. */
  readonly names: Set<string>;
}

/** `a` changes, `b` looks. */
export class Round {
  readonly a: Hand;
  readonly b: Hand;
  readonly number: number;
  readonly random: Random;
  readonly folder: Folder;
  readonly subject: Subject;
  readonly stale: Stale[] = [];
  private readonly about: { readonly kind: string; readonly seed: number; readonly meanwhile: string };

  constructor(
    who: { a: Hand; b: Hand },
    what: { number: number; random: Random; folder: Folder; subject: Subject },
    about: { kind: string; seed: number; meanwhile: string },
  ) {
    this.a = who.a;
    this.b = who.b;
    this.number = what.number;
    this.random = what.random;
    this.folder = what.folder;
    this.subject = what.subject;
    this.about = about;
  }

  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }
  one<T>(of: readonly T[]): T {
    return of[this.random.below(of.length)] as T;
  }

  /** The other machine looks in every way there is, in any order: each time at its very next call. Sometimes who changed it looks too. */
  async see(looks: (hand: Hand) => Look[]): Promise<void> {
    await this.lookAll(this.b, looks(this.b));
    if (this.chance(4)) await this.lookAll(this.a, looks(this.a));
  }
  /** Only the other machine. */
  async seeThere(looks: Look[]): Promise<void> {
    await this.lookAll(this.b, looks);
  }
  /** As `see`, before the change: so that the other machine may have everything cached. */
  async warm(looks: (hand: Hand) => Look[]): Promise<void> {
    if (!this.chance(4)) await this.lookAll(this.b, looks(this.b));
  }

  private async lookAll(hand: Hand, looks: Look[]): Promise<void> {
    const rest = [...looks];
    while (rest.length > 0) {
      const [next] = rest.splice(this.random.below(rest.length), 1);
      if (next !== undefined) await this.look(hand, next);
    }
  }

  private async look(hand: Hand, { what, look, expected }: Look): Promise<void> {
    const seen = await outcome(look);
    if (isDeepStrictEqual(seen, expected)) return;
    const again = await outcome(look);
    const text = [
      `the ${hand.machine} mount looked (${what}): expected ${inWords(expected)}`,
      `seen ${inWords(seen, expected)}`,
      `and at a second look ${isDeepStrictEqual(again, expected) ? "what was expected" : inWords(again, expected)}`,
    ];
    this.stale.push(this.told(text.join(", ")));
  }

  /** A call of the round itself was refused: what it stands on was not seen. */
  failed(error: string): Stale {
    return this.told(error);
  }

  private told(text: string): Stale {
    const { kind, seed, meanwhile } = this.about;
    const holding = [this.a, this.b].map((hand) => `${hand.machine} holds ${hand.holding(this.subject)}`).join(", ");
    return {
      kind,
      text: `${kind}, seed ${String(seed)}, round ${String(this.number)}, by the ${this.a.machine} mount on ${
        this.subject.name
      } (${holding}, ${meanwhile}): ${text}`,
    };
  }
}

/** A refusal is something that is seen, too. Anything else ends the test. */
async function outcome(look: () => Promise<unknown>): Promise<unknown> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
}

function inWords(value: unknown, expected?: unknown): string {
  if (!Buffer.isBuffer(value)) {
    const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part));
    return text.slice(0, 300);
  }
  const other = Buffer.isBuffer(expected) ? expected : value;
  const shorter = Math.min(value.length, other.length);
  let from = 0;
  while (from < shorter && value[from] === other[from]) from++;
  if (from === shorter && value.length === other.length) return `${String(value.length)} bytes`;
  return `${String(value.length)} bytes, other from ${String(from)} on (${JSON.stringify(
    value.toString("latin1", from, from + 30),
  )} instead of ${JSON.stringify(other.toString("latin1", from, from + 30))})`;
}
