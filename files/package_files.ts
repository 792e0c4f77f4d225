import { fileURLToPath } from "node:url";

/** From this file to the package's own folder: in `dist/`, in the compiled bench, or in the sources. */
const up = (["/dist/", "/.cache/bench/"] as const).reduce(
  (path, folder) => (import.meta.url.includes(folder) ? "../".repeat(folder.split("/").length - 1) : path),
  "../",
);
const home = new URL(up, import.meta.url);

/** The path of a file of this package, or of its checkout: `packageFile("package.json")`. */
export const packageFile = (name: string) => fileURLToPath(new URL(name, home));
