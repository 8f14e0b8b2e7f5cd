/**
 * Who a storage node is, in the file `node.json` of its folder: its own id (made at the first start), the cluster that
 * it belongs to (for ever, once adopted) and the highest name-server epoch it has obeyed. The file is replaced as a whole,
 * and carries a checksum over the other fields.
 */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { isClusterId, isNodeId, type ClusterId, type NodeId } from "../base/ids.ts";
import { randomId, type Random } from "../base/random.ts";
import { replaceInPlace, settleReplaced } from "../base/replace-file.ts";

const path = "node.json";
const format = 1;

export interface NodeIdentity {
  readonly node: NodeId;
  /** Null until the first registration. */
  readonly cluster: ClusterId | null;
  readonly epoch: number;
  /** Durable when it resolves. Rejects with EPERM when the node belongs to another cluster. */
  adopt(cluster: ClusterId): Promise<void>;
  /** Durable when it resolves. Rejects with ESTALE when a higher epoch has been seen. */
  obey(epoch: number): Promise<void>;
}

interface Fields {
  readonly node: NodeId;
  readonly cluster: ClusterId | null;
  readonly epoch: number;
}

/** Reads the folder's identity, or makes one in a new folder. Rejects with EIO when the file is damaged. */
export async function openIdentity(disk: Disk, random: Random): Promise<NodeIdentity> {
  let fields: Fields;
  await settleReplaced(disk, path);
  if (await disk.exists(path)) fields = await load(disk);
  else {
    fields = { node: randomId(random) as NodeId, cluster: null, epoch: 0 };
    await save(disk, fields);
  }
  /** Changes one after the other: the file has one temporary name. */
  let last: Promise<void> = Promise.resolve();
  const change = (next: (now: Fields) => Fields): Promise<void> => {
    const result = last.then(async () => {
      const changed = next(fields);
      if (changed === fields) return;
      await save(disk, changed);
      fields = changed;
    });
    last = result.catch(() => undefined);
    return result;
  };
  return {
    get node() {
      return fields.node;
    },
    get cluster() {
      return fields.cluster;
    },
    get epoch() {
      return fields.epoch;
    },
    adopt: (cluster) =>
      change((now) => {
        if (now.cluster === cluster) return now;
        if (now.cluster === null) return { ...now, cluster };
        throw new FsError(
          "EPERM",
          `node ${now.node} belongs to cluster ${now.cluster}, not to ${cluster}: give it a folder of its own`,
        );
      }),
    obey: (epoch) =>
      change((now) => {
        if (epoch === now.epoch) return now;
        if (epoch > now.epoch) return { ...now, epoch };
        throw new FsError("ESTALE", `epoch ${String(epoch)} is over: node ${now.node} has seen ${String(now.epoch)}`);
      }),
  };
}

async function load(disk: Disk): Promise<Fields> {
  const file = await disk.open(path, "open");
  let text: string;
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    text = bytes.toString("utf8");
  } finally {
    await file.close();
  }
  const damaged = (cause?: unknown): FsError =>
    new FsError("EIO", `${disk.root}/${path} is damaged: restore it, or give the node an empty folder`, { cause });
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(cause);
  }
  const { node, cluster, epoch, crc } = value;
  if (value["format"] !== format) throw damaged();
  if (!isNodeId(node) || !(cluster === null || isClusterId(cluster)) || !Number.isSafeInteger(epoch)) throw damaged();
  const fields: Fields = { node, cluster, epoch: epoch as number };
  if (crc !== sumOf(fields)) throw damaged();
  return fields;
}

function save(disk: Disk, fields: Fields): Promise<void> {
  return replaceInPlace(disk, path, Buffer.from(`${JSON.stringify({ format, ...fields, crc: sumOf(fields) })}\n`));
}

function sumOf(fields: Fields): string {
  const text = [format, fields.node, fields.cluster, fields.epoch].join(" ");
  return checksum(Buffer.from(text)).toString(16).padStart(8, "0");
}
