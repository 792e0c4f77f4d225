import { type ErrorCode, Florence2Error } from "../../core/errors.ts";
import { type Files, isRelativeName, type RangedFile } from "../files.ts";
import { isJsonObject, type JsonValue } from "../json.ts";
import { readPytorchFile } from "./pytorch_file.ts";
import { readSafetensors } from "./safetensors.ts";
import { entryFor, fileInvalid, type TensorEntry, type TensorFile, tensorInvalid } from "./tensor_file.ts";

const INDEX_ENDING = ".index.json";

/**
 * Opens the first of the named files that is there: *.safetensors, *.bin as torch.save writes it, or the
 * *.index.json of either, which stands for all its shards. Throws file_not_found, file_unreadable,
 * safetensors_invalid or pytorch_invalid, and then leaves nothing open.
 */
export async function openWeightFile(files: Files, names: readonly string[]): Promise<TensorFile> {
  let reason: Florence2Error | undefined;
  for (const name of names) {
    const file = await files.open(name).catch(ifMissing);
    if (file instanceof Florence2Error) {
      reason ??= file;
      continue;
    }
    if (!name.endsWith(INDEX_ENDING)) return formatOf(name).read(file);
    await file.close();
    return openShards(files, name);
  }
  // Why there is no first one says where they were looked for.
  const message = `There is none of ${names.join(", ")}. ${reason?.message}`;
  throw new Florence2Error("file_not_found", message, { file: names[0] }, reason);
}

function ifMissing(error: unknown): Florence2Error {
  if (error instanceof Florence2Error && error.code === "file_not_found") return error;
  throw error;
}

interface Format {
  readonly code: ErrorCode;
  readonly read: (file: RangedFile) => Promise<TensorFile>;
  /** Whether the index's total_size is the sum over all tensors: shared storages may count once. */
  readonly sharesNothing: boolean;
}

function formatOf(name: string): Format {
  return /\.bin(\.index\.json)?$/.test(name)
    ? { code: "pytorch_invalid", read: readPytorchFile, sharesNothing: false }
    : { code: "safetensors_invalid", read: readSafetensors, sharesNothing: true };
}

/* Shards. */

const MISPLACED = "is not where weight_map says";

async function openShards(files: Files, index: string): Promise<TensorFile> {
  const format = formatOf(index);
  const { shardOf, totalBytes } = parseIndex(await files.json(index, format.code), index);
  const shards = new Map<string, TensorFile>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const shard of new Set(shardOf.values())) {
      shards.set(shard, await format.read(await files.open(shard)));
    }
    const tensors = mergeShards(shards, shardOf, index);
    if (format.sharesNothing) checkTotal(tensors, totalBytes, index);
    const metadata = new Map([...shards.values()].flatMap((shard) => [...shard.metadata]));
    return {
      name: index,
      tensors,
      metadata,
      async read(name, range, into) {
        entryFor(tensors, name, index);
        return shards.get(shardOf.get(name)!)!.read(name, range, into);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function parseIndex(
  json: JsonValue,
  index: string,
): { shardOf: ReadonlyMap<string, string>; totalBytes: number | undefined } {
  const { code } = formatOf(index);
  const weightMap = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(json) || !isJsonObject(weightMap)) {
    throw fileInvalid(code, index, "has no object weight_map");
  }
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !isRelativeName(shard)) {
      const expected = "the name of a file in the same folder";
      throw tensorInvalid(code, index, name, "has no valid shard", expected, shard);
    }
    shardOf.set(name, shard);
  }
  const totalBytes = isJsonObject(json.metadata) ? json.metadata.total_size : undefined;
  if (totalBytes !== undefined && typeof totalBytes !== "number") {
    throw fileInvalid(code, index, "has a total_size that is not a number", { found: totalBytes });
  }
  return { shardOf, totalBytes };
}

/** All tensors of all shards. The index and the shards must name the same ones, each once. */
function mergeShards(
  shards: ReadonlyMap<string, TensorFile>,
  shardOf: ReadonlyMap<string, string>,
  index: string,
): ReadonlyMap<string, TensorEntry> {
  const { code } = formatOf(index);
  const tensors = new Map<string, TensorEntry>();
  for (const [shard, { tensors: held }] of shards) {
    for (const [name, entry] of held) {
      const mapped = shardOf.get(name);
      if (mapped !== shard) throw tensorInvalid(code, index, name, MISPLACED, mapped ?? "nowhere", shard);
      tensors.set(name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) throw tensorInvalid(code, index, name, MISPLACED, shard, "nowhere");
  }
  return tensors;
}

function checkTotal(
  tensors: ReadonlyMap<string, TensorEntry>,
  expected: number | undefined,
  index: string,
): void {
  const found = [...tensors.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  if (expected === undefined || expected === found) return;
  throw fileInvalid(
    formatOf(index).code,
    index,
    `claims a total_size of ${expected} bytes, but the shards hold ${found}`,
    { expected, found },
  );
}
