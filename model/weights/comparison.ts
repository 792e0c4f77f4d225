import { BITS, type BlockDtype } from "../../core/dtypes/quantization.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import type { TensorFile } from "../../files/tensors/tensor_file.ts";
import type { Florence2Config } from "../config/config.ts";
import { isLinear, isWeightDtype, quantizedDtype, shapeInBlocks } from "./dtypes.ts";
import { OPTIONAL_TENSORS, type Shape } from "./expected_tensors.ts";
import { type Layout, listed, storedName, storedShape } from "./layouts.ts";

/**
 * Compares names, shapes and dtypes of a file with what a configuration needs. Tensors that the model has no place for
 * are reported to `warn`, as long as nothing else is wrong.
 *
 * @throws {Florence2Error} checkpoint_mismatch with the first few differences
 */
export function checkTensors(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
  stored: ReadonlyMap<string, string>,
  config: Florence2Config,
  warn: (message: string) => void,
): void {
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [name, shape] of expected) {
    const found = file.tensors.get(stored.get(name) ?? "");
    const wanted = storedShape(name, shape, layout);
    if (!found) {
      if (!OPTIONAL_TENSORS.includes(name)) missing.push(quote(storedName(name, layout)));
    } else if (quantizedDtype(found, name, wanted)) {
      // As `florence2 quantize` writes it.
    } else if (found.dtype === "U32" && isLinear(name, wanted)) {
      const forms = Object.keys(BITS).map(
        (form) => `[${shapeInBlocks(wanted, form as BlockDtype)}] for ${form}`,
      );
      wrong.push(
        `${quote(stored.get(name))} in U32 with shape [${found.shape}] instead of ${forms.join(" or ")}`,
      );
    } else if (String(found.shape) !== String(wanted) || found.shape.length !== wanted.length) {
      wrong.push(`${quote(stored.get(name))} with shape [${found.shape}] instead of [${wanted}]`);
    } else if (!isWeightDtype(found.dtype)) {
      wrong.push(`${quote(stored.get(name))} in ${found.dtype} instead of F32, F16 or BF16`);
    }
  }
  const known = new Set(stored.values());
  const unknown = [...file.tensors.keys()].filter((name) => !known.has(name)).map(quote);
  if (missing.length + wrong.length === 0) {
    if (unknown.length === 0) return;
    warn(
      `${file.name}: ${fault(unknown, "is no part of Florence-2 and not read", "are no parts of Florence-2 and not read", 10)}`,
    );
    return;
  }
  const faults = [
    fault(missing, "is missing", "are missing"),
    fault(unknown, "is unknown", "are unknown"),
    fault(wrong, "does not fit", "do not fit"),
  ].filter((text) => text !== "");
  const owner = layout === "microsoft" ? "Microsoft" : "transformers";
  const message = `${file.name}, in the layout of ${owner}, does not fit config.json. ${faults.join(" ")}`;
  throw new Florence2Error("checkpoint_mismatch", `${message}${otherSize(file, layout, config)}`, {
    file: file.name,
    layout,
    missing,
    unknown,
    wrong,
  });
}

/** A remark if the weights are of another size of the model than the configuration. */
function otherSize(file: TensorFile, layout: Layout, config: Florence2Config): string {
  const patches = file.tensors.get(storedName("vision_tower.convs.0.proj.weight", layout));
  const norm = file.tensors.get(storedName("image_proj_norm.weight", layout));
  const weights = sizeName(patches?.shape[0], norm?.shape[0]);
  const configured = sizeName(config.vision.embedDim[0], config.text.dModel);
  if (weights === undefined || weights === configured) return "";
  return ` The configuration is of ${configured}, the weights are of ${weights}.`;
}

function sizeName(firstWidth: number | undefined, dModel: number | undefined): string | undefined {
  if (firstWidth === undefined || dModel === undefined) return undefined;
  if (firstWidth === 128 && dModel === 768) return "Florence-2 base";
  if (firstWidth === 256 && dModel === 1024) return "Florence-2 large";
  return `a model with a first stage of ${firstWidth} channels and d_model ${dModel}`;
}

function fault(items: readonly string[], one: string, several: string, max = 3): string {
  if (items.length === 0) return "";
  return `${items.length} ${items.length === 1 ? `tensor ${one}` : `tensors ${several}`}: ${listed(items, max)}.`;
}
