import { readFileSync } from "node:fs";

/** A shader or a part of one. */
export interface Shader {
  /** Its path from the project's root, for error messages. */
  readonly file: string;
  readonly text: string;
}

/**
 * The shader in a `.wgsl` file: `wgsl("kernels/add_rows/add_rows.wgsl")`. The sources read the file; the build
 * replaces this module by one that holds the texts of all files (see scripts/build.mjs).
 */
export function wgsl(file: string): Shader {
  return { file, text: readFileSync(new URL(`../${file}`, import.meta.url), "utf8") };
}
