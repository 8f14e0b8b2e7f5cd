/**
 * What each file of a history has held, one version after the other, and which of them may be there after a crash.
 *
 * The unit is the whole write() call: it is there or it is not. That holds for the writes of these histories, which are
 * one request of the kernel each (up to 256 KiB) within one 4 MiB stretch of the file; a longer write may end at the
 * border of a request or stretch.
 */
import { createHash } from "node:crypto";
import { isNamespaceChange, type Action, type Operation } from "./history.ts";
import { Namespace, type FileNode } from "./namespace.ts";

/** The content from an operation on, until the next one that changes it. */
export interface Version {
  readonly at: number;
  readonly digest: string;
}

/** `bytes` undefined: cut or extended to `offset`. */
interface Change {
  readonly at: number;
  readonly offset: number;
  readonly bytes: Buffer | undefined;
}

/** If the operation `unless` is in the prefix (undefined: in any case), the content is not older than of operation `at`. */
interface Floor {
  readonly at: number;
  readonly when: number | undefined;
  readonly why: string;
}

interface Story {
  readonly changes: Change[];
  readonly floors: Floor[];
  /** It was longer than nothing, was cut to nothing, and nothing was closed since. */
  cut: boolean;
  versions: Version[] | undefined;
}

export interface Contents {
  /** The last namespace change that an fsync has made durable; -1: none. */
  readonly barrier: number;
  /** The versions of a file that may be there when the names are those after operation `prefix`. */
  allowed(file: FileNode, prefix: number): readonly Version[];
  /** For messages. */
  explain(file: FileNode, prefix: number, digest: string): string;
  /** Content that has been written since this version: how many operations. */
  behind(file: FileNode, version: Version): number;
}

/** @param fill what the write of this number wrote, borrowed */
export function contentsOf(
  operations: readonly Operation[],
  fill: (index: number, length: number) => Buffer,
): Contents {
  const stories = new Map<number, Story>();
  const names = new Namespace();
  let lastChange = -1;
  let barrier = -1;
  /** By operation: the last namespace change before it. */
  const changeBefore: number[] = [];

  const storyOf = (file: FileNode): Story => {
    const known = stories.get(file.made);
    if (known !== undefined) return known;
    const story: Story = {
      changes: [{ at: file.made, offset: 0, bytes: undefined }],
      floors: [],
      cut: false,
      versions: undefined,
    };
    stories.set(file.made, story);
    return story;
  };
  const require = (file: FileNode, when: number | undefined, why: string): void => {
    const story = storyOf(file);
    story.floors.push({ at: story.changes.at(-1)?.at ?? 0, when, why });
  };
  const change = (file: FileNode, made: Change): void => {
    storyOf(file).changes.push(made);
  };

  const note = (index: number, action: Action, count: number, isKnown: boolean): void => {
    switch (action.type) {
      case "write": {
        const { file } = names.handle(action.handle);
        if (count > 0) change(file, { at: index, offset: action.offset ?? file.size, bytes: fill(index, count) });
        return;
      }
      case "truncate":
      case "open": {
        const file = action.type === "open" ? names.at(action.path) : names.handle(action.handle).file;
        const size = action.type === "truncate" ? action.size : action.cut ? 0 : undefined;
        if (file?.type !== "file" || size === undefined) return;
        if (size === 0 && file.size > 0) storyOf(file).cut = true;
        // Also when the size stays: it may set times.
        change(file, { at: index, offset: size, bytes: undefined });
        return;
      }
      case "close": {
        const { file } = names.handle(action.handle);
        const story = storyOf(file);
        const isRewritten = story.cut && story.changes.at(-1)?.bytes !== undefined;
        if (isRewritten && isKnown) require(file, undefined, "closed after it was cut to nothing and written");
        story.cut = false;
        return;
      }
      case "rename": {
        const [source, target] = [names.at(action.from), names.at(action.to)];
        const isReplacing = target !== undefined && target !== source;
        if (source?.type === "file" && isReplacing) require(source, index, "renamed over another one");
        return;
      }
      case "fsync":
        if (isKnown) require(names.handle(action.handle).file, undefined, "fsynced");
        if (isKnown) barrier = lastChange;
        return;
      case "fsyncdir":
        if (isKnown) barrier = lastChange;
        return;
      case "create":
      case "mkdir":
      case "symlink":
      case "link":
      case "unlink":
      case "rmdir":
      case "chmod":
      case "utimes":
        return;
    }
  };

  for (const { index, action, result } of operations) {
    changeBefore.push(lastChange);
    if (result.type === "refused") continue;
    const count = result.type === "done" ? result.count : action.type === "write" ? action.length : 0;
    note(index, action, count, result.type === "done");
    names.apply(index, action, count);
    if (isNamespaceChange(action)) lastChange = index;
  }

  const floorOf = (story: Story, prefix: number): Floor => {
    const first: Floor = { at: story.changes[0]?.at ?? 0, when: undefined, why: "made" };
    return story.floors
      .filter(({ when }) => when === undefined || when <= prefix)
      .reduce((highest, floor) => (floor.at > highest.at ? floor : highest), first);
  };
  /** Nothing is there that was written after a change that is not. */
  const isKnownBy = (version: Version, file: FileNode, prefix: number): boolean =>
    version.at === file.made || (changeBefore[version.at] ?? -1) <= prefix;

  return {
    barrier,
    allowed(file, prefix) {
      const story = storyOf(file);
      const floor = floorOf(story, prefix).at;
      return versionsOf(story).filter((version) => version.at >= floor && isKnownBy(version, file, prefix));
    },
    explain(file, prefix, digest) {
      const story = storyOf(file);
      const had = versionsOf(story).filter((version) => version.digest === digest);
      const floor = floorOf(story, prefix);
      const last = String(story.changes.at(-1)?.at);
      if (had.length === 0) return `it never had this content (last changed by ${last})`;
      const which = had.map(({ at }) => String(at)).join(", ");
      return `it has the content of operation ${which}; ${floor.why} with that of ${String(floor.at)}, last changed by ${last}`;
    },
    behind(file, version) {
      return storyOf(file).changes.filter(({ at }) => at > version.at).length;
    },
  };
}

function versionsOf(story: Story): readonly Version[] {
  if (story.versions !== undefined) return story.versions;
  const ends = story.changes.map(({ offset, bytes }) => offset + (bytes?.length ?? 0));
  const content = Buffer.alloc(Math.max(...ends));
  let size = 0;
  story.versions = story.changes.map(({ at, offset, bytes }) => {
    if (bytes === undefined) {
      if (offset < size) content.fill(0, offset, size);
      size = offset;
    } else {
      bytes.copy(content, offset);
      size = Math.max(size, offset + bytes.length);
    }
    return { at, digest: digestOf(content.subarray(0, size)) };
  });
  return story.versions;
}

export function digestOf(content: Buffer): string {
  return `${String(content.length)} bytes ${createHash("sha1").update(content).digest("hex").slice(0, 20)}`;
}
