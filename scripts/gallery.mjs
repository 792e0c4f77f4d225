/** `npm run gallery`: sets up what is missing, then draws the bundled checkpoint's answers (see commands/gallery.ts). */
import { join } from "node:path";
import { ensureAdapter, ensureBuild, ensurePackages, root } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureAdapter();
const { Florence2 } = await import("../dist/index.js");
const { openDataSet } = await import("../dist/datasets/data_set.js");
const { drawGallery } = await import("../dist/commands/gallery.js");

const nano = join(root, "checkpoints/nano");
const folder = join(root, "examples/gallery");
const model = await Florence2.fromPretrained(nano);
try {
  const files = await drawGallery(model, await openDataSet(join(nano, "heldout/truth.jsonl")), folder);
  console.log(`${files.length} pictures in ${folder}`);
} finally {
  model.dispose();
}
