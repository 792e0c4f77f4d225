/** npm's own step after `npm install` in a checkout, and before a package is packed or installed from git: builds `dist/`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureBuild, root } from "./steps.mjs";

// Without the development packages (`npm install --omit=dev`) there is nothing to build with.
if (existsSync(join(root, "node_modules/typescript"))) ensureBuild();
