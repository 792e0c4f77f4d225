import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";

/**
 * The folder with a model as transformers writes it: config.json, model.safetensors and, with a side, four ONNX graphs.
 * It is written anew where it is older than the checkpoint.
 *
 * @param source a checkpoint folder, or base or large
 * @param side of the images that the graphs take, in pixels; undefined for no graphs
 * @throws {Florence2Error} `dependency_missing` if Python or its packages are
 */
export function ensureGraphs(source: string, side: number | undefined, folder: string): void {
  const complete = join(folder, side === undefined ? "saved" : "complete");
  const weights = join(source, "model.safetensors");
  const newest = existsSync(weights) ? statSync(weights).mtimeMs : 0;
  if (existsSync(complete) && statSync(complete).mtimeMs > newest) return;
  process.stdout.write(`writing ${source} to ${folder}, which takes minutes with ONNX graphs\n`);
  rmSync(complete, { force: true });
  const script = side === undefined ? ["checkpoint", source] : ["peers", source, String(side)];
  const args = ["tests/reference/run", ...script, folder];
  const { status, error } = spawnSync("bash", args, { stdio: ["ignore", 2, 2] });
  if (error || status !== 0)
    throw new Florence2Error(
      "dependency_missing",
      `The model can't be written for Python's peers: bash ${args.join(" ")}: ${error?.message ?? `exit ${status}`}. It needs Python 3.10 or newer; FLORENCE2_REFERENCE_PYTHON may name one that has the packages of tests/reference/requirements.txt.`,
      { source, folder },
      error,
    );
  writeFileSync(complete, "");
}
