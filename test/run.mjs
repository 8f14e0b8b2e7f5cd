// Runs every stage in order (fast first) and ends with one line: N passed, N failed[, N skipped].
// node test/run.mjs [STAGE...]; with CI=true a missing tool is a failure, otherwise its tests are left out by name.
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { missingTools } from "./support/tools.mjs";

/** `files`: ava patterns; or `script`: prints TAP itself. `serial`: one test file at a time (mounts, timing). `seconds`: a hung stage is ended. */
const stages = [
  { name: "check", command: ["make", ["check"]], seconds: 600 },
  {
    name: "unit",
    files: [
      "test/{base,rpc,security,protocol,fuse-codec,journal,metadata-store,block-store,remote,cache,vfs,name-server,storage-node,cli,histories,simulation}/**/*.test.ts",
    ],
    seconds: 1200,
  },
  { name: "simulation", script: "test/simulation/run.ts", seconds: 1800 },
  { name: "driver", files: ["test/fuse/**/*.test.ts"], serial: true, seconds: 600 },
  { name: "mounted", files: ["test/mounted/**/*.test.ts"], serial: true, seconds: 3600 },
  { name: "crash", files: ["test/crash/**/*.test.ts"], serial: true, seconds: 1200 },
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

async function runTests({ name, files, script, serial, seconds }) {
  const ava = ["node_modules/ava/entrypoints/cli.mjs", "--tap"];
  const args =
    script === undefined
      ? [...ava, ...(serial ? ["--concurrency=1", "--serial"] : []), ...files]
      : ["--import=tsx", script];
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

for (const stage of stages) {
  if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
  const start = performance.now();
  const before = { ...totals };
  console.log(`== ${stage.name}`);
  if (stage.command) runCheck(stage);
  else await runTests(stage);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const counts = ["passed", "failed", "skipped"].map((key) => `${totals[key] - before[key]} ${key}`).join(", ");
  console.log(`== ${stage.name}: ${counts} in ${seconds} s`);
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exit(totals.failed === 0 ? 0 : 1);
