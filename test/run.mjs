// Runs every stage in order (fast first) and ends with one line: N passed, N failed[, N skipped].
// node test/run.mjs [STAGE...]; with CI=true a missing tool is a failure, otherwise its tests are left out by name.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { missingTools } from "./support/tools.mjs";

/**
 * `folders`: whose tests belong to it, below test/; or `script`: prints TAP itself. `atOnce`: each test file has a process
 * of its own, so many at a time; without it one process runs them all, as many at a time as there are processors.
 * `alone`: files that measure times, or show more the more they get done in a time, and so run after the others, one by
 * one. `seconds`: what is not done by then is ended, and fails.
 */
const stages = [
  { name: "check", command: ["make", ["check"]], seconds: 600 },
  {
    name: "unit",
    folders: [
      "base",
      "rpc",
      "security",
      "protocol",
      "journal",
      "metadata-store",
      "block-store",
      "remote",
      "cache",
      "vfs",
      "name-server",
      "storage-node",
      "cli",
      "histories",
      "simulation",
    ],
    seconds: 1200,
  },
  { name: "simulation", script: "test/simulation/run.ts", seconds: 1800 },
  { name: "driver", folders: ["fuse"], atOnce: 1, seconds: 600 },
  {
    name: "mounted",
    folders: ["mounted"],
    atOnce: 2,
    alone: [
      "test/mounted/fairness.test.ts",
      "test/mounted/histories-cut.test.ts",
      "test/mounted/histories.test.ts",
      "test/mounted/locks-between-mounts.test.ts",
    ],
    seconds: 2700,
  },
  { name: "hosts", folders: ["hosts"], atOnce: 1, seconds: 900 },
  // Most of it is waiting: for sessions that end, for nodes that count as down, for what is copied.
  { name: "crash", folders: ["crash"], atOnce: 3, alone: ["test/crash/ahead-fsync.test.ts"], seconds: 2700 },
  { name: "containers", folders: ["containers"], atOnce: 1, seconds: 900 },
];

/** A test file that hangs is ended, with what it has started in its process group; the others go on. */
const fileSecondsMax = 1200;
/** Of a stage's files the slowest are told. */
const slowestTold = 5;

/** What is told of failures again at the end: where only the last part of the output is kept, it has to be there. */
const told = { failuresMax: 20, linesMax: 25, logLinesMax: 8, lineMax: 300 };

const totals = { passed: 0, failed: 0, skipped: 0 };
/** With the lines that say why, and the last ones that the test has logged. */
const failures = [];

function fail(what, reason = []) {
  totals.failed += 1;
  const failure = { what, reason, logged: tail(told.logLinesMax) };
  failures.push(failure);
  return failure;
}

/** Its output line by line, until it has ended; resolves with its status, `undefined` when it was late. */
async function runProcess([command, args], seconds, { onLine, onError }) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ended = new Promise((resolve) => {
    child.once("error", (error) => {
      onError(error.message);
      resolve(error.code);
    });
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  const lines = createInterface({ input: child.stdout });
  createInterface({ input: child.stderr }).on("line", onError);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended, and something that it started still has its output.
    }
    lines.close();
  }, seconds * 1000);
  for await (const line of lines) onLine(line);
  const status = isLate ? undefined : await ended;
  clearTimeout(timer);
  return status;
}

/** The last ones of the lines that are added; empty ones say nothing. */
function tail(linesMax) {
  const lines = [];
  return {
    lines,
    add(line) {
      if (line.trim() !== "") lines.push(line);
      if (lines.length > linesMax) lines.shift();
    },
  };
}

async function runCheck({ name, command, seconds }) {
  const last = tail(told.linesMax);
  const show = (line) => {
    console.log(line);
    last.add(line);
  };
  const status = await runProcess(command, seconds, { onLine: show, onError: show });
  const [program, args] = command;
  if (status === 0) totals.passed += 1;
  else
    fail(
      `${name}: ${program} ${args.join(" ")}${status === undefined ? `: not done after ${seconds} s` : ""}`,
      last.lines,
    );
}

/** Folder below test/ -> its test files. */
function testFiles() {
  const folders = new Map();
  for (const entry of readdirSync("test", { recursive: true }).filter((path) => path.endsWith(".test.ts"))) {
    const [folder] = entry.split("/");
    folders.set(folder, [...(folders.get(folder) ?? []), `test/${entry}`]);
  }
  return folders;
}

/** A test file that no stage runs, or that two run, would go unnoticed. */
function checkStages(files) {
  for (const [folder, [first]] of files) {
    const owners = stages.filter((stage) => stage.folders?.includes(folder)).map((stage) => stage.name);
    if (owners.length === 1) continue;
    fail(`stages: ${first} belongs to ${owners.length === 0 ? "no stage" : owners.join(" and ")}`);
  }
  const all = [...files.values()].flat();
  for (const missing of stages.flatMap(({ alone = [] }) => alone).filter((file) => !all.includes(file))) {
    fail(`stages: there is no ${missing}`);
  }
}

