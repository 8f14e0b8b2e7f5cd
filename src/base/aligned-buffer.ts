/**
 * Memory that begins at a page's boundary, as O_DIRECT wants it. V8 maps the memory of a resizable ArrayBuffer page by
 * page (that of an ordinary one comes from malloc, 16 bytes behind a boundary). Filled with zeros, never moved.
 */
type Resizable = new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;

export function alignedBuffer(bytes: number): Buffer {
  return Buffer.from(new (ArrayBuffer as Resizable)(bytes, { maxByteLength: bytes }), 0, bytes);
}
