// The types that are shipped: they compile, the code agrees with them, and they name all there is.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as chroma from "chroma-nb";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const compiler = here("../node_modules/typescript/bin/tsc");
const declarations = readFileSync(here("../types/index.d.ts"), "utf8");

test("code, declarations and a user's TypeScript pass the compiler", { skip: !existsSync(compiler) }, async () => {
  await new Promise((resolve, reject) => {
    execFile(process.execPath, [compiler, "--project", here("../tsconfig.json")], (error, said) =>
      error === null ? resolve(undefined) : reject(new Error(said || String(error))),
    );
  });
});

test("every class is declared, and no other", () => {
  const declared = [...declarations.matchAll(/^export declare class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(chroma).sort(), declared.sort());
});

for (const name of ["ChromaClient", "Collection"]) {
  test(`every method of ${name} is declared, and no other`, () => {
    const [, body] = declarations.match(new RegExp(`class ${name} \\{([^]*?)\n\\}`));
    const declared = new Set([...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, method]) => method));
    declared.add("constructor");
    assert.deepEqual(Object.getOwnPropertyNames(chroma[name].prototype).sort(), [...declared].sort());
  });
}
