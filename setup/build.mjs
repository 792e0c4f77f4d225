/** Compiles `dist/` and puts the shaders beside the code that loads them. */
import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./steps.mjs";

const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
for (const kernel of readdirSync(join(root, "kernels"))) {
  cpSync(join(root, "kernels", kernel), join(dist, "kernels", kernel), {
    recursive: true,
    filter: (path) => !path.endsWith(".ts"),
  });
}
writeFileSync(join(dist, ".built"), "");
