/** Five mounts of one tree: what one changes the four others see, file by file at their next call, and as a whole. */
import { mkdtempSync, rmSync } from "node:fs";
import test from "ava";
import { shell } from "../support/cluster.ts";
import { O } from "../conformance/libc/constants.ts";
import { errnoOf, type Actor } from "./actor.ts";
import { SeveralMounts } from "./several-mounts.ts";

const rounds = 40;

let mounts: SeveralMounts;
/** On the local disk. */
let local: string;
test.before(async () => {
  local = mkdtempSync("/var/tmp/dfs-five-");
  mounts = await SeveralMounts.start(5);
});
test.after.always(async () => {
  rmSync(local, { recursive: true, force: true });
  await mounts.close();
});

/** Runs a script with $MNT, one of the mounts, $WHO, its number from 1 on, and $LOCAL. */
function on(mount: number, script: string, seconds = 90): Promise<string> {
  const env = { ...process.env, MNT: mounts.folders[mount - 1], WHO: String(mount), LOCAL: local };
  return shell(script, { seconds, cwd: "/", env });
}
function onAll(script: string): Promise<string[]> {
  return Promise.all(mounts.folders.map((_, i) => on(i + 1, script)));
}

test.serial("what one of five mounts changes the four others see at their next call, all at once", async (t) => {
  t.timeout(180_000);
  await mounts.withActors(5, async (...actors) => {
    const [folders, files, moved] = ["five", "five/file", "five/moved"].map((name) => mounts.everywhere(name));
    if (folders === undefined || files === undefined || moved === undefined) throw new Error("no paths");
    await (actors[0] as Actor).call("mkdir", folders[0] as string);
    /** On every mount but one, at the same time. */
    const others = <T>(writer: number, look: (actor: Actor, mount: number) => Promise<T>): Promise<T[]> =>
      Promise.all(actors.flatMap((actor, i) => (i === writer ? [] : [look(actor, i)])));
    const all = <T>(value: T): T[] => [value, value, value, value];
    for (let round = 0; round < rounds; round++) {
      const writer = round % actors.length;
      const actor = actors[writer] as Actor;
      const [file = "", to = ""] = [files[writer], moved[writer]];
      const about = `round ${String(round)}, changed on mount ${String(writer + 1)}`;
      const text = `round ${String(round)} `.repeat(1 + (round % 9));
      await actor.call("writeWhole", file, text);
      t.deepEqual(
        await others(writer, async (a, i) => String(await a.call("readWhole", files[i] as string))),
        all(text),
        about,
      );
      await actor.call("writeWhole", file, "!", O.APPEND);
      const size = BigInt(text.length + 1);
      t.deepEqual(
        await others(writer, async (a, i) => (await a.call("stat", files[i] as string)).size),
        all(size),
        about,
      );
      await actor.call("chmod", file, 0o600 + round);
      const mode = 0o100600 + round;
      t.deepEqual(
        await others(writer, async (a, i) => (await a.call("stat", files[i] as string)).mode),
        all(mode),
        about,
      );
      await actor.call("rename", file, to);
      const gone = await others(writer, async (a, i) => (await errnoOf(a.call("stat", files[i] as string))) ?? "there");
      t.deepEqual(gone, all("ENOENT"), about);
      t.deepEqual(await others(writer, (a, i) => a.call("list", folders[i] as string)), all(["moved"]), about);
      if (round % 2 === 0) await actor.call("unlink", to);
      else await actor.call("rename", to, file);
      const listed = round % 2 === 0 ? [] : ["file"];
      t.deepEqual(await others(writer, (a, i) => a.call("list", folders[i] as string)), all(listed), about);
    }
  });
});

/** Names, types, modes, link counts, targets, and what is in the files. */
const look = `look() { cd "$1"; find . -printf '%P %y %m %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum; }; `;

test.serial("what one mount writes is what four others find; each changes a part, and all five agree", async (t) => {
  t.timeout(300_000);
  const make = `make() { mkdir -p "$1"; cd "$1"
    for d in $(seq 15); do mkdir -p folder-$d/deep
      for f in $(seq 15); do seq $((d * f)) $((d * f + d * 40)) > folder-$d/file-$f; done
      ln -s ../file-$d folder-$d/deep/link; chmod 7$((d % 8))0 folder-$d; done; }; `;
  await on(1, `${make} make $LOCAL/tree`);
  const wanted = await on(1, `${look} look $LOCAL/tree`);
  await on(1, "mkdir $MNT/tree");
  // So that they know it without anything in it.
  await onAll('test -z "$(ls -A $MNT/tree)"; ! test -e $MNT/tree/folder-1');
  await on(1, `${make} make $MNT/tree`);
  const found = await onAll(`${look} look $MNT/tree`);
  for (const [i, text] of found.entries()) t.is(text, wanted, `mount ${String(i + 1)}`);

  const change = `change() { cd "$1"
    for d in $(seq $2 5 15); do cd folder-$d
      rm file-1; echo "changed by $2" > file-2; echo "more of $2" >> file-3; mv file-4 moved-$2; truncate -s 7 file-5
      ln -sfn ../file-9 deep/link; chmod 640 file-6; mkdir new-$2; echo new > new-$2/file; mv file-7 file-8; cd ..
    done; }; `;
  await on(1, `${change} for who in 1 2 3 4 5; do (change $LOCAL/tree $who); done`);
  const changed = await on(1, `${look} look $LOCAL/tree`);
  t.not(changed, wanted);
  await onAll(`${change} change $MNT/tree $WHO`);
  const agreed = await onAll(`${look} look $MNT/tree`);
  for (const [i, text] of agreed.entries()) t.is(text, changed, `mount ${String(i + 1)}`);
  const listed = await onAll("cd $MNT/tree; find . -printf '%i %n %s %T@ %C@ %P\\n' | sort");
  t.is(new Set(listed).size, 1, "inode numbers, link counts, sizes and times");
  await on(3, "rm -rf $MNT/tree");
  t.deepEqual(
    await onAll("ls -d $MNT/tree 2>/dev/null || echo gone"),
    Array.from({ length: 5 }, () => "gone\n"),
  );
});

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});
