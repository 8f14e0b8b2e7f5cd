/** Changes of the names of files and symlinks, and how each is looked at. */
import { O } from "../conformance/libc/constants.ts";
import { absentToOpen, contentLooks, freeName, listing, make, named, remove, removedLooks } from "./staleness-looks.ts";
import type { Hand, Look, Round } from "./staleness.ts";

export const nameKinds: Record<string, (round: Round) => Promise<void>> = {
  rename: async (round) => {
    const { a, b } = round;
    const from = freeName(round);
    const ino = await make(round, round.chance(2) ? a : b, from);
    const to = freeName(round);
    await round.warm((hand) => [named(hand, from, ino), named(hand, to, undefined), listing(round, hand)]);
    await a.actor.call("rename", a.path(from), a.path(to));
    round.folder.names.delete(from);
    round.folder.names.add(to);
    await round.see((hand) => [
      named(hand, from, undefined),
      named(hand, to, ino),
      listing(round, hand),
      absentToOpen(hand, from),
    ]);
    await remove(round, round.chance(2) ? a : b, to);
  },

  "rename over a file": async (round) => {
    const { a, subject } = round;
    const temporary = freeName(round);
    const text = `saved in round ${String(round.number)}`;
    const fd = round.b.descriptor(subject, "read-only", "read-write");
    await round.warm((hand) => contentLooks(hand, subject.name, subject.content));
    await a.actor.call("writeWhole", a.path(temporary), text, O.EXCL);
    const { ino } = await a.actor.call("stat", a.path(temporary));
    await a.actor.call("rename", a.path(temporary), a.path(subject.name));
    const old = subject.content;
    subject.content = Buffer.from(text);
    await round.see((hand) => [
      ...contentLooks(hand, subject.name, text),
      named(hand, subject.name, ino),
      named(hand, temporary, undefined),
      listing(round, hand),
    ]);
    if (fd !== undefined) await round.seeThere(removedLooks(round, fd, old));
    subject.generation++;
  },

  "unlink and recreate": async (round) => {
    const { a, b, subject } = round;
    const fd = b.descriptor(subject, "read-only", "read-write");
    const { ino } = await a.actor.call("stat", a.path(subject.name));
    await round.warm((hand) => [...contentLooks(hand, subject.name, subject.content), named(hand, subject.name, ino)]);
    await remove(round, a, subject.name);
    if (round.chance(2)) {
      await round.see((hand) => [
        named(hand, subject.name, undefined),
        absentToOpen(hand, subject.name),
        listing(round, hand),
      ]);
    }
    const old = subject.content;
    const again = await make(round, a, subject.name);
    subject.content = Buffer.from(`made in round ${String(round.number)}`);
    await round.see((hand) => [
      ...contentLooks(hand, subject.name, subject.content),
      named(hand, subject.name, again),
      listing(round, hand),
    ]);
    if (fd !== undefined) await round.seeThere(removedLooks(round, fd, old));
    subject.generation++;
  },

  link: async (round) => {
    const { a, subject } = round;
    const name = freeName(round);
    const { ino } = await a.actor.call("stat", a.path(subject.name));
    const looks =
      (count: number) =>
      (hand: Hand): Look[] => {
        const fd = hand.descriptor(subject, "read-only", "read-write", "path only");
        return [
          {
            what: "stat (nlink)",
            look: async () => (await hand.actor.call("stat", hand.path(subject.name))).nlink,
            expected: count,
          },
          ...(fd === undefined
            ? []
            : [
                {
                  what: "fstat (nlink)",
                  look: async () => (await hand.actor.call("fstat", fd)).nlink,
                  expected: count,
                },
              ]),
          named(hand, name, count === 2 ? ino : undefined),
          listing(round, hand),
        ];
      };
    await round.warm(looks(1));
    await a.actor.call("link", a.path(subject.name), a.path(name));
    round.folder.names.add(name);
    await round.see(looks(2));
    await remove(round, a, name);
    await round.see(looks(1));
  },

  "a symlink that points elsewhere": async (round) => {
    const { a } = round;
    const name = freeName(round);
    const other = round.one(round.folder.subjects);
    const looks =
      (target: string, isThere: boolean) =>
      (hand: Hand): Look[] => [
        {
          what: `readlink of ${name}`,
          look: async () => String(await hand.actor.call("readlink", hand.path(name))),
          expected: target,
        },
        {
          what: `open through ${name}`,
          look: () => hand.actor.call("readWhole", hand.path(name)),
          expected: isThere ? other.content : "ENOENT",
        },
      ];
    await a.actor.call("symlink", "nowhere", a.path(name));
    round.folder.names.add(name);
    await round.warm(looks("nowhere", false));
    if (round.chance(2)) {
      await a.actor.call("unlink", a.path(name));
      await a.actor.call("symlink", other.name, a.path(name));
    } else {
      await a.actor.call("symlink", other.name, a.path(`${name}.new`));
      await a.actor.call("rename", a.path(`${name}.new`), a.path(name));
    }
    await round.see(looks(other.name, true));
    await remove(round, a, name);
    await round.see((hand) => [named(hand, name, undefined), listing(round, hand)]);
  },

  "exchange of two files": async (round) => {
    const { a } = round;
    const [one, two] = [freeName(round), round.subject.name];
    const ino = await make(round, a, one);
    const other = (await a.actor.call("stat", a.path(two))).ino;
    await round.warm((hand) => [named(hand, one, ino), named(hand, two, other)]);
    await a.actor.call("renameat2", a.path(one), a.path(two), 2);
    await round.see((hand) => [
      named(hand, one, other),
      named(hand, two, ino),
      ...contentLooks(hand, one, round.subject.content),
      ...contentLooks(hand, two, `made in round ${String(round.number)}`),
    ]);
    await a.actor.call("renameat2", a.path(one), a.path(two), 2);
    await round.see((hand) => [named(hand, two, other), ...contentLooks(hand, two, round.subject.content)]);
    await remove(round, a, one);
  },
};
