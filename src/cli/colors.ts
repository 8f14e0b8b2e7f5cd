/** Colors for people at a terminal: what goes into a pipe or a file has none, whatever the environment says of CI. */
import { isatty } from "node:tty";
import picocolors from "picocolors";

/** `hasColors` knows NO_COLOR and terminals that have none; FORCE_COLOR does not count where there is no terminal. */
export const colors = picocolors.createColors(isatty(1) && process.stdout.hasColors());
