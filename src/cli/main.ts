#!/usr/bin/env node
/** The `dfs` program: reads the command line, runs one command, ends with its status. */
// Reads and writes of many blocks at the same time; LMDB needs a thread, too.
process.env["UV_THREADPOOL_SIZE"] ??= "12";

import { CommanderError, InvalidArgumentError } from "commander";
import { FsError } from "../base/errno.ts";
import { buildProgram } from "./commands.ts";
import { reportFailure } from "./daemon.ts";
import { fsckUsageStatus } from "./fsck-command.ts";
import { CommandFailure } from "./failure.ts";

const usageStatus = 2;

// `dfs status | head -1`: whoever read our words has had enough of them; the work goes on.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

async function main(): Promise<number> {
  try {
    return await buildProgram().run(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has said what was wrong, except of values that only the command itself looked at.
      if (error instanceof InvalidArgumentError) console.error(`dfs: ${error.message}`);
      if (error.exitCode === 0) return 0;
      return process.argv[2] === "fsck" ? fsckUsageStatus : usageStatus;
    }
    if (!(error instanceof CommandFailure) && !(error instanceof FsError)) throw error;
    const status = error instanceof CommandFailure ? error.status : 1;
    const isFull = error instanceof FsError && error.errno === "ENOSPC";
    const message = isFull ? `${error.message}: make room on this disk, then start again` : error.message;
    console.error(`dfs: ${message}`);
    reportFailure(message, status);
    return status;
  }
}

process.exitCode = await main();
// What still holds the event loop (sockets being closed, a thread) must not hold the process.
setTimeout(() => process.exit(), 2_000).unref();
