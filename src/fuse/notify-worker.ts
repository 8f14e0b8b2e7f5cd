/**
 * A thread that writes notifications to the device: the kernel may keep it waiting for a directory's or a page's lock,
 * and whoever holds that lock may be waiting for the serving thread.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { NotifyOutcome, NotifyRequest, NotifyWorkerData } from "./notify-messages.ts";

const { fd } = workerData as NotifyWorkerData;

parentPort?.on("message", (batch: NotifyRequest) => {
  const outcome: NotifyOutcome = batch.map(writeOne);
  parentPort?.postMessage(outcome);
});

function writeOne(notification: Uint8Array): string | undefined {
  try {
    writeSync(fd, notification);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
