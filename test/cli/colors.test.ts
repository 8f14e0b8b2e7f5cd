/** Colors at a terminal, plain text everywhere else. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

const module = JSON.stringify(fileURLToPath(new URL("../../src/cli/text-table.ts", import.meta.url)));
const program = `import(${module}).then(({ table }) => console.log(table(["NODE"], [])[0]))`;
const args = ["--import=tsx", "-e", program];

const environment = (own: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  CI: undefined,
  NO_COLOR: undefined,
  FORCE_COLOR: undefined,
  TERM: "xterm",
  ...own,
});

/** What a table's head looks like in a pipe. */
const inPipe = (env: Record<string, string>): string =>
  spawnSync(process.execPath, args, { encoding: "utf8", env: environment(env) }).stdout;

/** And at a terminal. */
function atTerminal(env: Record<string, string>): string {
  const command = [process.execPath, ...args].map((word) => `'${word}'`).join(" ");
  return spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", env: environment(env) }).stdout;
}

test("a pipe gets plain text, also where CI is set", (t) => {
  for (const env of [{}, { CI: "true" }, { FORCE_COLOR: "1" }]) t.is(inPipe(env), "NODE\n", JSON.stringify(env));
});

test("a terminal gets colors, unless it has none or nobody wants them", (t) => {
  t.is(atTerminal({}), "\u001B[1mNODE\u001B[22m\r\n");
  t.is(atTerminal({ NO_COLOR: "1" }), "NODE\r\n");
  t.is(atTerminal({ TERM: "dumb" }), "NODE\r\n");
});
