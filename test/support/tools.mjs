// Programs and libraries that some tests need, and the Debian package that has each.
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

export const tools = [
  { name: "fio", package: "fio" },
  { name: "stress-ng", package: "stress-ng" },
  { name: "sqlite3", package: "sqlite3" },
  { name: "setfattr", package: "attr" },
  { name: "setfacl", package: "acl" },
  { name: "rsync", package: "rsync" },
  { name: "git", package: "git" },
  { name: "gcc", package: "gcc" },
  { name: "python3", package: "python3" },
  { name: "vim", package: "vim-tiny", command: "vim.tiny" },
  { name: "ip", package: "iproute2" },
  { name: "iptables", package: "iptables" },
  { name: "dockerd", package: "docker.io" },
  { name: "mkfs.ext4", package: "e2fsprogs" },
  { name: "docker-compose", package: "docker-compose" },
  { name: "debootstrap", package: "debootstrap" },
  { name: "libfuse2", package: "libfuse2", library: "libfuse.so.2" },
];

export function hasTool(name) {
  const tool = tools.find((candidate) => candidate.name === name);
  if (tool?.library !== undefined) return hasLibrary(tool.library);
  const command = tool?.command ?? name;
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, command)));
}

/** In /lib itself, or in the folder of an architecture (/lib/x86_64-linux-gnu). */
function hasLibrary(file) {
  return ["/lib", "/lib64", "/usr/local/lib", ...readdirSync("/lib").map((folder) => join("/lib", folder))].some(
    (folder) => existsSync(join(folder, file)),
  );
}

export function missingTools() {
  return tools.filter((tool) => !hasTool(tool.name));
}
