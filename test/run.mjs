// Runs every stage in order (fast first) and ends with one line: N passed, N failed[, N skipped].
// node test/run.mjs [STAGE...]; with CI=true a missing tool is a failure, otherwise its tests are left out by name.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { missingTools } from "./support/tools.mjs";

/**
 * `folders`: whose tests belong to it, below test/; or `script`: prints TAP itself. `atOnce`: so many test files at a time
 * (mounts and timing: one); without it, as many as there are processors. `alone`: files that measure times, and so run after
 * the others, one by one. `seconds`: a hung stage is ended.
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
    // Two clusters wait for each other's disks and timers less than they wait for their own.
    atOnce: 2,
    alone: [
      "test/mounted/fairness.test.ts",
      "test/mounted/histories-cut.test.ts",
      "test/mounted/histories.test.ts",
      "test/mounted/locks-between-mounts.test.ts",
      "test/mounted/mount-options.test.ts",
      "test/mounted/staleness.test.ts",
      "test/mounted/supervision.test.ts",
    ],
    seconds: 3600,
  },
  { name: "hosts", folders: ["hosts"], atOnce: 1, seconds: 900 },
  { name: "crash", folders: ["crash"], atOnce: 1, seconds: 2700 },
  { name: "containers", folders: ["containers"], atOnce: 1, seconds: 900 },
];

const totals = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

function runCheck({ name, command, seconds }) {
  const result = spawnSync(command[0], command[1], { stdio: "inherit", timeout: seconds * 1000 });
  if (result.status === 0) totals.passed += 1;
  else {
    totals.failed += 1;
    failures.push(`${name}: ${command[0]} ${command[1].join(" ")}`);
  }
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
    totals.failed += 1;
    failures.push(`stages: ${first} belongs to ${owners.length === 0 ? "no stage" : owners.join(" and ")}`);
  }
  const all = [...files.values()].flat();
  for (const missing of stages.flatMap(({ alone = [] }) => alone).filter((file) => !all.includes(file))) {
    totals.failed += 1;
    failures.push(`stages: there is no ${missing}`);
  }
}

/** Arguments of node, one run after the other; none when there is nothing to run. */
function testCommands({ folders, script, atOnce, alone = [] }, allFiles) {
  if (script !== undefined) return [["--import=tsx", script]];
  const files = folders.flatMap((folder) => allFiles.get(folder) ?? []).sort();
  const together = files.filter((file) => !alone.includes(file));
  return [
    { files: together, atOnce },
    { files: alone, atOnce: 1 },
  ]
    .filter((run) => run.files.length > 0)
    .map((run) => [
      ...["node_modules/ava/entrypoints/cli.mjs", "--tap"],
      ...(run.atOnce === undefined ? [] : [`--concurrency=${run.atOnce}`, "--serial"]),
      ...run.files,
    ]);
}

async function runTests({ name, seconds }, args) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const timer = setTimeout(() => {
    failures.push(`${name}: not done after ${seconds} s`);
    totals.failed += 1;
    process.kill(-child.pid, "SIGKILL");
  }, seconds * 1000);
  const errors = [];
  child.stderr.on("data", (data) => errors.push(data));
  let failed = 0;
  let inFailure = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO).*)?$/.exec(line);
    if (match === null) {
      if (inFailure && !/^(TAP|1\.\.|# )/.test(line)) console.log(line);
      continue;
    }
    const [, not, title, skip] = match;
    inFailure = not !== undefined;
    if (skip !== undefined) totals.skipped += 1;
    else if (inFailure) {
      totals.failed += 1;
      failed += 1;
      failures.push(`${name}: ${title}`);
      console.log(`FAILED ${name}: ${title}`);
    } else totals.passed += 1;
  }
  const status = await new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.once("exit", resolve);
  });
  clearTimeout(timer);
  if (status !== 0 && failed === 0) {
    totals.failed += 1;
    failures.push(`${name}: the test runner ended with ${status}`);
    console.log(Buffer.concat(errors).toString());
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
    totals.failed += missing.length;
    failures.push(...missing.map((tool) => `tools: ${tool.name} is missing (Debian package ${tool.package})`));
  }
}

const files = testFiles();
checkStages(files);
for (const stage of stages) {
  if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
  const start = performance.now();
  const before = { ...totals };
  console.log(`== ${stage.name}`);
  if (stage.command) runCheck(stage);
  else for (const args of testCommands(stage, files)) await runTests(stage, args);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const counts = ["passed", "failed", "skipped"].map((key) => `${totals[key] - before[key]} ${key}`).join(", ");
  console.log(`== ${stage.name}: ${counts} in ${seconds} s`);
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exit(totals.failed === 0 ? 0 : 1);
