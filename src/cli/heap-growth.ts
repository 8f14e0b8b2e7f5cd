/**
 * For processes that move file content. V8 counts the memory of buffers that come and go (each read of a socket makes
 * one) as growth of its heap, and collects all of it whenever a small heap has grown by 16 MiB: 20 major collections for
 * 268 MB read, a third of the client's CPU time. Here it may grow to a multiple that V8 allows itself for other heaps
 * (at most 4 times). V8 reads this flag at each collection, so it may be set while running.
 */
import { setFlagsFromString } from "node:v8";

const growthPercent = 300;

export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${String(growthPercent)}`);
}
