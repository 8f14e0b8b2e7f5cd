import koffi from "koffi";
import { cstring, lastError, libc, raw, type Path } from "./calls.ts";

const opendirRaw = libc.func("void *opendir(const uint8_t *path)");
const readdirRaw = libc.func("void *readdir64(void *dir)");
const telldirRaw = libc.func("long telldir(void *dir)");
const seekdirRaw = libc.func("void seekdir(void *dir, long position)");
const rewinddirRaw = libc.func("void rewinddir(void *dir)");

export interface DirectoryEntry {
  readonly ino: bigint;
  readonly offset: bigint;
  readonly type: number;
  readonly name: string;
}

/** An open DIR*. Names are latin1: one character a byte. */
export class Directory {
  readonly #dir: unknown;
  constructor(path: Path) {
    this.#dir = opendirRaw(cstring(path)) as unknown;
    if (this.#dir === null) throw lastError("opendir");
  }
  read(): DirectoryEntry | undefined {
    const entry = readdirRaw(this.#dir) as unknown;
    if (entry === null) return undefined;
    const head = Buffer.from(koffi.decode(entry, "uint8_t", 19) as Uint8Array);
    const length = head.readUInt16LE(16);
    const bytes = Buffer.from(koffi.decode(entry, "uint8_t", length) as Uint8Array);
    const end = bytes.indexOf(0, 19);
    return {
      ino: bytes.readBigUInt64LE(0),
      offset: bytes.readBigInt64LE(8),
      type: bytes[18] ?? 0,
      name: bytes.toString("latin1", 19, end),
    };
  }
  readAll(): DirectoryEntry[] {
    const all: DirectoryEntry[] = [];
    for (let entry = this.read(); entry !== undefined; entry = this.read()) all.push(entry);
    return all;
  }
  tell(): number | bigint {
    return telldirRaw(this.#dir) as number | bigint;
  }
  seek(position: number | bigint): void {
    seekdirRaw(this.#dir, position);
  }
  rewind(): void {
    rewinddirRaw(this.#dir);
  }
  close(): void {
    raw.closedir(this.#dir);
  }
}
