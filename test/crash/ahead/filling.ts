/** The bytes of a write, from the seed and the number of the operation: whoever knows both can tell what it wrote. */

const seriesBytes = 4 << 20;
export const writeBytesMax = 256 << 10;

/** Bytes that repeat nowhere nearby: what is in the wrong place shows. */
const series = ((): Buffer => {
  const words = new Uint32Array(seriesBytes / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return Buffer.from(words.buffer);
})();

/** Borrowed from the series. */
export function filling(seed: number, index: number, length: number): Buffer {
  if (length > writeBytesMax) throw new Error(`a write of ${String(length)} bytes`);
  const mixed = Math.imul(seed * 0x10001 + index + 1, 0x9e3779b1) >>> 0;
  const start = mixed % (seriesBytes - writeBytesMax);
  return series.subarray(start, start + length);
}
