/** The namespaces of extended attributes (xattr(7)): which there are, decided alike at the client and the name server. */
import { FsError } from "../base/errno.ts";
import { nameToText, type Name } from "../base/name.ts";
import { aclXattrs } from "./acl.ts";

export type XattrKind = "user" | "trusted" | "security" | "accessAcl" | "defaultAcl";

const prefixed = ["user", "trusted", "security"] as const;

/** EOPNOTSUPP for a name of another namespace, EINVAL for a prefix alone. */
export function xattrKindOf(name: Name): XattrKind {
  if (name === aclXattrs.access) return "accessAcl";
  if (name === aclXattrs.default) return "defaultAcl";
  for (const kind of prefixed) {
    if (!name.startsWith(`${kind}.`)) continue;
    if (name.length === kind.length + 1) throw new FsError("EINVAL", `xattr ${name} has no name behind its prefix`);
    return kind;
  }
  throw new FsError("EOPNOTSUPP", `xattr ${nameToText(name)}`);
}
