import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";

/** Larger files count by size and date: to read them would take long. */
const READ_BYTES = 32 * 2 ** 20;

/** What tells files from others in their place. */
export function fingerprint(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${basename(path)} ${size}\n`);
    hash.update(size <= READ_BYTES ? readFileSync(path) : `${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Of weights and configuration in a folder, beside which other files may stand; null for a model on a hub. */
export function modelFingerprint(model: string): string | null {
  if (!existsSync(model)) return null;
  if (!statSync(model).isDirectory()) return fingerprint([model]);
  const names = readdirSync(model).filter((name) => /\.(json|txt|safetensors|bin)$/.test(name));
  return fingerprint(names.sort().map((name) => join(model, name)));
}
