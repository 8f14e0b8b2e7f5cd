/**
 * Branded identifiers: a bare number is never an inode, a handle, a block or an offset.
 * They are made here, after a check, and nowhere else.
 */
import { assert } from "./assert.ts";

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Inode number: 1 is the root, at most 2^53 - 1, never reused. The FUSE nodeid is the ino. */
export type Ino = Branded<number, "Ino">;
/** One mounted client, named by the name server: 16 hexadecimal digits. */
export type SessionId = Branded<string, "SessionId">;
/** A storage node, named by itself at its first start: 16 hexadecimal digits, kept in its folder. */
export type NodeId = Branded<string, "NodeId">;
/** One cluster, named by the name server at its first start: 16 hexadecimal digits. */
export type ClusterId = Branded<string, "ClusterId">;
/** Placement group: 0 to 65,535. */
export type GroupId = Branded<number, "GroupId">;
/** An open file or directory of one mount, handed to the kernel as fh. */
export type Handle = Branded<number, "Handle">;

/** An immutable piece of content: the group says on which nodes, the number (48 bits) which one. Never reused. */
export interface BlockId {
  readonly group: GroupId;
  readonly number: number;
}

export const rootIno = 1 as Ino;
export const blockNumberMax = 2 ** 48 - 1;

export function toIno(value: number): Ino {
  assert(isIno(value), `not an inode number: ${String(value)}`);
  return value;
}
export function isIno(value: unknown): value is Ino {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

export function toGroupId(value: number): GroupId {
  assert(isGroupId(value), `not a group: ${String(value)}`);
  return value;
}
export function isGroupId(value: unknown): value is GroupId {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}

export function toHandle(value: number): Handle {
  assert(Number.isSafeInteger(value) && value >= 0, `not a handle: ${String(value)}`);
  return value as Handle;
}

const hex16 = /^[0-9a-f]{16}$/;
export function isSessionId(value: unknown): value is SessionId {
  return typeof value === "string" && hex16.test(value);
}
export function isNodeId(value: unknown): value is NodeId {
  return typeof value === "string" && hex16.test(value);
}
export function isClusterId(value: unknown): value is ClusterId {
  return typeof value === "string" && hex16.test(value);
}

export function blockName(block: BlockId): string {
  return `${String(block.group)}/${String(block.number)}`;
}
