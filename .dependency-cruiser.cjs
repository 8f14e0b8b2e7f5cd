/** Who may import whom: the table of src/README.md. A folder that is not named in `may` imports nothing of ours. */
const may = {
  base: [],
  rpc: ["base"],
  protocol: ["base"],
  fuse: ["base"],
  security: ["base"],
  journal: ["base"],
  "metadata-store": ["base", "journal"],
  "block-store": ["base"],
  remote: ["base", "rpc", "protocol"],
  cache: ["base", "protocol", "remote"],
  vfs: ["base", "protocol", "cache", "remote"],
  "name-server": ["base", "rpc", "protocol", "journal", "metadata-store"],
  "storage-node": ["base", "rpc", "protocol", "journal", "block-store"],
};

const rules = Object.entries(may).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import only: ${allowed.join(", ") || "nothing"}`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: {
    path: "^src/",
    pathNot: [`^src/(${[folder, ...allowed].join("|")})/`, ...(folder === "vfs" ? ["^src/fuse/operations\\.ts$"] : [])],
  },
}));

module.exports = {
  forbidden: [
    ...rules,
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: "(/types|\\.d)\\.ts$" },
      to: {},
    },
    { name: "src-not-test", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default"] },
  },
};
