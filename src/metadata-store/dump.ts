/**
 * A dump: a header line, a line for each record in the order of the keys, a manifest. DUMP.md describes it.
 *
 *   {"dump":"dfs metadata","format":1,"cluster":...,"epoch":...,"index":...}
 *   {"table":...}                                       see dump-line.ts
 *   {"manifest":{"records":...,"tables":{...},"checksum":...}}
 *
 * The checksum is the CRC-32 of all lines between header and manifest with their line feeds: two dumps of one content
 * differ in their header only.
 */
import { checksum } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import { lineOf, recordOf, tableOf } from "./dump-line.ts";
import { keys } from "./keys.ts";
import type { Change, PinnedState } from "./types.ts";

const format = 1;
const kind = "dfs metadata";
/** Told in one go: about 1 ms of the thread. */
const pageBytes = 8 * 1024;

export interface DumpHeader {
  readonly cluster: string;
  readonly epoch: number;
  readonly index: number;
}

/** Lines in pieces of a few KiB, of which each is UTF-8 and ends with a line feed. `epoch`: that of the name server. */
export function* dumpPieces(state: PinnedState, epoch: number): Generator<Buffer, undefined> {
  const { index } = state.position;
  const cluster = state.get(keys.config("cluster"))?.toString("hex") ?? "";
  yield Buffer.from(`${JSON.stringify({ dump: kind, format, cluster, epoch, index })}\n`);
  const sum = new Sum();
  for (let after = ""; ;) {
    const page = state.page(after, pageBytes);
    const last = page.at(-1);
    if (last === undefined) break;
    yield Buffer.concat(page.map(([key, value]) => sum.add(lineOf(key, value))));
    after = last[0];
  }
  yield Buffer.from(`${JSON.stringify({ manifest: sum.manifest() })}\n`);
}

/** Takes a dump apart line by line; says at its end whether it was whole. */
export class DumpReader {
  readonly #sum = new Sum();
  #header: DumpHeader | undefined;
  #isWhole = false;
  #lines = 0;

  /** What a line (without its line feed) puts into the store; undefined: nothing. Throws EINVAL, naming the line. */
  line(line: string): Change | undefined {
    this.#lines++;
    if (this.#header === undefined) {
      this.#header = this.#readHeader(line);
      return undefined;
    }
    if (this.#isWhole) throw this.#wrong("something follows the manifest");
    if (line.startsWith('{"manifest":')) {
      if (line !== JSON.stringify({ manifest: this.#sum.manifest() })) {
        throw this.#wrong(
          "the manifest does not match what is before it: the dump was changed, or part of it is missing",
        );
      }
      this.#isWhole = true;
      return undefined;
    }
    let record: Change;
    try {
      record = recordOf(line);
    } catch (cause) {
      throw this.#wrong("it is not as dfs dump writes it", cause);
    }
    this.#sum.add(line);
    return record;
  }

  /** Throws EINVAL unless everything was there. */
  finish(): DumpHeader {
    if (this.#header === undefined) throw new FsError("EINVAL", "the dump is empty");
    if (!this.#isWhole) throw this.#wrong("the dump ends without its manifest: it was cut off");
    return this.#header;
  }

  #readHeader(line: string): DumpHeader {
    let header: unknown;
    try {
      header = JSON.parse(line);
    } catch (cause) {
      throw this.#wrong("this is no dump of dfs", cause);
    }
    const { dump, format: written, cluster, epoch, index } = header as Record<string, unknown>;
    if (dump !== kind) throw this.#wrong("this is no dump of dfs");
    if (written !== format) throw this.#wrong(`the dump has format ${String(written)}: use a version that knows it`);
    if (typeof cluster !== "string" || !Number.isSafeInteger(epoch) || !Number.isSafeInteger(index)) {
      throw this.#wrong("the header is not whole");
    }
    return { cluster, epoch: epoch as number, index: index as number };
  }

  #wrong(why: string, cause?: unknown): FsError {
    return new FsError("EINVAL", `line ${String(this.#lines)}: ${why}`, { cause });
  }
}

class Sum {
  #records = 0;
  readonly #tables = new Map<string, number>();
  #checksum = 0;

  /** The line as it is written. */
  add(line: string): Buffer {
    const bytes = Buffer.from(`${line}\n`);
    this.#records++;
    const table = tableOf(line);
    this.#tables.set(table, (this.#tables.get(table) ?? 0) + 1);
    this.#checksum = checksum(bytes, this.#checksum);
    return bytes;
  }

  manifest(): object {
    return {
      records: this.#records,
      tables: Object.fromEntries([...this.#tables].sort()),
      checksum: this.#checksum.toString(16).padStart(8, "0"),
    };
  }
}
