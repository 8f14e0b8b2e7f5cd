import js from "@eslint/js";
import tseslint from "typescript-eslint";

const injected = "is injected (clock, random): take it by constructor";

export default tseslint.config(
  { ignores: ["dist", "coverage", "node_modules", ".cache", ".dfs"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      "@typescript-eslint/no-invalid-void-type": "off",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  {
    // The whole cluster has to run under a simulated clock, network and disk.
    files: ["src/**/*.ts"],
    ignores: ["src/base/clock.ts", "src/base/random.ts", "src/cli/**"],
    rules: {
      "no-restricted-globals": [
        "error",
        { name: "setTimeout", message: `Time ${injected}` },
        { name: "setInterval", message: `Time ${injected}` },
        { name: "performance", message: `Time ${injected}` },
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: `Time ${injected}` },
        { object: "Math", property: "random", message: `Randomness ${injected}` },
        { object: "process", property: "hrtime", message: `Time ${injected}` },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `Time ${injected}` },
      ],
    },
  },
  {
    // Tables of calls, each expected to fail: `() => sys.unlink(path)` reads better without braces.
    files: ["test/conformance/**/*.ts"],
    rules: {
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreVoidReturningFunctions: true }],
    },
  },
  {
    files: ["**/*.js", "**/*.mjs", "**/*.cjs"],
    languageOptions: {
      globals: Object.fromEntries(
        ["process", "console", "Buffer", "URL", "performance", "setTimeout", "clearTimeout", "module"].map((name) => [
          name,
          "readonly",
        ]),
      ),
    },
  },
);
