/** One storage node's copy of the journal, called as a name server does. */
import type { ClusterId } from "../../src/base/ids.ts";
import type { Disk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openIdentity } from "../../src/block-store/identity.ts";
import { batchBytes, encodeRecord, headerBytes, lastIndex, splitRecords } from "../../src/journal/journal-record.ts";
import { origin, type Position } from "../../src/journal/position.ts";
import type { JournalState } from "../../src/protocol/journal-methods.ts";
import { WithPayload, type Hello } from "../../src/rpc/types.ts";
import { JournalKeeper } from "../../src/storage-node/journal-keeper.ts";

export const cluster = "00000000000000cc" as ClusterId;
export const claim = { epoch: 1, server: "00000000000000aa" };
export const begun = { ...claim, base: origin, bytes: 0, crc: 0, offset: 0, start: { first: 1, predecessor: 0 } };

/** Records as a name server makes them, one after the other. */
export function record(after: Position, value: string, batches = 1, epoch = 1): { bytes: Buffer; end: Position } {
  const changes = Array.from({ length: batches }, () => [["key", Buffer.from(value)]] as const);
  const length = changes.reduce((sum, batch) => sum + batchBytes(batch), headerBytes);
  const bytes = Buffer.alloc(length);
  const crc = encodeRecord(bytes, {
    ...{ epoch, first: after.index + 1, durable: after.index, predecessor: after.crc, length },
    batches: changes,
  });
  return { bytes, end: { epoch, index: after.index + batches, crc } };
}

/** One node's part, called as a name server does. */
export class TestKeeper<D extends Disk = Disk> {
  readonly disk: D;
  readonly keeper: JournalKeeper;
  released = 0;

  private constructor(disk: D, keeper: JournalKeeper) {
    this.disk = disk;
    this.keeper = keeper;
  }

  static async open<D extends Disk>(disk: D, fileBytes = 64 * 1024): Promise<TestKeeper<D>> {
    const identity = await openIdentity(disk, seededRandom(3));
    const keeper = await JournalKeeper.open({ disk, identity, log: silentLog, fileBytes });
    return new TestKeeper(disk, keeper);
  }

  async call(
    method: string,
    request: object,
    payload = Buffer.alloc(0),
    role: Hello["role"] = "name-server",
  ): Promise<unknown> {
    const handler = this.keeper.handlers[method as "journalState"] as (request: unknown, context: unknown) => unknown;
    const peer = { remote: { role, id: "test", versions: [1] } };
    const answer = await handler(request, {
      peer,
      payload: { bytes: payload, release: () => this.released++ },
      signal: new AbortController().signal,
    });
    return answer instanceof WithPayload ? Buffer.concat(answer.payload) : answer;
  }

  state(): Promise<JournalState> {
    return this.call("journalState", {}) as Promise<JournalState>;
  }

  raise(epoch = 1, server = claim.server): Promise<unknown> {
    return this.call("raiseEpoch", { epoch, server, cluster, address: null });
  }

  async begin(): Promise<void> {
    await this.raise();
    await this.call("putJournalBase", begun);
  }

  async append(after: Position, ...records: { bytes: Buffer; end: Position }[]): Promise<Position> {
    const payload = Buffer.concat(records.map(({ bytes }) => bytes));
    const { end } = (await this.call("appendJournal", { ...claim, after }, payload)) as { end: Position };
    return end;
  }

  async indices(first = 1, by = claim): Promise<number[]> {
    const found: number[] = [];
    for (let next = first; ;) {
      const records = splitRecords((await this.call("readJournal", { ...by, first: next })) as Buffer) ?? [];
      const fresh = records.filter(({ header }) => lastIndex(header) >= next);
      if (fresh.length === 0) return found;
      for (const { header } of fresh) for (let i = 0; i < header.batches; i++) found.push(header.first + i);
      next = (found.at(-1) as number) + 1;
    }
  }
}
