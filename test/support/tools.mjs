// Programs that some tests need, and the Debian package that has each.
import { existsSync } from "node:fs";
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
];

export function hasTool(name) {
  const command = tools.find((tool) => tool.name === name)?.command ?? name;
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, command)));
}

export function missingTools() {
  return tools.filter((tool) => !hasTool(tool.name));
}
