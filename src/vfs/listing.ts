/**
 * One stretch of a directory's listing as the server gave it, and where a reader goes on in it. Cookies are hashes of
 * names: entries of equal hash come together in one page, and a cookie alone would not tell between them, so a page
 * remembers how many of the equal ones were taken.
 */
import type { Listing } from "./dentry-cache.ts";
import type { Ino } from "../base/ids.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";

export type ListedEntry = ReturnType<NameServerMethods["readdir"]["reply"]>["entries"][number];

export interface ListingPage {
  readonly entries: readonly ListedEntry[];
  readonly parent: Ino;
  /** The directory ends with this page. */
  readonly end: boolean;
  readonly plus: boolean;
  /** When it was asked for. */
  readonly since: number;
  /** It has what follows this cookie... */
  readonly after: number;
  /** ...and the reader has taken this many, */
  taken: number;
  /** the last of which had this cookie. */
  cookie: number;
}

/** Pages without a gap from the beginning of a directory on. */
export interface WholeListing {
  /** When the first one was asked for. */
  readonly since: number;
  /** The cookie that the next one has to follow. */
  next: number;
  readonly names: Listing;
}

/** Cookies of the two entries that every directory starts with; the server's are greater. */
export const dotCookie = 1;
export const dotDotCookie = 2;

/** Names of the entries at the end of what was taken that share the last cookie with what comes next. */
export function takenTwins(page: ListingPage): readonly string[] {
  const { entries, taken } = page;
  const next = entries[taken];
  if (taken === 0 || next?.cookie !== page.cookie) return [];
  const twins: string[] = [];
  for (let at = taken - 1; at >= 0 && entries[at]?.cookie === page.cookie; at--) twins.push(entries[at]?.name ?? "");
  return twins;
}
