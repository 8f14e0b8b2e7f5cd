import test from "ava";
import fc from "fast-check";
import { FrameSplitter } from "../../src/rpc/frame-splitter.ts";

interface Frame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: Buffer;
  readonly mask: number | undefined;
}

/** The bytes of a WebSocket frame (RFC 6455, 5.2). */
function encode({ opcode, isFinal, payload, mask }: Frame): Buffer {
  const { length } = payload;
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const head = [(isFinal ? 0x80 : 0) | opcode, (mask === undefined ? 0 : 0x80) | short];
  const lengthBytes = Buffer.alloc(short === 126 ? 2 : short === 127 ? 8 : 0);
  if (lengthBytes.length > 0)
    lengthBytes.writeUIntBE(length, Math.max(0, lengthBytes.length - 6), Math.min(6, lengthBytes.length));
  const maskBytes = Buffer.alloc(mask === undefined ? 0 : 4);
  if (mask !== undefined) maskBytes.writeUInt32LE(mask);
  return Buffer.concat([Buffer.from(head), lengthBytes, maskBytes, payload]);
}

/** Cuts a stream at the given places and collects what comes out of the splitter. */
function run(
  frames: readonly Frame[],
  cuts: readonly number[],
  expects: (dataFrame: number) => boolean,
  fromClient: boolean,
) {
  const stream = Buffer.concat(frames.map(encode));
  const bulk: Buffer[] = [];
  const passed: Buffer[] = [];
  let current: Buffer[] = [];
  let asked = 0;
  const splitter = new FrameSplitter({
    fromClient,
    expectsBulk: () => expects(asked++),
    onBulk: (piece, isLast) => {
      current.push(Buffer.from(piece));
      if (!isLast) return;
      bulk.push(Buffer.concat(current));
      current = [];
    },
    pass: (bytes) => passed.push(Buffer.from(bytes)),
  });
  const places = [...new Set(cuts.map((cut) => cut % stream.length))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, stream.length]) {
    if (to > from) splitter.write(stream.subarray(from, to));
    from = to;
  }
  return { bulk, passed: Buffer.concat(passed) };
}

const frame = fc.record({
  opcode: fc.constantFrom(1, 2, 2, 2, 9),
  isFinal: fc.constant(true),
  payload: fc
    .oneof(fc.uint8Array({ maxLength: 125 }), fc.uint8Array({ minLength: 126, maxLength: 400 }))
    .map((bytes) => Buffer.from(bytes)),
  mask: fc.constantFrom(0, 0, 0x01020304),
});

test("wherever the stream is cut, bulk comes out whole and everything else passes unchanged", (t) => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (frames, cuts) => {
        const { bulk, passed } = run(frames, cuts, (n) => n % 2 === 0, true);
        let asked = 0;
        const expected = { bulk: [] as Buffer[], passed: [] as Buffer[] };
        for (const one of frames) {
          const couldBe = one.opcode === 2 && one.mask === 0 && one.payload.length > 0;
          if (couldBe && asked++ % 2 === 0) expected.bulk.push(one.payload);
          else expected.passed.push(encode(one));
        }
        t.deepEqual(bulk, expected.bulk);
        t.deepEqual(passed, Buffer.concat(expected.passed));
      },
    ),
  );
});

test("a long frame is taken as bulk, one above the bound is left to the WebSocket", (t) => {
  const payload = Buffer.alloc(300_000, 7);
  const long: Frame = { opcode: 2, isFinal: true, payload, mask: undefined };
  t.deepEqual(
    run([long], [1, 5, 9, 70_000], () => true, false),
    { bulk: [payload], passed: Buffer.alloc(0) },
  );
  const tooLong = { ...long, payload: Buffer.alloc(1024 * 1024 + 1) };
  t.is(run([tooLong], [3], () => true, false).bulk.length, 0);
});

test("parts of a message and frames with the wrong mask are never bulk", (t) => {
  const payload = Buffer.from("part");
  const parts: Frame[] = [
    { opcode: 2, isFinal: false, payload, mask: 0 },
    { opcode: 9, isFinal: true, payload, mask: 0 },
    { opcode: 2, isFinal: true, payload, mask: 0 },
  ];
  t.deepEqual(run(parts, [], () => true, true).bulk, []);
  const unmasked: Frame = { opcode: 2, isFinal: true, payload, mask: undefined };
  t.deepEqual(run([unmasked], [], () => true, true).bulk, []);
  t.deepEqual(run([{ ...unmasked, mask: 0 }], [], () => true, false).bulk, []);
});
