/** Changes of a file's content and attributes, and how each is looked at. The file is the subject of the round. */
import { O } from "../conformance/libc/constants.ts";
import type { Hand, Look, Round } from "./staleness.ts";

const FALLOC_PUNCH = 3;
const mappedBytes = 12_000;
const readable = ["read-only", "read-write"] as const;

/** Content that no other round has written: its number all over. Mostly small, now and then more than an inline extent. */
function newContent({ random, number }: Round): Buffer {
  const bytes = random.below(8) === 0 ? 50_000 + random.below(200_000) : random.below(9_000);
  return Buffer.from(`round ${String(number)} `.repeat(Math.ceil(bytes / 8)).slice(0, bytes));
}
function piece(round: Round, length: number): Buffer {
  return Buffer.from(`<${String(round.number)}>`.repeat(length).slice(0, length));
}

function content({ subject }: Round, hand: Hand): Look[] {
  const expected = subject.content;
  const fd = hand.descriptor(subject, ...readable);
  const path = hand.path(subject.name);
  return [
    { what: "open and read", look: () => hand.actor.call("readWhole", path), expected },
    ...(fd === undefined
      ? []
      : [
          { what: "read of the open file", look: () => hand.actor.call("pread", fd, expected.length + 1, 0), expected },
        ]),
    ...size(subject.content.length, hand, { path, fd: hand.descriptor(subject, ...readable, "path only") }),
  ];
}

function size(bytes: number, hand: Hand, { path, fd }: { path: string; fd: number | undefined }): Look[] {
  return attributes("size", BigInt(bytes), hand, { path, fd });
}

function attributes(
  what: "size" | "mode" | "nlink" | "mtime" | "uid",
  expected: number | bigint,
  hand: Hand,
  { path, fd }: { path: string; fd: number | undefined },
): Look[] {
  const looks = [{ what: `stat (${what})`, look: async () => (await hand.actor.call("stat", path))[what], expected }];
  if (fd !== undefined) {
    looks.push({ what: `fstat (${what})`, look: async () => (await hand.actor.call("fstat", fd))[what], expected });
  }
  return looks;
}

function attribute(round: Round, what: "mode" | "nlink" | "mtime" | "uid", expected: number | bigint) {
  return (hand: Hand): Look[] =>
    attributes(what, expected, hand, {
      path: hand.path(round.subject.name),
      fd: hand.descriptor(round.subject, ...readable, "path only"),
    });
}

/** Through what it has open for writing, or else through a file that it opens for this. */
async function throughOpenFile(round: Round, write: (fd: number) => Promise<void>): Promise<void> {
  const { a, subject } = round;
  const held = a.descriptor(subject, "read-write");
  const fd = held ?? (await a.actor.call("open", a.path(subject.name), O.RDWR));
  await write(fd);
  await round.see((hand) => content(round, hand));
  if (held === undefined) await a.actor.call("close", fd);
}

function overlay(old: Buffer, bytes: Buffer, offset: number): Buffer {
  const all = Buffer.alloc(Math.max(old.length, offset + bytes.length));
  old.copy(all);
  bytes.copy(all, offset);
  return all;
}

