/**
 * Names are bytes, not text. A `Name` is a string in which every character stands for one byte (U+0000 to U+00FF,
 * "latin1"): it compares as its bytes compare, serves as a Map key, and converts to bytes and back exactly.
 */
import { FsError } from "./errno.ts";
import { limits } from "./limits.ts";

declare const brand: unique symbol;
/** One directory entry's name: 1 to 255 bytes, any but `/` and NUL, neither `.` nor `..`. */
export type Name = string & { readonly [brand]: "Name" };

export function nameFromBytes(bytes: Buffer): Name {
  return checkName(bytes.toString("latin1"));
}

export function nameToBytes(name: Name): Buffer {
  return Buffer.from(name, "latin1");
}

/** For people and logs: the bytes read as UTF-8. Not reversible. */
export function nameToText(name: Name): string {
  return nameToBytes(name).toString("utf8");
}

export function nameFromText(text: string): Name {
  return nameFromBytes(Buffer.from(text, "utf8"));
}

/** Returns its argument, or throws ENAMETOOLONG or EINVAL. */
export function checkName(value: string): Name {
  if (value.length > limits.nameBytesMax) {
    throw new FsError("ENAMETOOLONG", `a name of ${String(value.length)} bytes`);
  }
  if (!isName(value)) throw new FsError("EINVAL", `not a name: ${JSON.stringify(value)}`);
  return value;
}

// eslint-disable-next-line no-control-regex -- NUL is what a name must not contain
const valid = /^[\u0001-\u002e\u0030-\u00ff]{1,255}$/;
export function isName(value: unknown): value is Name {
  return typeof value === "string" && valid.test(value) && value !== "." && value !== "..";
}