/** Arguments of node that may run at the same time, `atOnce` of them, with what they run; one group after the other. */
function testGroups({ name, folders, script, atOnce, alone = [] }, allFiles) {
  if (script !== undefined) return [{ atOnce: 1, runs: [{ what: name, args: ["--import=tsx", script] }] }];
  const ava = ["node_modules/ava/entrypoints/cli.mjs", "--tap"];
  const files = folders.flatMap((folder) => allFiles.get(folder) ?? []).sort();
  if (atOnce === undefined) return [{ atOnce: 1, runs: [{ what: name, args: [...ava, ...files] }] }];
  const own = (file) => ({ what: basename(file, ".test.ts"), args: [...ava, "--serial", file], isFile: true });
  return [
    { atOnce, runs: files.filter((file) => !alone.includes(file)).map(own) },
    { atOnce: 1, runs: files.filter((file) => alone.includes(file)).map(own) },
  ];
}

/** All tests of a stage; ends when its time is over. */
async function runStage(stage, allFiles) {
  const end = performance.now() + stage.seconds * 1000;
  const took = [];
  for (const { atOnce, runs } of testGroups(stage, allFiles)) {
    const left = [...runs];
    const lane = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const start = performance.now();
        const seconds = (end - start) / 1000;
        if (seconds < 1) fail(`${stage.name}: ${next.what}: not begun within the stage's ${stage.seconds} s`);
        else await runTests(stage, next, next.isFile ? Math.min(seconds, fileSecondsMax) : seconds);
        took.push({ what: next.what, seconds: (performance.now() - start) / 1000 });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
  }
  if (took.length < 2) return;
  took.sort((a, b) => b.seconds - a.seconds);
  const slowest = took.slice(0, slowestTold).map(({ what, seconds }) => `${what} ${seconds.toFixed(0)} s`);
  console.log(`slowest: ${slowest.join(", ")}`);
}

async function runTests({ name }, { what, args, isFile }, seconds) {
  const errors = tail(told.linesMax);
  /** Of this run; those of which TAP gives no reason have ended without a word but on their standard error. */
  const here = [];
  let failure;
  let last = "none";
  const onLine = (line) => {
    const match = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO).*)?$/.exec(line);
    if (match === null) {
      // What follows a failed test: its log ("#   ...") and its error, until something else begins.
      if (/^(TAP|1\.\.|# (?! ))/.test(line)) failure = undefined;
      if (failure === undefined || line === "") return;
      console.log(line);
      if (line.startsWith("#")) failure.logged.add(line);
      else failure.reason.push(line);
      return;
    }
    const [, not, ownTitle, skip] = match;
    const title = isFile ? `${what} › ${ownTitle}` : ownTitle;
    last = title;
    failure = undefined;
    if (skip !== undefined) totals.skipped += 1;
    else if (not !== undefined) {
      failure = fail(`${name}: ${title}`);
      here.push(failure);
      console.log(`FAILED ${name}: ${title}`);
    } else totals.passed += 1;
  };
  const status = await runProcess([process.execPath, args], seconds, { onLine, onError: errors.add });
  const run = isFile ? `${name}: ${what}` : name;
  if (status === undefined)
    here.push(fail(`${run}: not done after ${seconds.toFixed(0)} s; the last test that ended: ${last}`));
  else if (status !== 0 && here.length === 0) here.push(fail(`${run}: the test runner ended with ${status}`));
  for (const { reason } of here.filter(({ reason }) => reason.length === 0)) {
    for (const line of errors.lines) console.log(line);
    reason.push(...errors.lines);
  }
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`no such stage: ${unknown.join(", ")} (have: ${stages.map((stage) => stage.name).join(", ")})`);
  process.exit(2);
}

const missing = missingTools();
if (missing.length > 0) {
  console.log(
    `not installed: ${missing.map((tool) => `${tool.name} (${tool.package})`).join(", ")}; their tests are left out`,
  );
  if (process.env.CI === "true") {
    for (const tool of missing) fail(`tools: ${tool.name} is missing (Debian package ${tool.package})`);
  }
}

const files = testFiles();
checkStages(files);
for (const stage of stages) {
  if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
  const start = performance.now();
  const before = { ...totals };
  console.log(`== ${stage.name}`);
  if (stage.command) await runCheck(stage);
  else await runStage(stage, files);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const counts = ["passed", "failed", "skipped"].map((key) => `${totals[key] - before[key]} ${key}`).join(", ");
  console.log(`== ${stage.name}: ${counts} in ${seconds} s`);
}
for (const [i, { what, reason, logged }] of failures.entries()) {
  console.log(`failed: ${what}`);
  const lines = i < told.failuresMax ? [...reason.slice(0, told.linesMax), ...logged.lines] : [];
  for (const line of lines) console.log(`  ${line.slice(0, told.lineMax)}`);
}
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exit(totals.failed === 0 ? 0 : 1);
