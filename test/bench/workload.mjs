// node workload.mjs DIR: a few workloads in one directory; prints JSON { name: "value unit" }.
import fs from "node:fs";
import { join } from "node:path";

const dir = join(process.argv[2], `bench-${process.pid}`);
fs.mkdirSync(dir);
const rows = {};
const MB = 1e6;

function timed(name, unit, amount, run) {
  const start = performance.now();
  run();
  const seconds = (performance.now() - start) / 1000;
  const value = amount / seconds;
  rows[name] =
    unit === "ms" ? `${((seconds * 1000) / amount).toFixed(2)} ms` : `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

const block = Buffer.alloc(1 << 20, "0123456789abcdef");
const big = join(dir, "big");
const megabytes = 256;
timed("write + fsync", "MB/s", (megabytes * (1 << 20)) / MB, () => {
  const fd = fs.openSync(big, "w");
  for (let i = 0; i < megabytes; i++) fs.writeSync(fd, block);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
});
timed("read warm", "MB/s", (megabytes * (1 << 20)) / MB, () => {
  const fd = fs.openSync(big, "r");
  while (fs.readSync(fd, block) > 0);
  fs.closeSync(fd);
});
const page = Buffer.alloc(4096, 7);
const fd = fs.openSync(big, "r+");
timed("4 KiB write + fsync each", "ms", 300, () => {
  for (let i = 0; i < 300; i++) {
    fs.writeSync(fd, page, 0, 4096, ((i * 7919) % 65_536) * 4096);
    fs.fdatasyncSync(fd);
  }
});
timed("4 KiB random writes, fsync", "writes/s", 8_000, () => {
  for (let i = 0; i < 8_000; i++) fs.writeSync(fd, page, 0, 4096, ((i * 104_729) % 65_536) * 4096);
  fs.fsyncSync(fd);
});
fs.closeSync(fd);
const count = 1_500;
const paths = Array.from({ length: count }, (_, i) => join(dir, `file-${i}`));
timed("create", "files/s", count, () => {
  for (const path of paths) fs.closeSync(fs.openSync(path, "wx"));
});
timed("stat warm", "stats/s", count * 3, () => {
  for (let i = 0; i < 3; i++) for (const path of paths) fs.statSync(path);
});
timed("open + close", "opens/s", count, () => {
  for (const path of paths) fs.closeSync(fs.openSync(path, "r"));
});
timed("chmod", "files/s", count, () => {
  for (const path of paths) fs.chmodSync(path, 0o600);
});
timed("rename", "files/s", count, () => {
  for (const path of paths) fs.renameSync(path, path + "r");
});
timed("unlink", "files/s", count, () => {
  for (const path of paths) fs.unlinkSync(path + "r");
});
timed("write 4 KiB files", "files/s", count, () => {
  for (const path of paths) fs.writeFileSync(path, page);
});
timed("read them warm", "files/s", count, () => {
  for (const path of paths) fs.readFileSync(path);
});
fs.rmSync(dir, { recursive: true });
console.log(JSON.stringify(rows));
