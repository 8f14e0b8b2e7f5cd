/** Ways to look at names, and making and removing them so that the model of the folder stays right. */
import { O } from "../conformance/libc/constants.ts";
import type { Hand, Look, Round } from "./staleness.ts";

const pool = Array.from({ length: 12 }, (_, i) => `name-${String(i)}`);

/** A name that is not there, but was in other rounds. */
export function freeName(round: Round): string {
  return round.one(pool.filter((name) => !round.folder.names.has(name)));
}

/** What `name` is now: an inode, or nothing. */
export function named(hand: Hand, name: string, ino: bigint | undefined): Look {
  return {
    what: `lstat of ${name}`,
    look: async () => (await hand.actor.call("lstat", hand.path(name))).ino,
    expected: ino ?? "ENOENT",
  };
}

/** The whole listing of the folder; through the folder that is held open, if one is. */
export function listing(round: Round, hand: Hand): Look {
  const open = hand.openFolder(round.subject);
  const expected = [...round.folder.names].sort();
  return open === undefined
    ? { what: "listing", look: () => hand.actor.call("list", hand.path()), expected }
    : { what: "listing of the open folder", look: () => hand.actor.call("listAgain", open), expected };
}

export function absentToOpen(hand: Hand, name: string): Look {
  return {
    what: `open of ${name}`,
    look: () => hand.actor.call("open", hand.path(name), O.RDONLY),
    expected: "ENOENT",
  };
}

export async function make(round: Round, hand: Hand, name: string): Promise<bigint> {
  await hand.actor.call("writeWhole", hand.path(name), `made in round ${String(round.number)}`, O.EXCL);
  round.folder.names.add(name);
  return (await hand.actor.call("stat", hand.path(name))).ino;
}
export async function remove(
  round: Round,
  hand: Hand,
  name: string,
  call: "unlink" | "rmdir" = "unlink",
): Promise<void> {
  await hand.actor.call(call, hand.path(name));
  round.folder.names.delete(name);
}

export function contentLooks(hand: Hand, name: string, expected: string | Buffer): Look[] {
  return [
    {
      what: `open and read of ${name}`,
      look: () => hand.actor.call("readWhole", hand.path(name)),
      expected: Buffer.from(expected),
    },
  ];
}

/** What is open lives on without a name. */
export function removedLooks({ b }: Round, fd: number, content: Buffer): Look[] {
  return [
    {
      what: "read of the removed file",
      look: () => b.actor.call("pread", fd, content.length + 1, 0),
      expected: content,
    },
    {
      what: "fstat (nlink) of the removed file",
      look: async () => (await b.actor.call("fstat", fd)).nlink,
      expected: 0,
    },
  ];
}
