/** Maps a file, removes it, closes it, lets the kernel's caches go, and reads and stores through the mapping: map-removed.ts PATH */
import { writeFileSync } from "node:fs";
import { O } from "../conformance/libc/constants.ts";
import { Mapping } from "../conformance/libc/mapping.ts";
import { sys } from "../conformance/libc/sys.ts";

const path = process.argv[2] ?? "";
const bytes = 1 << 20;
const fd = sys.open(path, O.RDWR | O.CREAT | O.TRUNC);
for (let at = 0; at < bytes; at += 4096) sys.pwrite(fd, Buffer.alloc(4096, at / 4096), at);
sys.fsync(fd);
const map = new Mapping(fd, bytes, { shared: true, writable: true });
sys.unlink(path);
sys.close(fd);
map.bytes.fill(0xaa, 8192, 12_288);
map.sync();
writeFileSync("/proc/sys/vm/drop_caches", "3");
const wrong: number[] = [];
for (let page = 0; page < bytes / 4096; page++) {
  const wanted = page === 2 ? 0xaa : page & 0xff;
  if (!map.bytes.subarray(page * 4096, page * 4096 + 4096).every((byte) => byte === wanted)) wrong.push(page);
}
map.unmap();
console.log(wrong.length === 0 ? "same" : `wrong pages: ${wrong.join(" ")}`);
