/** Names that come and go, and changes of folders, and how each is looked at. */
import { absentToOpen, contentLooks, freeName, listing, make, named, remove } from "./staleness-looks.ts";
import type { Hand, Look, Round } from "./staleness.ts";

export const folderKinds: Record<string, (round: Round) => Promise<void>> = {
  "a name appears and goes": async (round) => {
    const { a } = round;
    const name = freeName(round);
    const gone = (hand: Hand): Look[] => [named(hand, name, undefined), absentToOpen(hand, name), listing(round, hand)];
    await round.warm(gone);
    const kind = round.one(["open", "mkdir", "symlink", "mkfifo", "link"] as const);
    if (kind === "open") await make(round, a, name);
    else if (kind === "mkdir") await a.actor.call("mkdir", a.path(name));
    else if (kind === "symlink") await a.actor.call("symlink", round.subject.name, a.path(name));
    else if (kind === "mkfifo") await a.actor.call("mkfifo", a.path(name));
    else await a.actor.call("link", a.path(round.subject.name), a.path(name));
    round.folder.names.add(name);
    // What the changing machine itself has been told.
    const { ino } = await a.actor.call("lstat", a.path(name));
    const there = (hand: Hand): Look[] => [named(hand, name, ino), listing(round, hand)];
    await round.see(there);
    await remove(round, a, name, kind === "mkdir" ? "rmdir" : "unlink");
    await round.see(gone);
  },

  "mkdir, what is made in it, and rmdir": async (round) => {
    const { a, b } = round;
    const name = freeName(round);
    const inside = `${name}/inside`;
    const links = (await a.actor.call("stat", a.path())).nlink;
    const parentLinks =
      (more: number) =>
      (hand: Hand): Look => ({
        what: "link count of the folder",
        look: async () => (await hand.actor.call("stat", hand.path())).nlink,
        expected: links + more,
      });
    await round.warm((hand) => [named(hand, name, undefined), parentLinks(0)(hand)]);
    await a.actor.call("mkdir", a.path(name));
    round.folder.names.add(name);
    await round.see((hand) => [
      parentLinks(1)(hand),
      listing(round, hand),
      { what: `listing of ${name}`, look: () => hand.actor.call("list", hand.path(name)), expected: [] },
    ]);
    await a.actor.call("writeWhole", a.path(inside), "x");
    await round.see((hand) => [
      { what: `listing of ${name}`, look: () => hand.actor.call("list", hand.path(name)), expected: ["inside"] },
      ...contentLooks(hand, inside, "x"),
    ]);
    await b.actor.call("unlink", b.path(inside));
    await remove(round, a, name, "rmdir");
    await round.see((hand) => [
      named(hand, name, undefined),
      named(hand, inside, undefined),
      parentLinks(0)(hand),
      listing(round, hand),
    ]);
  },

  "rename of a folder": async (round) => {
    const { a } = round;
    const from = freeName(round);
    await a.actor.call("mkdir", a.path(from));
    round.folder.names.add(from);
    const ino = await make(round, a, `${from}/inside`);
    round.folder.names.delete(`${from}/inside`);
    const to = freeName(round);
    await round.warm((hand) => [
      named(hand, `${from}/inside`, ino),
      named(hand, `${to}/inside`, undefined),
      listing(round, hand),
    ]);
    await a.actor.call("rename", a.path(from), a.path(to));
    round.folder.names.delete(from);
    round.folder.names.add(to);
    await round.see((hand) => [
      named(hand, `${from}/inside`, undefined),
      named(hand, `${to}/inside`, ino),
      named(hand, from, undefined),
      listing(round, hand),
    ]);
    await a.actor.call("unlink", a.path(`${to}/inside`));
    await remove(round, a, to, "rmdir");
  },
};
