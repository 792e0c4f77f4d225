import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { BlockDtype } from "../../core/dtypes/quantization.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import type { Files, Source } from "../../files/files.ts";
import { makeFolder } from "../../files/make_folder.ts";
import { type OpenModelOptions, openModelFiles } from "../../files/open_model_files.ts";
import { readModelFiles } from "../../model/loading/read_model_files.ts";
import type { FlorenceCheckpoint } from "../../model/weights/checkpoint.ts";
import { deviceDtype, isLinear } from "../../model/weights/dtypes.ts";
import { SHARED_EMBEDDING, TABLE_COPIES } from "../../model/weights/expected_tensors.ts";
import { areEqual } from "../../model/weights/loader.ts";
import { type WrittenDtype, writeWeights } from "./weights_file.ts";

/** The files of a model's folder beside its weights. */
const OTHER_FILES = [
  "config.json",
  "generation_config.json",
  "preprocessor_config.json",
  "processor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
];

export interface QuantizeOptions extends OpenModelOptions {
  readonly dtype: BlockDtype;
  /** Called after each piece with the bytes written and the bytes in all. */
  readonly onWritten?: (written: number, total: number) => void;
}

/**
 * Writes a model's folder with the matrices of linear layers and the token table in blocks of 8 or 4 bits, as rows of
 * U32, and everything else as it is; adapters are merged. Matrices are read and written in pieces. The folder gets its
 * name when it is complete.
 *
 * @returns the bytes of the weights
 * @throws {Florence2Error} `option_invalid` if the folder exists or the model is in blocks already; what readModelFiles throws
 */
export async function writeQuantized(
  source: Source,
  folder: string,
  options: QuantizeOptions,
): Promise<number> {
  const { dtype, onWritten, signal } = options;
  if (await stat(folder).catch(() => undefined)) {
    throw new Florence2Error("option_invalid", `${folder} exists. Choose a folder that does not.`, {
      folder,
    });
  }
  const { checkpoint } = await readModelFiles(source, options);
  const unfinished = join(dirname(folder), `.${basename(folder)}.${process.pid}.part`);
  try {
    const dtypes = dtypesOf(checkpoint, await storedOnce(checkpoint), dtype);
    makeFolder(unfinished);
    await copyFiles(await openModelFiles(source, [], options), unfinished);
    const bytes = await writeWeights(
      join(unfinished, "model.safetensors"),
      checkpoint,
      dtypes,
      (written, total) => {
        signal?.throwIfAborted();
        onWritten?.(written, total);
      },
    );
    await rename(unfinished, folder);
    return bytes;
  } finally {
    await checkpoint.close();
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** The tensors to be written: without the copies of the token table that have no values of their own. */
async function storedOnce(checkpoint: FlorenceCheckpoint): Promise<string[]> {
  const names: string[] = [];
  for (const name of checkpoint.tensors.keys()) {
    const isCopy = TABLE_COPIES.includes(name) && (await areEqual(checkpoint, name, SHARED_EMBEDDING));
    if (!isCopy) names.push(name);
  }
  return names;
}

/** How each tensor is held in the file. */
function dtypesOf(
  { tensors }: FlorenceCheckpoint,
  names: readonly string[],
  dtype: BlockDtype,
): ReadonlyMap<string, WrittenDtype> {
  return new Map(
    names.map((name) => {
      const { shape, dtype: stored } = tensors.get(name)!;
      if (stored === "Q8" || stored === "Q4") {
        const message = `${quote(name)} is in blocks already, as ${stored}. Begin with the model that this was made of.`;
        throw new Florence2Error("option_invalid", message, { name, found: stored });
      }
      if (isLinear(name, shape)) return [name, deviceDtype(name, shape, dtype)];
      return [name, stored === "F16" ? "f16" : "f32"];
    }),
  );
}

async function copyFiles(files: Files, folder: string): Promise<void> {
  for (const name of OTHER_FILES) {
    if (!(await files.has(name))) continue;
    const source = await files.open(name);
    const target = await open(join(folder, name), "wx");
    try {
      await target.writeFile(await source.read(0, source.size));
    } finally {
      await source.close();
      await target.close();
    }
  }
}
