import test from "ava";
import { linesOf } from "../../src/cli/load.ts";

async function split(...chunks: Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(pieces(chunks))) lines.push(line);
  return lines;
}

async function* pieces(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

test("lines end at line feeds alone, however the bytes arrive", async (t) => {
  const text = "first\u2028 with é\r\n\nthird\nlast";
  const bytes = Buffer.from(text);
  t.deepEqual(await split(bytes), text.split("\n"));
  t.deepEqual(await split(...[...bytes].map((byte) => Buffer.from([byte]))), text.split("\n"));
  t.deepEqual(await split(), []);
  await t.throwsAsync(split(Buffer.alloc(2 ** 20, 65), Buffer.from("more")), { message: /EINVAL/ });
});
