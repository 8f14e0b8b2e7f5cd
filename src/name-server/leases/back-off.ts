/**
 * Inodes that bounce: leases that are taken away as soon as they were given cost more than they bring. After a few
 * recalls in quick succession an inode gives no leases for a while, a longer one each time, and after calm all is
 * forgotten.
 */
import type { InodeLeases, LeaseState } from "./state.ts";

/** Recalls of one inode that follow each other, or the end of a back-off, within this time are a bounce. */
export const bounceMillis = 100;
/** So many bounces are free. */
export const freeBounces = 3;
export const backOffMillisMin = 50;
export const backOffMillisMax = 2_000;
/** Without a recall for so long an inode counts as calm. */
export const calmMillis = 5_000;

/** A lease of the inode is taken away for somebody. */
export function noteRecall(state: LeaseState, inode: InodeLeases, now: number): void {
  const backOff = (inode.backOff ??= { lastRecallAt: -Infinity, bounces: 0, until: -Infinity });
  // Several holders of one inode are recalled at one moment: that is one recall.
  if (now > backOff.lastRecallAt && now - Math.max(backOff.lastRecallAt, backOff.until) < bounceMillis) {
    backOff.bounces++;
    const growth = 2 ** Math.min(backOff.bounces - freeBounces - 1, 16);
    if (backOff.bounces > freeBounces) backOff.until = now + Math.min(backOffMillisMin * growth, backOffMillisMax);
  }
  backOff.lastRecallAt = now;
  state.bouncing.add(inode);
}

export function backsOff(inode: InodeLeases, now: number): boolean {
  return inode.backOff !== undefined && now < inode.backOff.until;
}

/** Forgets that these have bounced, and returns them. */
export function forgetCalm(state: LeaseState, now: number): InodeLeases[] {
  const calm: InodeLeases[] = [];
  // In the order of the last recall; a back-off is shorter than the calm that ends it.
  for (let inode = state.bouncing.first; inode?.backOff !== undefined; inode = state.bouncing.first) {
    if (now - inode.backOff.lastRecallAt < calmMillis) break;
    state.bouncing.delete(inode);
    inode.backOff = undefined;
    calm.push(inode);
  }
  return calm;
}
