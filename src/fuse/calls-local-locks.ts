/**
 * Rows that take the place of others with `locks: "local"`: files are opened so that closing them costs no message. FLUSH
 * is for fcntl locks, which the kernel keeps then, and for errors, which fsync tells too.
 *
 * A file that is opened with O_TRUNC keeps its FLUSH: its close waits until the new content is where the old one was. OPEN
 * is asked in any case: files are opened past the page cache where nothing may be cached, and to append. If it was answered
 * ENOSYS the kernel would keep pages of all of them and append at the size that it has seen last.
 */
import { call, callTable, type CallTable } from "./calls.ts";
import { createdPages, fileCalls, openedPages } from "./calls-files.ts";
import { nameCalls } from "./calls-names.ts";
import { encodeCreated, encodeOpened } from "./encode.ts";
import type { NegotiationOptions } from "./negotiate.ts";
import type { Opened } from "./operations.ts";

const truncateFlag = 0o1000;

const localLockCalls = [
  call(
    "open",
    (o, r, b) => o.open(r, r.ino, b.flags, b.killPrivileges),
    (frame, at, opened, { flags }) => encodeOpened(frame, at, closedInSilence(opened, flags)),
    { keepsPagesOf: openedPages },
  ),
  call(
    "create",
    (o, r, b) => o.create(r, r.ino, b.name, b.creation, b.flags),
    (frame, at, made, { flags }) =>
      encodeCreated(frame, at, { ...made, opened: closedInSilence(made.opened, flags & ~truncateFlag) }),
    createdPages,
  ),
  call(
    "tmpfile",
    (o, r, b) => o.tmpfile(r, r.ino, b.creation, b.flags),
    (frame, at, made) => encodeCreated(frame, at, { ...made, opened: closedInSilence(made.opened, 0) }),
    createdPages,
  ),
];

/** All requests, by who keeps the locks. */
export function callsFor(locks: NegotiationOptions["locks"]): CallTable {
  return callTable(nameCalls, fileCalls, locks === "local" ? localLockCalls : []);
}

function closedInSilence(opened: Opened, flags: number): Opened {
  return (flags & truncateFlag) === 0 ? { ...opened, noFlush: true } : opened;
}
