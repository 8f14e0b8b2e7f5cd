/** Steps that change, read and sync what is in files. */
import { open, type PathClient } from "../vfs/path-client.ts";
import type { ModelFile } from "./own-model.ts";
import { changing, type Own, type Step } from "./own-step.ts";

const [fd, heldFd] = [901, 902];
const readBytesMax = 1 << 20;

export function truncate(own: Own, path: string, size: number): Step {
  const file = own.model.file(path);
  return changing(own, {
    what: `truncate ${path} ${String(size)}`,
    run: (client) => client.truncate(own.base + path, size),
    expected: () => {
      const content = Buffer.alloc(size);
      file.versions.at(-1)?.copy(content);
      file.versions.push(content);
    },
  });
}

export function write(own: Own, path: string, { offset, bytes }: { offset: number; bytes: Buffer }): Step {
  const file = own.model.file(path);
  const size = file.versions.at(-1)?.length ?? 0;
  return changing(own, {
    what: `write ${path} ${String(bytes.length)} at ${String(offset)}`,
    run: async (client) => {
      await client.open(fd, own.base + path, open.readWrite);
      await client.write(fd, offset, bytes);
      await client.close(fd);
    },
    expected: () => {
      const after = Buffer.alloc(Math.max(size, offset + bytes.length));
      file.versions.at(-1)?.copy(after);
      bytes.copy(after, offset);
      file.versions.push(after);
    },
  });
}

export function stat(own: Own, path: string): Step {
  const file = own.model.file(path);
  return {
    what: `stat ${path}`,
    run: async (client) => {
      const { size, nlink } = await client.stat(own.base + path);
      return { size, nlink };
    },
    expected: () => ({ size: file.versions.at(-1)?.length, nlink: own.model.links(file) }),
  };
}

export function read(own: Own, path: string): Step {
  const file = own.model.file(path);
  return {
    what: `read ${path}`,
    run: async (client) => textOf(await readAll(client, own.base + path, readBytesMax)),
    expected: () => textOf(file.versions.at(-1)),
  };
}

/** Opens the one file that stays open until `drop`, whatever becomes of its names. */
export function hold(own: Own, path: string): Step {
  return { what: `hold ${path}`, run: (client) => client.open(heldFd, own.base + path, 0), expected: () => undefined };
}

export function readHeld(held: ModelFile): Step {
  return {
    what: "read what is held",
    run: async (client) => textOf(await client.read(heldFd, 0, readBytesMax)),
    expected: () => textOf(held.versions.at(-1)),
  };
}

export function drop(): Step {
  return { what: "drop what is held", run: (client) => client.close(heldFd), expected: () => undefined };
}

export function fsync({ base, model }: Own, path: string): Step {
  const file = model.file(path);
  return {
    what: `fsync ${path}`,
    run: async (client) => {
      const moment = model.moment();
      await client.open(fd, base + path, open.readWrite);
      await client.fsync(fd);
      model.isSynced(moment, file);
      await client.close(fd);
    },
    expected: () => undefined,
  };
}

export function sync({ model }: Own): Step {
  return {
    what: "sync",
    run: async (client) => {
      const moment = model.moment();
      await client.syncAll();
      model.isSynced(moment);
    },
    expected: () => undefined,
  };
}

export async function readAll(client: PathClient, path: string, bytes: number): Promise<Buffer> {
  await client.open(fd, path, 0);
  try {
    return await client.read(fd, 0, bytes);
  } finally {
    await client.close(fd);
  }
}

function textOf(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString("latin1");
}
