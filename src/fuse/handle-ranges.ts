/** Each driver of a mount has handles of its own range, so that those of the drivers before it are known. */

/** Handles of one driver; more than it can ever hand out. */
const handlesOfOneDriver = 2 ** 40;
/** Further drivers would run out of handles. */
export const generationMax = 2 ** 53 / handlesOfOneDriver - 1;

/** Handles below belong to the drivers before the one of this generation (the first is 0). */
export function firstHandleOf(generation: number): number {
  return generation * handlesOfOneDriver;
}
