/** Steps that make, move, remove and list names. */
import { open } from "../vfs/path-client.ts";
import { changing, type Own, type Step } from "./own-step.ts";

const fd = 901;

export function mkdir(own: Own, path: string): Step {
  return changing(own, {
    what: `mkdir ${path}`,
    run: (client) => client.mkdir(own.base + path, 0o755),
    expected: () => {
      own.model.nodes.set(path, { kind: "folder" });
    },
  });
}

export function create(own: Own, path: string): Step {
  return changing(own, {
    what: `create ${path}`,
    run: async (client) => {
      await client.open(fd, own.base + path, open.readWrite | open.create | open.exclusive);
      await client.close(fd);
    },
    expected: () => {
      own.model.nodes.set(path, { kind: "file", file: own.model.newFile() });
    },
  });
}

export function symlink(own: Own, path: string, target: string): Step {
  return changing(own, {
    what: `symlink ${path}`,
    run: (client) => client.symlink(own.base + path, target),
    expected: () => {
      own.model.nodes.set(path, { kind: "symlink", target });
    },
  });
}

export function link(own: Own, file: string, path: string): Step {
  const { nodes } = own.model;
  const node = nodes.get(file);
  return changing(own, {
    what: `link ${file} ${path}`,
    run: (client) => client.link(own.base + file, own.base + path),
    expected: () => {
      if (node === undefined) return "ENOENT";
      nodes.set(path, node);
      return undefined;
    },
  });
}

export function rename(own: Own, from: string, target: string): Step {
  const { nodes } = own.model;
  return changing(own, {
    what: `rename ${from} ${target}`,
    run: (client) => client.rename(own.base + from, own.base + target),
    expected: () => {
      const moved = nodes.get(from);
      const replaced = nodes.get(target);
      if (moved?.kind === "file" && replaced?.kind === "file" && moved.file === replaced.file) return;
      for (const [path, node] of [...nodes]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        nodes.delete(path);
        nodes.set(target + path.slice(from.length), node);
      }
    },
  });
}

export function unlink(own: Own, path: string): Step {
  return changing(own, {
    what: `unlink ${path}`,
    run: (client) => client.unlink(own.base + path),
    expected: () => (own.model.nodes.delete(path) ? undefined : "ENOENT"),
  });
}

export function rmdir(own: Own, path: string): Step {
  const { nodes } = own.model;
  const isFull = [...nodes.keys()].some((other) => other.startsWith(`${path}/`));
  const isThere = nodes.has(path);
  return changing(own, {
    what: `rmdir ${path}`,
    run: (client) => client.rmdir(own.base + path),
    expected: () => {
      if (!isThere) return "ENOENT";
      if (isFull) return "ENOTEMPTY";
      nodes.delete(path);
      return undefined;
    },
  });
}

export function list(own: Own, path: string): Step {
  return {
    what: `list ${path}`,
    run: (client) => client.readdir(own.base + path),
    expected: () =>
      [...own.model.nodes.keys()]
        .filter((other) => other !== "" && other.slice(0, other.lastIndexOf("/")) === path)
        .map((other) => other.slice(path.length + 1))
        .sort(),
  };
}
