/**
 * Page ranges that the kernel has to drop, behind a reply that it is about to get. One notification per inode is on its
 * way at a time; what is added meanwhile becomes one range, so the queue is bounded by the inodes in use.
 * Own data is never lost by this: file content holds a write from its arrival on, and the kernel reads it from there.
 */
import type { Ino } from "../base/ids.ts";
import type { Notifier } from "../fuse/operations.ts";
import type { Background } from "./background.ts";

export interface Invalidations {
  /** Drops [offset, offset + length) soon. Never waited for by the operation that has the pages locked. */
  add(ino: Ino, offset: number, length: number): void;
  start(notifier: Notifier): void;
}

interface Range {
  offset: number;
  end: number;
}

export function createInvalidations(background: Background): Invalidations {
  /** Per inode with a notification on its way: what to send next. */
  const waiting = new Map<Ino, Range | undefined>();
  let notifier: Notifier | undefined;

  const send = async (kernel: Notifier, ino: Ino, first: Range): Promise<void> => {
    try {
      for (let range: Range | undefined = first; range !== undefined;) {
        waiting.set(ino, undefined);
        await kernel.invalidateData(ino, range.offset, range.end - range.offset);
        range = waiting.get(ino);
      }
    } finally {
      waiting.delete(ino);
    }
  };

  return {
    add(ino, offset, length) {
      if (notifier === undefined) return;
      const end = offset + length;
      if (!waiting.has(ino)) {
        background.run("drop cached pages", send(notifier, ino, { offset, end }));
        return;
      }
      const range = waiting.get(ino);
      if (range === undefined) waiting.set(ino, { offset, end });
      else {
        range.offset = Math.min(range.offset, offset);
        range.end = Math.max(range.end, end);
      }
    },
    start(given) {
      notifier = given;
    },
  };
}
