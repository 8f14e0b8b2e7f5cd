/** Content of files that is told beside that of another one. */
import test, { type ExecutionContext } from "ava";
import { rootIno, type Ino } from "../../src/base/ids.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { startCluster, type Client, type Cluster } from "./cluster.ts";
import { createFile, from, lookup, name, writing } from "./mount.ts";

const count = 40;
const fileName = (i: number): string => `file ${String(i)}`;
const contentOf = (i: number, round = 0): string =>
  `content ${String(i)} of round ${String(round)} `.repeat(1 + (i % 50));

interface World {
  readonly cluster: Cluster;
  readonly writer: Client;
  readonly reader: Client;
  readonly folder: Ino;
  /** How often the reader asked for content. */
  readonly asked: () => number;
}

/** `alone`: nobody else has leases of the files. */
async function world(t: ExecutionContext, { alone = false } = {}): Promise<World> {
  const cluster = await startCluster(t);
  const writer = await cluster.mount("writer");
  const { attributes } = await writer.operations.mkdir(from(), rootIno, name("folder"), { mode: 0o755, umask: 0 });
  for (let i = 0; i < count; i++) await put(writer.operations, attributes.ino, i, contentOf(i));
  await writer.operations.syncfs(from(), rootIno);
  if (alone) await writer.operations.stop();
  const reader = await cluster.mount("reader");
  let asked = 0;
  const { nameServer } = reader;
  const ask = nameServer.ask.bind(nameServer);
  Object.assign(nameServer, {
    ask: (method: "readExtents" | "lookup", ...rest: [never]) => {
      if (method === "readExtents") asked++;
      return ask(method, ...rest);
    },
  });
  await lookup(reader.operations, "folder", rootIno);
  const { handle } = await reader.operations.opendir(from(), attributes.ino, 0);
  await reader.operations.readdir(from(), attributes.ino, handle, 0, true, () => true);
  return { cluster, writer, reader, folder: attributes.ino, asked: () => asked };
}

async function put(operations: Operations, folder: Ino, i: number, content: string): Promise<void> {
  const { entry, opened } = await createFile(operations, fileName(i), { parent: folder });
  await operations.write(from(), entry.attributes.ino, opened.handle, 0, Buffer.from(content), writing);
  await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
}

async function content(operations: Operations, folder: Ino, i: number): Promise<string> {
  const { attributes } = await lookup(operations, fileName(i), folder);
  const { handle } = await operations.open(from(), attributes.ino, 0, false);
  const result = await operations.read(from(), attributes.ino, handle, 0, 100_000, true);
  const text = Buffer.concat(result.pieces).toString();
  result.release?.();
  await operations.release(from(), attributes.ino, handle, undefined);
  return text;
}

test("who reads a directory's files asks for few of them by themselves", async (t) => {
  const { reader, folder, asked } = await world(t, { alone: true });
  for (let i = 0; i < count; i++) t.is(await content(reader.operations, folder, i), contentOf(i));
  t.true(asked() < count / 3, `asked ${String(asked())} times`);
});

test("what was told of a file that is changed elsewhere is forgotten", async (t) => {
  const { writer, reader, folder } = await world(t);
  const ino: Ino[] = [];
  for (let i = 0; i < count; i++) ino.push((await lookup(writer.operations, fileName(i), folder)).attributes.ino);
  for (let i = 0; i < count; i++) {
    // One that the reader has most likely been told of, and not read.
    const other = (i * 7 + 5) % count;
    const { handle } = await writer.operations.open(from(), ino[other] as Ino, 2, false);
    const changed = contentOf(other, i + 1);
    await writer.operations.write(from(), ino[other] as Ino, handle, 0, Buffer.from(changed), writing);
    await writer.operations.release(from(), ino[other] as Ino, handle, undefined);
    t.is((await content(reader.operations, folder, other)).slice(0, changed.length), changed);
    t.true((await content(reader.operations, folder, i)).startsWith("content "));
  }
});

test("what is written here while it is being told stays", async (t) => {
  const { reader, folder } = await world(t, { alone: true });
  const { operations } = reader;
  await content(operations, folder, 0);
  const telling = content(operations, folder, 1);
  const written = await Promise.all(
    Array.from({ length: count - 2 }, async (_, at) => {
      const i = at + 2;
      const { attributes } = await lookup(operations, fileName(i), folder);
      const { handle } = await operations.open(from(), attributes.ino, 2, false);
      await operations.write(from(), attributes.ino, handle, 0, Buffer.from("new"), writing);
      await operations.release(from(), attributes.ino, handle, undefined);
      return i;
    }),
  );
  await telling;
  for (const i of written) t.is(await content(operations, folder, i), `new${contentOf(i).slice(3)}`);
});

test("a directory of which only few are read is not told of more and more", async (t) => {
  const { reader, folder } = await world(t, { alone: true });
  const told: number[] = [];
  const ask = reader.nameServer.ask.bind(reader.nameServer);
  Object.assign(reader.nameServer, {
    ask: async (method: "readExtents" | "lookup", request: { along?: unknown[] }, ...rest: [never]) => {
      if (method === "readExtents") told.push(request.along?.length ?? 0);
      return ask(method, request as never, ...rest);
    },
  });
  for (let i = 0; i < 30; i++) {
    const { attributes } = await lookup(reader.operations, fileName(i % 3), folder);
    const { handle } = await reader.operations.open(from(), attributes.ino, 0, false);
    await reader.operations.read(from(), attributes.ino, handle, 0, 10, true);
    await reader.vfs.events.handlers.recallLeases({ recalls: [] }, {} as never);
  }
  t.true(told.reduce((sum, n) => sum + n, 0) <= 128 + 64, told.join());
});
