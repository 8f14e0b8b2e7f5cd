/** Ordinary programs that use one tree from several mounts at once: sqlite and git. */
import { mkdtempSync, rmSync } from "node:fs";
import test from "ava";
import { shell } from "../support/cluster.ts";
import { hasTool } from "../support/tools.mjs";
import { SeveralMounts } from "./several-mounts.ts";

const rowsEach = 30;
const pushesEach = 3;

let mounts: SeveralMounts;
/** On the local disk. */
let local: string;
test.before(async () => {
  local = mkdtempSync("/var/tmp/dfs-several-");
  mounts = await SeveralMounts.start(3);
});
test.after.always(async () => {
  rmSync(local, { recursive: true, force: true });
  await mounts.close();
});

/** Runs a script with $MNT, one of the mounts, $WHO, its number from 1 on, and $LOCAL. */
function on(mount: number, script: string, seconds = 90): Promise<string> {
  const env = { ...process.env, MNT: mounts.folders[mount - 1], WHO: String(mount), LOCAL: local, ...identity };
  return shell(script, { seconds, cwd: "/", env });
}
function onAll(count: number, script: string, seconds = 90): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => on(i + 1, script, seconds)));
}

const identity = {
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@b",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@b",
};

const withSqlite = hasTool("sqlite3") ? test.serial : test.serial.skip;
const withGit = hasTool("git") ? test.serial : test.serial.skip;

for (const mode of ["delete", "truncate"]) {
  withSqlite(`sqlite with journal_mode=${mode} from three mounts at once loses no row and no update`, async (t) => {
    t.timeout(200_000);
    const database = `$MNT/${mode}.db`;
    await on(
      1,
      `sqlite3 ${database} "pragma journal_mode=${mode}; create table rows(who int, number int, text); create table total(n int); insert into total values(0)"`,
    );
    // Each row in a transaction of its own, that reads what another mount may have just changed.
    await onAll(
      3,
      `{ echo ".timeout 60000"; echo "pragma journal_mode=${mode};"
        for i in $(seq ${String(rowsEach)}); do
          echo "begin immediate; insert into rows values($WHO, $i, hex(randomblob(100))); update total set n = n + 1; commit;"
          [ $((i % 10)) != 0 ] || echo "select count(*) from rows;"
        done; } | sqlite3 -bail ${database}`,
      150,
    );
    const expected = `ok\n${String(3 * rowsEach)}\n${String(3 * rowsEach)}\n1 ${String(rowsEach)}\n2 ${String(rowsEach)}\n3 ${String(rowsEach)}\n`;
    const seen = await onAll(
      3,
      `sqlite3 -separator ' ' ${database} "pragma integrity_check; select n from total; select count(*) from rows;
        select who, count(distinct number) from rows group by who order by who"`,
    );
    t.deepEqual(
      seen,
      seen.map(() => expected),
    );
    t.is(await on(3, `ls $MNT | grep ${mode}.db- || true`), mode === "truncate" ? `${mode}.db-journal\n` : "");
  });
}

withGit("git pushes from two mounts to one bare repository: every commit arrives, and fsck is content", async (t) => {
  t.timeout(300_000);
  await on(
    1,
    `git init -q --bare $MNT/shared.git; git --git-dir=$MNT/shared.git symbolic-ref HEAD refs/heads/shared; git clone -q $MNT/shared.git $MNT/first 2>&1; cd $MNT/first
     git checkout -q -b shared; echo start > start; git add start; git commit -qm start; git push -q origin shared; rm -rf $MNT/first`,
  );
  const retries = await onAll(
    2,
    `git clone -q -b shared $MNT/shared.git $MNT/clone-$WHO; cd $MNT/clone-$WHO; retries=0
     for i in $(seq ${String(pushesEach)}); do
       echo $i > file-$WHO-$i; git add file-$WHO-$i; git commit -qm "commit $WHO $i"
       git push -q origin HEAD:own-$WHO-$i
       for try in $(seq 40); do
         if git push -q origin HEAD:shared 2> $LOCAL/push-$WHO; then break; fi
         [ $try != 40 ] || { cat $LOCAL/push-$WHO; exit 1; }
         retries=$((retries + 1)); git fetch -q origin; git rebase -q origin/shared
       done
     done; echo $retries`,
    200,
  );
  t.log(`pushes that had to be tried again: ${retries.map((text) => text.trim()).join(" and ")}`);
  const expected = [1, 2].flatMap((who) =>
    Array.from({ length: pushesEach }, (_, i) => `commit ${String(who)} ${String(i + 1)}`),
  );
  for (const mount of [1, 2, 3]) {
    const subjects = await on(mount, `git --git-dir=$MNT/shared.git log --format=%s shared`);
    t.deepEqual(subjects.trim().split("\n").sort(), [...expected, "start"].sort());
    t.is(await on(mount, `git --git-dir=$MNT/shared.git fsck --strict --no-progress --no-dangling 2>&1`), "");
  }
  t.is(await on(3, `git --git-dir=$MNT/shared.git branch --list 'own-*' | wc -l`), `${String(2 * pushesEach)}\n`);
  t.is(
    await on(
      2,
      `git clone -q -b shared $MNT/shared.git $MNT/last; ls $MNT/last | wc -l; rm -rf $MNT/last $MNT/clone-1`,
    ),
    `${String(2 * pushesEach + 1)}\n`,
  );
});

test.serial("no log has an error after all of that", (t) => {
  t.deepEqual(mounts.errors(), []);
});
