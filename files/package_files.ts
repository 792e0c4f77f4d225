import { fileURLToPath } from "node:url";

/** The package's own folder: above this file in a checkout, one level further up from the compiled one. */
const home = new URL(import.meta.url.includes("/dist/") ? "../../" : "../", import.meta.url);

/** The path of a file of this package, or of its checkout: `packageFile("package.json")`. */
export const packageFile = (name: string) => fileURLToPath(new URL(name, home));
