/** What journal records are made of. */

/** A key: bytes as a latin1 string (one character a byte), so that it compares as its bytes do. 1 to 511 bytes. */
export type Key = string;

/** Null removes. Values are at most 16,300 bytes; the store adds and checks their CRC. The store takes the buffers. */
export type Change = readonly [key: Key, value: Buffer | null];
