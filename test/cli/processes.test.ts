import test from "ava";
import { identify, isEnding, saysEnding } from "../../src/cli/processes.ts";

const status = (own: string, shared: string): string =>
  `Name:\tnode\nState:\tS (sleeping)\nSigPnd:\t${own}\nShdPnd:\t${shared}\nSigBlk:\t0000000000000100\n`;
const stat = (flags: number): string => `7 (a) b) S 1 7 7 0 -1 ${String(flags)} 100 0 0 0`;
const nothing = "0000000000000000";
const sigkill = "0000000000000100";

test("a process is ending when SIGKILL waits for it, or it already exits", (t) => {
  t.false(saysEnding(status(nothing, nothing), stat(0x400100)));
  t.true(saysEnding(status(sigkill, nothing), stat(0x400100)));
  t.true(saysEnding(status(nothing, sigkill), stat(0x400100)));
  t.true(saysEnding(status(nothing, nothing), stat(0x400104)));
});

test("other signals, and a blocked SIGKILL bit, end nothing", (t) => {
  t.false(saysEnding(status("0000000000004002", nothing), stat(0)));
});

test("this process is not ending, and one that is not there neither", (t) => {
  const own = identify(process.pid);
  t.is(own?.pid, process.pid);
  t.false(own === undefined || isEnding(own));
  t.false(isEnding({ pid: 2 ** 22 + 1, startTicks: 0, boot: "" }));
});
