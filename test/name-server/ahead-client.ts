/** Batches of the ahead log as a client would send them, for tests that tell one short story. */
import type { Ino } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { AheadEntry } from "../../src/protocol/ahead.ts";
import type { NameServerMethods } from "../../src/protocol/name-server.ts";
import type { ReplyOf } from "../../src/rpc/types.ts";
import { root, rootIno, TestClient, TestCluster } from "./support.ts";

export type Applied = ReplyOf<NameServerMethods, "applyAhead">;

/** The time at which all entries here were answered, unless they say another one. */
export const answeredAt = 1_600_000_000_123_456_789n;

const at = { time: answeredAt };
const creation = { caller: root, umask: 0o022 };

export const entries = {
  create: (ino: Ino, text: string, parent = rootIno): AheadEntry => ({
    ...{ method: "create", ...at, ino },
    request: { ...creation, parent, name: nameFromText(text), mode: 0o100644 },
  }),
  mkdir: (ino: Ino, text: string, parent = rootIno): AheadEntry => ({
    ...{ method: "mkdir", ...at, ino },
    request: { ...creation, parent, name: nameFromText(text), mode: 0o40755 },
  }),
  symlink: (ino: Ino, text: string, parent = rootIno): AheadEntry => ({
    ...{ method: "symlink", ...at, ino },
    request: { ...creation, parent, name: nameFromText(text), target: Buffer.from("target") },
  }),
  unlink: (text: string, parent = rootIno, keep = false): AheadEntry => ({
    ...{ method: "unlink", ...at },
    request: { caller: root, parent, name: nameFromText(text), keep },
  }),
  rmdir: (text: string, parent = rootIno): AheadEntry => ({
    ...{ method: "rmdir", ...at },
    request: { caller: root, parent, name: nameFromText(text), keep: false },
  }),
  rename: (from: string, to: string, parent = rootIno, newParent = parent): AheadEntry => ({
    ...{ method: "rename", ...at },
    request: {
      ...{ caller: root, parent, name: nameFromText(from), newParent, newName: nameFromText(to) },
      ...{ flags: 0, keep: false },
    },
  }),
  chmod: (ino: Ino, mode: number): AheadEntry => ({ method: "setattr", ...at, request: { caller: root, ino, mode } }),
  truncate: (ino: Ino, size: number): AheadEntry => ({
    ...{ method: "setattr", ...at },
    request: { caller: root, ino, size },
  }),
  write: (ino: Ino, text: string): AheadEntry => ({
    ...{ method: "writeExtents", ...at },
    request: {
      ino,
      extents: [{ kind: "inline", offset: 0, length: text.length, content: Buffer.from(text) }],
      ...{ epochs: [], size: text.length, append: false, mtime: answeredAt, clearPrivileges: false },
    },
  }),
};

/** The client has the root directory alone, and numbers for new inodes: the first of them. */
export async function goAhead(client: TestClient, count = 1_000): Promise<Ino> {
  await client.call("acquire", { ino: rootIno, level: "exclusive" });
  return (await client.change("reserveInodes", { count }, 9)).first;
}

export function apply(client: TestClient, sequence: number, ...all: AheadEntry[]): Promise<Applied> {
  return client.call("applyAhead", { sequence, entries: all }, { deadlineMillis: Infinity });
}

/** A cluster with one client that is ready to go ahead, and the first of its numbers. */
export async function one(): Promise<{ cluster: TestCluster; client: TestClient; ino: Ino }> {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  return { cluster, client, ino: await goAhead(client) };
}

export async function names(client: TestClient, ino = rootIno): Promise<string[]> {
  const { entries: all } = await client.call("readdir", { ino, cookie: 0, bytesMax: 100_000, plus: false });
  return all.map((entry) => entry.name as string).sort();
}

/** What a refusal has to look like. */
export const errno = (code: string): { message: RegExp } => ({ message: new RegExp(`^${code}`) });

export const plus = (ino: Ino, more: number): Ino => (ino + more) as Ino;
