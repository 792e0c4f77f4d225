/**
 * The two layouts in use, Microsoft's (microsoft/Florence-2-*) and that of transformers (florence-community/Florence-2-*).
 * They differ in names, in the order of the axes of the image projection, and in what is stored twice or not at all.
 * Everything outside of this folder uses Microsoft's names.
 */
import { Florence2Error, quote } from "../../core/errors.ts";
import type { TensorFile } from "../../files/tensors/tensor_file.ts";
import {
  IMAGE_PROJECTION,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  type Shape,
  TABLE_COPIES,
} from "./expected_tensors.ts";

export type Layout = "microsoft" | "transformers";

/** The changes from Microsoft's names to those of transformers, in the order in which they are made. */
const RENAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision_tower\.convs\.(\d+)\.proj\./, "vision_tower.convs.$1.conv."],
  [/\.fn\.dw\./, "."],
  [/\.(?:window|channel)_attn\.norm\./, ".norm1."],
  [/\.(window|channel)_attn\.fn\./, ".$1_attn."],
  [/\.ffn\.norm\./, ".norm2."],
  [/\.ffn\.fn\.net\./, ".ffn."],
  [/^image_projection$/, "multi_modal_projector.image_projection.weight"],
  [/^image_proj_norm\./, "multi_modal_projector.image_proj_norm."],
  [/^image_pos_embed\./, "multi_modal_projector.image_position_embed."],
  [/^visual_temporal_embed\./, "multi_modal_projector.visual_temporal_embed."],
  [/^language_model\.model\./, "language_model."],
];

/** The name under which a layout stores a tensor. */
export function storedName(name: string, layout: Layout): string {
  if (layout === "microsoft") return name;
  if (name === OUTPUT_HEAD) return "lm_head.weight";
  return `model.${RENAMES.reduce((renamed, [from, to]) => renamed.replace(from, to), name)}`;
}

/** The shape in which a layout stores a tensor. */
export function storedShape(name: string, shape: Shape, layout: Layout): Shape {
  return isTransposed(name, layout) ? [...shape].reverse() : shape;
}

/** Whether a layout stores a matrix with its axes in the other order. */
export function isTransposed(name: string, layout: Layout): boolean {
  return layout === "transformers" && name === IMAGE_PROJECTION;
}

/**
 * A file whose tensors have the names of the model, without what wrappers put before them when it was saved from
 * within one: `module.` by data parallelism, `_orig_mod.` by torch.compile.
 */
export function withoutWrappers(file: TensorFile, warn: (message: string) => void): TensorFile {
  const stored = new Map([...file.tensors.keys()].map((name) => [unwrapped(name), name]));
  const renamed = [...stored].filter(([name, original]) => name !== original);
  if (renamed.length === 0 || stored.size < file.tensors.size) return file;
  const [name, original] = renamed[0]!;
  warn(
    `${file.name} was saved from within a wrapper: ${renamed.length} tensors are read without its prefix, ` +
      `such as ${quote(original)} as ${quote(name)}.`,
  );
  return {
    ...file,
    tensors: new Map([...stored].map(([name, original]) => [name, file.tensors.get(original)!])),
    read: (name, range, into) => file.read(stored.get(name) ?? name, range, into),
  };
}

/** `module._orig_mod.model.x` → `model.x` */
function unwrapped(name: string): string {
  return name.replace(/^(?:module\.)+/, "").replace(/(^|\.)_orig_mod\.(?:module\.)?/g, "$1");
}

/** The layout in which the file has most of the names that are expected. */
export function recogniseLayout(file: TensorFile, expected: ReadonlyMap<string, Shape>): Layout {
  const count = (layout: Layout) =>
    [...expected.keys()].filter((name) => file.tensors.has(storedName(name, layout))).length;
  const [microsoft, transformers] = [count("microsoft"), count("transformers")];
  if (microsoft + transformers > 0) return microsoft >= transformers ? "microsoft" : "transformers";
  throw new Florence2Error(
    "checkpoint_mismatch",
    `${file.name} holds no weights of Florence-2, neither under Microsoft's names nor under those of transformers. ` +
      `Found ${listed([...file.tensors.keys()].map(quote))}.`,
    { file: file.name, found: [...file.tensors.keys()].slice(0, 3) },
  );
}

/** Name in the file for each expected tensor that it holds. */
export function storedNames(
  file: TensorFile,
  layout: Layout,
  expected: ReadonlyMap<string, Shape>,
): ReadonlyMap<string, string> {
  const stored = new Map<string, string>();
  for (const name of expected.keys()) {
    if (file.tensors.has(storedName(name, layout))) stored.set(name, storedName(name, layout));
  }
  // Writers choose which of several tied tensors they store: any of them is the token table.
  const table = [SHARED_EMBEDDING, ...TABLE_COPIES].find((name) => stored.has(name));
  if (table) stored.set(SHARED_EMBEDDING, stored.get(table)!);
  return stored;
}

/** The first few of some items, and how many more there are: `listed(["a", "b", "c", "d"])` → `a, b, c, and 1 more` */
export function listed(items: readonly string[], max = 3): string {
  const more = items.length > max ? `, and ${items.length - max} more` : "";
  return items.length === 0 ? "nothing" : items.slice(0, max).join(", ") + more;
}
