import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { type Log, type LogFields, silentLog } from "../../src/base/log.ts";
import type { OpcodeName } from "../../src/fuse/abi-opcodes.ts";
import { callTable } from "../../src/fuse/calls.ts";
import { fileCalls } from "../../src/fuse/calls-files.ts";
import { nameCalls } from "../../src/fuse/calls-names.ts";
import type { Device } from "../../src/fuse/device.ts";
import { Interrupts } from "../../src/fuse/interrupts.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { Session } from "../../src/fuse/session.ts";
import type { Frame } from "../../src/fuse/wire.ts";
import { request, table } from "./bytes.ts";
import { manualClock } from "./manual-clock.ts";
import { MemoryFilesystem } from "./memory-filesystem.ts";

interface Replied {
  readonly error: number;
  readonly payload: Buffer;
}

function setup(change: Partial<Operations> = {}) {
  const replies: Replied[] = [];
  const errors: string[] = [];
  const traced: { fields: LogFields; message: string }[] = [];
  const given: Frame[] = [];
  const log: Log = {
    ...silentLog,
    error: (_fields, message) => void errors.push(message),
    debug: (fields, message) => void traced.push({ fields, message }),
  };
  const record = (bytes: Buffer): boolean => {
    replies.push({ error: bytes.readInt32LE(4), payload: Buffer.from(bytes.subarray(16)) });
    return true;
  };
  const device = {
    write: (bytes: Buffer, length: number) => record(bytes.subarray(0, length)),
    writePieces: (header: Buffer, pieces: Uint8Array[]) => record(Buffer.concat([header.subarray(0, 16), ...pieces])),
    giveFrame: (frame: Frame) => void given.push(frame),
  };
  const filesystem = Object.assign(new MemoryFilesystem(), change);
  const parts = {
    device: device as unknown as Device,
    calls: callTable(nameCalls, fileCalls),
    operations: () => filesystem,
    interrupts: new Interrupts(manualClock(), log, () => Promise.resolve(false)),
    setxattrExtended: true,
    onDestroy: () => filesystem.stop(),
  };
  const session = new Session({ ...parts, log });
  const debugging = new Session({ ...parts, log: { ...log, debugging: true } });
  const send = (name: OpcodeName, body: Buffer, to = session): boolean => {
    const { frame, length } = request(name, body);
    frame.view.setBigUint64(16, 1n, true); // the root
    return to.handle(frame, length);
  };
  return { session, debugging, send, replies, errors, traced, given, filesystem };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const getattrBody = Buffer.alloc(16);
const writeBody = table(
  ["fh", "01 00 00 00 00 00 00 00"],
  ["offset", "00".repeat(8)],
  ["size, write_flags", "03 00 00 00 00 00 00 00"],
  ["lock_owner, flags, padding", "00".repeat(16)],
  ["content", "'abc'"],
);

test("an operation that answers at once is answered in the same turn", (t) => {
  const { send, replies, session } = setup();
  t.false(send("getattr", getattrBody));
  t.is(replies.length, 1);
  t.like(replies[0], { error: 0 });
  t.is(replies[0]?.payload.length, 104);
  t.deepEqual(session.requests, { getattr: 1 });
});

test("an operating error is answered with its errno, and is nobody's news", (t) => {
  const { send, replies, errors } = setup();
  send("rmdir", Buffer.from("missing\0"));
  t.is(replies[0]?.error, -2);
  t.deepEqual(errors, []);
});

test("an unknown error is answered with EIO and logged once", async (t) => {
  const { send, replies, errors } = setup({
    getattr: () => {
      throw new TypeError("a bug");
    },
    statfs: () => Promise.reject(new TypeError("a late bug")),
  });
  send("getattr", getattrBody);
  send("statfs", Buffer.alloc(0));
  await turn();
  t.deepEqual(
    replies.map(({ error }) => error),
    [-5, -5],
  );
  t.is(errors.length, 2);
});

test("ENOSYS is answered for requests that are not implemented, and never because an operation says so", (t) => {
  const { send, replies } = setup({
    access: () => {
      throw new FsError("ENOSYS", "not here");
    },
  });
  send("poll", Buffer.alloc(24));
  send("bmap", Buffer.alloc(16));
  send("setupMapping", Buffer.alloc(40));
  send("ioctl", Buffer.alloc(32));
  send("access", Buffer.alloc(8));
  t.deepEqual(
    replies.map(({ error }) => error),
    [-38, -38, -38, -25, -95],
  );
});

test("a request of a kernel to come is answered ENOSYS", (t) => {
  const { session, replies } = setup();
  const { frame, length } = request("getattr", getattrBody);
  frame.view.setUint32(4, 4096, true);
  session.handle(frame, length);
  t.is(replies[0]?.error, -38);
});

test("a malformed request is answered with EIO; one without a header is left alone", (t) => {
  const { send, session, replies, errors } = setup();
  send("write", writeBody.subarray(0, 41));
  t.is(replies[0]?.error, -5);
  session.handle(request("getattr", Buffer.alloc(0)).frame, 20);
  t.is(replies.length, 1);
  t.is(errors.length, 1);
});

test("a WRITE that waits keeps its frame until it is answered, and its content stays", async (t) => {
  let finish = (): void => undefined;
  let seen: Buffer | undefined;
  const { send, replies, given } = setup({
    write: (_request, _ino, _handle, _offset, content) => {
      seen = content;
      return new Promise((resolve) => {
        finish = () => {
          resolve(content.length);
        };
      });
    },
  });
  t.true(send("write", writeBody));
  t.is(replies.length, 0);
  t.is(seen?.toString(), "abc");
  finish();
  await turn();
  t.is(replies.length, 1);
  t.is(given.length, 1);
});

test("with 8 frames kept, smaller WRITEs are copied and keep none", async (t) => {
  const finish: (() => void)[] = [];
  const { send, session, given } = setup({
    write: () =>
      new Promise((resolve) => {
        finish.push(() => {
          resolve(3);
        });
      }),
  });
  for (let i = 0; i < 8; i++) t.true(send("write", writeBody));
  t.false(send("write", writeBody));
  t.is(session.waitingCount, 1, "the test sends one number for all");
  for (const end of finish) end();
  await turn();
  t.is(given.length, 8);
});

test("an error after directory entries were accepted comes with the next request", (t) => {
  const { send, replies } = setup({
    readdir: (_request, ino, _handle, cookie, _plus, sink) => {
      if (cookie === 0) sink({ name: ".", ino, type: 0o040000, cookie: 1 });
      throw new FsError("EIO", "the rest is lost");
    },
  });
  const body = (cookie: string): Buffer =>
    table(["fh", "00".repeat(8)], ["offset", cookie], ["size", "00 10 00 00"], ["rest", "00".repeat(20)]);
  send("readdir", body("00 00 00 00 00 00 00 00"));
  send("readdir", body("01 00 00 00 00 00 00 00"));
  t.like(replies[0], { error: 0 });
  t.is(replies[0]?.payload.length, 32);
  t.is(replies[1]?.error, -5);
});

test("a read that answers more than was asked is a bug, not a reply", (t) => {
  const { send, replies, errors } = setup({ read: () => ({ pieces: [Buffer.alloc(5000)] }) });
  send("read", table(["fh, offset", "00".repeat(16)], ["size", "00 10 00 00"], ["rest", "00".repeat(20)]));
  t.is(replies[0]?.error, -5);
  t.is(errors.length, 1);
});

test("what a read gives back is released once, after the reply", (t) => {
  let released = 0;
  const { send, replies } = setup({
    read: () => ({ pieces: [Buffer.from("ab"), Buffer.from("c")], release: () => released++ }),
  });
  send("read", table(["fh, offset", "00".repeat(16)], ["size", "00 10 00 00"], ["rest", "00".repeat(20)]));
  t.is(replies[0]?.payload.toString(), "abc");
  t.is(released, 1);
});

test("the size of an extended attribute is probed with size 0, and too little room is ERANGE", (t) => {
  const { send, replies, filesystem } = setup({ getxattr: () => Buffer.alloc(300, 1) });
  const body = (size: string): Buffer => table(["size", size], ["padding", "00 00 00 00"], ["name", "'user.a\\0'"]);
  send("getxattr", body("00 00 00 00"));
  t.is(replies[0]?.payload.readUInt32LE(0), 300);
  send("getxattr", body("2b 01 00 00"));
  t.is(replies[1]?.error, -34);
  send("getxattr", body("2c 01 00 00"));
  t.is(replies[2]?.payload.length, 300);
  filesystem.getxattr = () => Buffer.alloc(65537);
  send("getxattr", body("00 00 00 00"));
  t.is(replies[3]?.error, -7);
  filesystem.getxattr = () => undefined;
  send("getxattr", body("00 00 00 00"));
  t.is(replies[4]?.error, -61);
});

test("FORGET and BATCH_FORGET are not answered, and take lookups away", (t) => {
  const forgotten: [number, number][] = [];
  const { send, replies } = setup({ forget: (ino, count) => void forgotten.push([ino, count]) });
  send("forget", table(["nlookup", "03 00 00 00 00 00 00 00"]));
  const pair = (ino: string): [string, string] => [
    "nodeid, nlookup",
    `${ino} 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00`,
  ];
  send("batchForget", table(["count, dummy", "02 00 00 00 00 00 00 00"], pair("05"), pair("06")));
  t.deepEqual(forgotten, [
    [1, 3],
    [5, 2],
    [6, 2],
  ]);
  t.is(replies.length, 0);
});

test("DESTROY is answered when the filesystem has stopped", async (t) => {
  const { send, replies, filesystem } = setup();
  send("destroy", Buffer.alloc(0));
  await turn();
  t.true(filesystem.stopped);
  t.like(replies[0], { error: 0 });
});

test("INTERRUPT of a waiting lock makes it answer EINTR, whichever comes first", async (t) => {
  const { send, replies } = setup({
    setlk: (r) =>
      new Promise((_resolve, reject) => {
        r.signal.addEventListener("abort", () => {
          reject(r.signal.reason as Error);
        });
      }),
  });
  const lock = table(
    ["fh, owner", "00".repeat(16)],
    ["lock", `${"00".repeat(16)}01 00 00 00 00 00 00 00`],
    ["flags", "00".repeat(8)],
  );
  const interrupt = table(["unique", "22 11 00 00 00 00 00 00"]);
  send("setlkw", lock);
  send("interrupt", interrupt);
  await turn();
  t.is(replies[0]?.error, -4);
  send("interrupt", interrupt);
  send("setlkw", lock);
  await turn();
  t.is(replies[1]?.error, -4);
});

test("debugging writes one line for each request and one for its reply", (t) => {
  const { send, debugging, traced } = setup();
  send("getattr", getattrBody, debugging);
  send("rmdir", Buffer.from("x\0"), debugging);
  t.deepEqual(
    traced.map(({ message }) => message),
    ["getattr", "getattr answered", "rmdir", "rmdir answered"],
  );
  t.like(traced[0]?.fields, { unique: "4386", ino: 1, uid: 1000, pid: 4242 });
  t.like(traced[3]?.fields, { errno: 2 });
});
