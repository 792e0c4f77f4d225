import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type BlockDtype, isBlockDtype } from "../../core/dtypes/quantization.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import { BYTES_PER_ELEMENT, elementsOf } from "../../core/tensor.ts";
import type { Files, Source } from "../../files/files.ts";
import { type OpenModelOptions, openModelFiles } from "../../files/open_model_files.ts";
import { openModel } from "../../model/loading/open_model.ts";
import type { FlorenceCheckpoint } from "../../model/weights/checkpoint.ts";
import { deviceDtype, isLinear, shapeInBlocks } from "../../model/weights/dtypes.ts";
import { SHARED_EMBEDDING, type Shape, TABLE_COPIES } from "../../model/weights/expected_tensors.ts";
import { areEqual, pieces } from "../../model/weights/loader.ts";

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
/** Data begin at a multiple of this many bytes, as the format's own writer has it. */
const ALIGNMENT = 8;
const LENGTH_BYTES = 8;

export interface QuantizeOptions extends OpenModelOptions {
  readonly dtype: BlockDtype;
  /** Called after each piece with the bytes written and the bytes in all. */
  readonly onWritten?: (written: number, total: number) => void;
}

/** One tensor of the file to be written. */
interface Target {
  readonly name: string;
  /** Under Microsoft's layout. */
  readonly shape: Shape;
  readonly held: "f32" | "f16" | BlockDtype;
  readonly entry: {
    readonly dtype: string;
    readonly shape: Shape;
    readonly data_offsets: readonly [number, number];
  };
}

/**
 * Writes a model's folder with the matrices of linear layers and the token table in blocks of 8 or 4 bits, as rows of
 * U32, and everything else as it is; adapters are merged. Matrices are read and written in pieces. The folder gets its
 * name when it is complete.
 *
 * @returns the bytes of the weights
 * @throws {Florence2Error} `option_invalid` if the folder exists or the model is in blocks already; what openModel throws
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
  const { checkpoint } = await openModel(source, options);
  const unfinished = join(dirname(folder), `.${basename(folder)}.${process.pid}.part`);
  try {
    const targets = targetsOf(checkpoint, await storedOnce(checkpoint), dtype);
    await mkdir(unfinished, { recursive: true });
    await copyFiles(await openModelFiles(source, [], options), unfinished);
    const bytes = await writeWeights(
      join(unfinished, "model.safetensors"),
      targets,
      checkpoint,
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

function targetsOf(checkpoint: FlorenceCheckpoint, names: readonly string[], dtype: BlockDtype): Target[] {
  let end = 0;
  return names.map((name) => {
    const { shape, dtype: stored } = checkpoint.tensors.get(name)!;
    if (stored === "Q8" || stored === "Q4") {
      const message = `${quote(name)} is in blocks already, as ${stored}. Begin with the model that this was made of.`;
      throw new Florence2Error("option_invalid", message, { name, found: stored });
    }
    const held = isLinear(name, shape) ? deviceDtype(name, shape, dtype) : stored === "F16" ? "f16" : "f32";
    const inBlocks = isBlockDtype(held);
    const storedShape = inBlocks ? shapeInBlocks(shape, held) : shape;
    const start = end;
    end += elementsOf(storedShape) * (held === "f16" ? 2 : BYTES_PER_ELEMENT);
    const entry = {
      dtype: inBlocks ? "U32" : held.toUpperCase(),
      shape: storedShape,
      data_offsets: [start, end],
    } as const;
    return { name, shape, held, entry };
  });
}

async function writeWeights(
  path: string,
  targets: readonly Target[],
  checkpoint: FlorenceCheckpoint,
  onWritten: (written: number, total: number) => void,
): Promise<number> {
  const total = targets.at(-1)!.entry.data_offsets[1];
  const file = await open(path, "wx");
  try {
    await file.writeFile(headerOf(targets));
    let written = 0;
    for (const { name, shape, held } of targets) {
      for (const [from, to] of pieces(shape)) {
        const { buffer, byteOffset, byteLength } = await checkpoint.readPacked(name, from, to, held);
        await file.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
        written += byteLength;
        onWritten(written, total);
      }
    }
    await file.sync();
    return total;
  } finally {
    await file.close();
  }
}

/** The length of the header, and the header, filled up with spaces. */
function headerOf(targets: readonly Target[]): Uint8Array {
  const entries = targets.map(({ name, entry }) => [name, entry] as const);
  const json = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(" ".charCodeAt(0));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
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
