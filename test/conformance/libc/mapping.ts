import koffi from "koffi";
import { call, lastError, libc, raw } from "./calls.ts";
import { MAP } from "./constants.ts";

const mmapRaw = libc.func(
  "void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)",
);
/** A mapping of a file. Reading past the end of the file would be SIGBUS: callers don't. */
export class Mapping {
  readonly #address: unknown;
  readonly #length: number;
  constructor(fd: number, length: number, options: { shared: boolean; writable: boolean; offset?: number }) {
    const protection = MAP.READ | (options.writable ? MAP.WRITE : 0);
    this.#address = mmapRaw(
      null,
      length,
      protection,
      options.shared ? MAP.SHARED : MAP.PRIVATE,
      fd,
      options.offset ?? 0,
    ) as unknown;
    if (koffi.address(this.#address) === 0xffff_ffff_ffff_ffffn) {
      throw lastError("mmap");
    }
    this.#length = length;
  }
  /** The mapped memory itself: loads and stores through it. */
  get bytes(): Buffer {
    return Buffer.from(koffi.view(this.#address, this.#length));
  }
  sync(): void {
    call("msync", raw.msync, this.#address, this.#length, MAP.MS_SYNC);
  }
  unmap(): void {
    call("munmap", raw.munmap, this.#address, this.#length);
  }
}
