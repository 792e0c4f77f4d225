/** `node scripts/build.mjs [bench]`: compiles to `dist/`, or the benches to `.cache/bench/`, shaders beside the code. */
import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./steps.mjs";

const isBench = process.argv[2] === "bench";
const target = join(root, isBench ? ".cache/bench" : "dist");
rmSync(target, { recursive: true, force: true });
const project = isBench ? "tsconfig.bench.json" : "tsconfig.build.json";
run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project]);
for (const folder of isBench ? ["core", "kernels", "bench"] : ["core", "kernels"]) {
  for (const file of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".wgsl")) cpSync(join(root, folder, file), join(target, folder, file));
  }
}
writeFileSync(join(target, ".built"), "");