export const contentKinds: Record<string, (round: Round) => Promise<void>> = {
  "write and close": async (round) => {
    const { a, subject } = round;
    await round.warm((hand) => content(round, hand));
    subject.content = newContent(round);
    await a.actor.call("writeWhole", a.path(subject.name), subject.content);
    await round.see((hand) => content(round, hand));
  },

  "write without close": async (round) => {
    const { a, subject } = round;
    await round.warm((hand) => content(round, hand));
    await throughOpenFile(round, async (fd) => {
      const bytes = piece(round, 1 + round.random.below(5_000));
      const offset = round.random.below(subject.content.length + 100);
      await a.actor.call("pwrite", fd, bytes, offset);
      subject.content = overlay(subject.content, bytes, offset);
    });
  },

  append: async (round) => {
    const { a, subject } = round;
    await round.warm((hand) => content(round, hand));
    const bytes = piece(round, 1 + round.random.below(2_000));
    await a.actor.call("writeWhole", a.path(subject.name), bytes, O.APPEND);
    subject.content = Buffer.concat([subject.content, bytes]);
    await round.see((hand) => content(round, hand));
  },

  truncate: async (round) => {
    const { a, subject } = round;
    await round.warm((hand) => content(round, hand));
    const length = round.random.below(20_000);
    subject.content = overlay(subject.content.subarray(0, length), Buffer.alloc(0), length);
    const fd = a.descriptor(subject, "read-write");
    if (fd === undefined) await a.actor.call("truncate", a.path(subject.name), length);
    else await a.actor.call("ftruncate", fd, length);
    await round.see((hand) => content(round, hand));
  },

  "punched hole": async (round) => {
    const { a, subject } = round;
    await round.warm((hand) => content(round, hand));
    await throughOpenFile(round, async (fd) => {
      const offset = round.random.below(subject.content.length + 1);
      const length = 1 + round.random.below(10_000);
      await a.actor.call("fallocate", fd, FALLOC_PUNCH, offset, length);
      const punched = Buffer.from(subject.content);
      punched.fill(0, offset, Math.min(punched.length, offset + length));
      subject.content = punched;
    });
  },

  chmod: async (round) => {
    const { a, subject } = round;
    const modes = [0o600, 0o640, 0o644, 0o666, 0o700, 0o755];
    for (const mode of [round.one(modes), round.one(modes)]) {
      const fd = a.descriptor(subject, ...readable);
      if (fd === undefined) await a.actor.call("chmod", a.path(subject.name), mode);
      else await a.actor.call("fchmod", fd, mode);
      await round.see((hand) => [
        ...attribute(round, "mode", 0o100000 | mode)(hand),
        {
          what: "permission to read for another user",
          look: async () => {
            await hand.actor.call("accessAs", 54_321, hand.path(subject.name), 4);
            return "granted";
          },
          expected: (mode & 0o004) === 0 ? "EACCES" : "granted",
        },
      ]);
    }
  },

  chown: async (round) => {
    const { a, subject } = round;
    for (const uid of [1 + round.random.below(60_000), 0]) {
      await a.actor.call("chown", a.path(subject.name), uid, uid);
      await round.see(attribute(round, "uid", uid));
    }
  },

  utimes: async (round) => {
    const { a, subject } = round;
    await round.warm(attribute(round, "mtime", (await a.actor.call("stat", a.path(subject.name))).mtime));
    const time = BigInt(round.random.below(2 ** 40)) * 1_000_003n;
    await a.actor.call("utimensat", a.path(subject.name), [time, time]);
    await round.see(attribute(round, "mtime", time));
  },

  "setxattr and removexattr": async (round) => {
    const { a, subject } = round;
    const looks =
      (value: string | undefined) =>
      (hand: Hand): Look[] => {
        const path = hand.path(subject.name);
        const fd = hand.descriptor(subject, ...readable);
        const expected = value ?? "ENODATA";
        return [
          {
            what: "getxattr",
            look: async () => String(await hand.actor.call("getxattr", path, "user.round")),
            expected,
          },
          {
            what: "listxattr",
            look: () => hand.actor.call("listxattr", path),
            expected: value === undefined ? [] : ["user.round"],
          },
          ...(fd === undefined
            ? []
            : [
                {
                  what: "fgetxattr",
                  look: async () => String(await hand.actor.call("fgetxattr", fd, "user.round")),
                  expected,
                },
              ]),
        ];
      };
    await round.warm(looks(undefined));
    await a.actor.call("setxattr", a.path(subject.name), "user.round", `value ${String(round.number)}`);
    await round.see(looks(`value ${String(round.number)}`));
    await a.actor.call("removexattr", a.path(subject.name), "user.round");
    await round.see(looks(undefined));
  },

  "a mapping that reads": (round) => mappingReads(round, { asksSize: true }),
  "a mapping that reads, of a file whose size nobody asked for": (round) => mappingReads(round, { asksSize: false }),

  "a mapping that writes, and msync": async (round) => {
    const { a, subject } = round;
    subject.content = piece(round, mappedBytes);
    await a.actor.call("writeWhole", a.path(subject.name), subject.content);
    const fd = await a.actor.call("open", a.path(subject.name), O.RDWR);
    const mapping = await a.actor.call("map", fd, mappedBytes, { writable: true });
    await a.actor.call("close", fd);
    await round.warm((hand) => content(round, hand));
    for (let times = 0; times < 2; times++) {
      const offset = round.random.below(mappedBytes - 100);
      const bytes = Buffer.from(`${times === 0 ? "stored" : "stored again"} ${String(round.number)}`);
      await a.actor.call("store", mapping, bytes, offset);
      subject.content = overlay(subject.content, bytes, offset);
      await round.see((hand) => content(round, hand));
    }
    await a.actor.call("unmap", mapping);
  },
};

async function mappingReads(round: Round, { asksSize }: { asksSize: boolean }): Promise<void> {
  const { a, b, subject } = round;
  subject.content = piece(round, mappedBytes);
  await a.actor.call("writeWhole", a.path(subject.name), subject.content);
  const fd = await b.actor.call("open", b.path(subject.name), O.RDONLY);
  // Loads behind what the kernel takes for the end would be SIGBUS.
  if (asksSize) await b.actor.call("fstat", fd);
  const mapping = await b.actor.call("map", fd, mappedBytes, { writable: false });
  const loads = (): Look[] => [
    {
      what: "load from a mapping",
      look: () => b.actor.call("load", mapping, mappedBytes, 0),
      expected: subject.content,
    },
  ];
  await round.warm(loads);
  for (let times = 0; times < 2; times++) {
    await throughOpenFile(round, async (writing) => {
      const offset = round.random.below(mappedBytes - 100);
      const bytes = Buffer.from(`${times === 0 ? "first" : "second"} ${String(round.number)}`);
      await a.actor.call("pwrite", writing, bytes, offset);
      subject.content = overlay(subject.content, bytes, offset);
      await round.seeThere(loads());
    });
  }
  await b.actor.call("unmap", mapping);
  await b.actor.call("close", fd);
}
