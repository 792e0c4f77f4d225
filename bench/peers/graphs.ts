import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";

/**
 * The folder with a model as transformers writes it: config.json, model.safetensors and four ONNX graphs. It is
 * written anew where it is older than the checkpoint.
 *
 * @param source a checkpoint folder, or base or large
 * @param side of the pictures, in pixels
 * @throws {Florence2Error} `dependency_missing` if Python or its packages are
 */
export function ensureGraphs(source: string, side: number, folder: string): void {
  const complete = join(folder, "complete");
  const weights = join(source, "model.safetensors");
  const newest = existsSync(weights) ? statSync(weights).mtimeMs : 0;
  if (existsSync(complete) && statSync(complete).mtimeMs > newest) return;
  process.stdout.write(`writing ONNX graphs of ${source} to ${folder}, which takes minutes\n`);
  rmSync(complete, { force: true });
  const args = ["tests/reference/run", "peers", source, String(side), folder];
  const { status, error } = spawnSync("bash", args, { stdio: ["ignore", 2, 2] });
  if (error || status !== 0)
    throw new Florence2Error(
      "dependency_missing",
      `The ONNX graphs can't be written: bash ${args.join(" ")}: ${error?.message ?? `exit ${status}`}. It needs Python 3.10 or newer; FLORENCE2_REFERENCE_PYTHON may name one that has the packages of tests/reference/requirements.txt.`,
      { source, folder },
      error,
    );
  writeFileSync(complete, "");
}
