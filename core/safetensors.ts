import { Florence2Error } from "./errors.ts";
import {
  type FileSource,
  type Files,
  isRelativeName,
  type OpenOptions,
  openFile,
  type RangedFile,
} from "./files.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson, quote } from "./json.ts";

/**
 * Reader of the safetensors format: 8 bytes with the length of the header (little-endian), the header as
 * a JSON object, then the data of the tensors without gaps.
 * https://github.com/huggingface/safetensors#format
 *
 * Where readers of the format differ, this one
 * - refuses white space before the header's "{", which the format forbids;
 * - refuses a name that occurs twice, which the format forbids but JSON.parse cannot see;
 * - ignores unknown fields of a tensor, as the reference does;
 * - refuses more than 16 axes, and numbers above 2^53 - 1, which a double would round.
 */

/** Bits of one element. */
const DTYPE_BITS = new Map([
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["BOOL", 8],
  ["U8", 8],
  ["I8", 8],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E8M0", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["I64", 64],
  ["U64", 64],
  ["F64", 64],
  ["C64", 64],
]);

const LENGTH_BYTES = 8;
/** The cap of the reference implementation; Florence-2's own headers have 0.1 MB. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_AXES = 16;

export interface TensorEntry {
  /** As the file spells it: "F32", "F16", "BF16", … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Size in the file. */
  readonly bytes: number;
}

/** A range of a tensor's bytes: start to end - 1. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

/** One safetensors file, or the shards of one checkpoint seen as one. Holds no tensor data itself. */
export interface Safetensors {
  /** The file's name as error messages show it. */
  readonly name: string;
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The bytes of a tensor, or the range of them, little-endian, in a buffer of their own (offset 0, so any
   * typed array may view it). Throws checkpoint_mismatch for an unknown name or range, file_unreadable
   * when the file is no longer what it was.
   */
  read(name: string, range?: ByteRange): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its whole header against the size of the file, before any tensor
 * is read. Throws safetensors_invalid, file_not_found or file_unreadable, and then leaves nothing open.
 */
export async function openSafetensors(source: FileSource, options: OpenOptions = {}): Promise<Safetensors> {
  return readSafetensors(await openFile(source, options));
}

/**
 * Opens the weights of a model: model.safetensors, or else all shards of model.safetensors.index.json.
 * Throws as openSafetensors does.
 */
export async function openCheckpoint(files: Files): Promise<Safetensors> {
  const single = await openIfPresent(files, "model.safetensors");
  if (single) return readSafetensors(single);
  if (await files.has(INDEX)) return openShards(files);
  const pickle = (await files.has("pytorch_model.bin"))
    ? " pytorch_model.bin is there, but pickles run code when they are read: convert it to safetensors."
    : "";
  throw new Florence2Error("file_not_found", `There is neither model.safetensors nor ${INDEX}.${pickle}`, {
    file: "model.safetensors",
  });
}

async function openIfPresent(files: Files, name: string): Promise<RangedFile | undefined> {
  try {
    return await files.open(name);
  } catch (error) {
    if (error instanceof Florence2Error && error.code === "file_not_found") return undefined;
    throw error;
  }
}

/* One file. */

interface Placed extends TensorEntry {
  /** Place of the first byte and of the one after the last, from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

async function readSafetensors(file: RangedFile): Promise<Safetensors> {
  try {
    const headerBytes = await readHeaderLength(file);
    const dataStart = LENGTH_BYTES + headerBytes;
    const header = parseHeader(await file.read(LENGTH_BYTES, dataStart), file.name);
    const metadata = parseMetadata(header.__metadata__, file.name);
    const tensors = placeTensors(header, file.size - dataStart, file.name);
    return {
      name: file.name,
      tensors,
      metadata,
      async read(name, range) {
        const tensor = entryFor(tensors, name, file.name);
        const { start, end } = checkRange(range, tensor.bytes, name, file.name);
        return file.read(dataStart + tensor.begin + start, dataStart + tensor.begin + end);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeaderLength(file: RangedFile): Promise<number> {
  if (file.size < LENGTH_BYTES) {
    throw invalid(file.name, `has ${file.size} bytes, fewer than the 8 of the header's length`);
  }
  const first = await file.read(0, Math.min(file.size, 64));
  // Compared as a BigInt: Number() would round lengths above 2^53.
  const length = new DataView(first.buffer).getBigUint64(0, true);
  const available = file.size - LENGTH_BYTES;
  if (length <= MAX_HEADER_BYTES && length <= available) return Number(length);
  const limit =
    length > MAX_HEADER_BYTES
      ? `more than the ${MAX_HEADER_BYTES} allowed`
      : `but only ${available} bytes follow (is the file complete?)`;
  const other = recognise(first);
  throw invalid(
    file.name,
    other ? `is not a safetensors file but ${other}` : `claims a header of ${length} bytes, ${limit}`,
  );
}

/** What a file is that was taken for a safetensors file, from its first bytes. */
function recognise(first: Uint8Array): string | undefined {
  const text = String.fromCharCode(...first);
  if (text.startsWith("PK\x03\x04")) return "a zip archive, such as PyTorch's .bin and .pt files";
  if (first[0] === 0x80 && first[1]! >= 2 && first[1]! <= 5)
    return "a Python pickle, such as PyTorch's older .bin and .pt files";
  if (text.startsWith("\x1f\x8b")) return "compressed with gzip";
  if (text.startsWith("version https://git-lfs")) {
    return "the pointer that Git LFS leaves in its place (run `git lfs pull`)";
  }
  if (/^\s*<[!?a-z]/i.test(text)) return "an HTML or XML page, perhaps the error page of a server";
  return undefined;
}

function parseHeader(bytes: Uint8Array, file: string): JsonObject {
  if (bytes[0] !== "{".charCodeAt(0)) throw invalid(file, 'has a header that does not begin with "{"');
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw invalid(file, "has a header that is not UTF-8", {}, error);
  }
  return parseJson(text, `The header of ${file}`, "safetensors_invalid") as JsonObject;
}

function parseMetadata(value: JsonValue | undefined, file: string): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  if (!isJsonObject(value)) throw invalid(file, "has a __metadata__ that is not an object");
  const entries = Object.entries(value);
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  if (texts.length < entries.length)
    throw invalid(file, "has a __metadata__ with a value that is not a string");
  return new Map(texts);
}

/** The tensors in the order of their data, which must fill the file without a gap. */
function placeTensors(header: JsonObject, dataBytes: number, file: string): ReadonlyMap<string, Placed> {
  const placed = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]): [string, Placed] => [name, placeTensor(name, value, file)])
    .sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let filled = 0;
  let previous = "the header";
  for (const [name, { begin, end }] of placed) {
    if (begin !== filled) {
      const fault = begin < filled ? "overlaps" : "leaves a gap after";
      throw tensorInvalid(file, name, `${fault} ${previous}`, `data from byte ${filled}`, begin);
    }
    filled = end;
    previous = `tensor ${quote(name)}`;
  }
  if (filled !== dataBytes) {
    throw invalid(
      file,
      filled < dataBytes
        ? `holds ${dataBytes - filled} bytes after its last tensor`
        : `ends ${filled - dataBytes} bytes before its last tensor does (is the file complete?)`,
      { expected: filled, found: dataBytes },
    );
  }
  return new Map(placed);
}

function placeTensor(name: string, value: JsonValue, file: string): Placed {
  if (!isJsonObject(value)) throw tensorInvalid(file, name, "is no object", "an object", value);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === "string" ? DTYPE_BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    throw tensorInvalid(file, name, "has an unknown dtype", [...DTYPE_BITS.keys()].join(", "), dtype);
  }
  if (!isListOfCounts(shape) || shape.length > MAX_AXES) {
    throw tensorInvalid(
      file,
      name,
      "has no valid shape",
      `at most ${MAX_AXES} integers from 0 to 2^53 - 1`,
      shape,
    );
  }
  if (!isListOfCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw tensorInvalid(file, name, "has no valid data_offsets", "two integers, begin <= end", offsets);
  }
  const bytes = bytesIn(shape, bits);
  if (bytes === undefined) {
    throw tensorInvalid(
      file,
      name,
      "has no valid size",
      "a whole number of bytes, of fewer than 2^53 bits",
      shape,
    );
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bytes) {
    throw tensorInvalid(
      file,
      name,
      `has data of another size than its shape [${shape}] in ${dtype}`,
      `${bytes} bytes`,
      end - begin,
    );
  }
  return { dtype, shape, bytes, begin, end };
}

function isListOfCounts(value: JsonValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

/** Undefined where the size is no whole number of bytes, or a step on the way to it would be rounded. */
function bytesIn(shape: readonly number[], bits: number): number | undefined {
  let product = bits;
  for (const size of shape) {
    product *= size;
    if (product > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return product % 8 === 0 ? product / 8 : undefined;
}

/* Shards. */

const INDEX = "model.safetensors.index.json";
const MISPLACED = "is not where weight_map says";

async function openShards(files: Files): Promise<Safetensors> {
  const { shardOf, totalBytes } = parseIndex(await files.json(INDEX, "safetensors_invalid"));
  const shards = new Map<string, Safetensors>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const shard of new Set(shardOf.values())) {
      shards.set(shard, await readSafetensors(await files.open(shard)));
    }
    const tensors = mergeShards(shards, shardOf, totalBytes);
    const metadata = new Map([...shards.values()].flatMap((shard) => [...shard.metadata]));
    return {
      name: INDEX,
      tensors,
      metadata,
      async read(name, range) {
        entryFor(tensors, name, INDEX);
        return shards.get(shardOf.get(name)!)!.read(name, range);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function parseIndex(index: JsonValue): {
  shardOf: ReadonlyMap<string, string>;
  totalBytes: number | undefined;
} {
  const weightMap = isJsonObject(index) ? index.weight_map : undefined;
  if (!isJsonObject(index) || !isJsonObject(weightMap)) throw invalid(INDEX, "has no object weight_map");
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !isRelativeName(shard)) {
      throw tensorInvalid(INDEX, name, "has no valid shard", "the name of a file in the same folder", shard);
    }
    shardOf.set(name, shard);
  }
  const totalBytes = isJsonObject(index.metadata) ? index.metadata.total_size : undefined;
  if (totalBytes !== undefined && typeof totalBytes !== "number") {
    throw invalid(INDEX, "has a total_size that is not a number", { found: totalBytes });
  }
  return { shardOf, totalBytes };
}

/** All tensors of all shards. The index and the shards must name the same ones, each once. */
function mergeShards(
  shards: ReadonlyMap<string, Safetensors>,
  shardOf: ReadonlyMap<string, string>,
  totalBytes: number | undefined,
): ReadonlyMap<string, TensorEntry> {
  const tensors = new Map<string, TensorEntry>();
  for (const [shard, { tensors: held }] of shards) {
    for (const [name, entry] of held) {
      const mapped = shardOf.get(name);
      if (mapped !== shard) throw tensorInvalid(INDEX, name, MISPLACED, mapped ?? "nowhere", shard);
      tensors.set(name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) throw tensorInvalid(INDEX, name, MISPLACED, shard, "nowhere");
  }
  const bytes = [...tensors.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  if (totalBytes !== undefined && totalBytes !== bytes) {
    throw invalid(INDEX, `claims a total_size of ${totalBytes} bytes, but the shards hold ${bytes}`, {
      expected: totalBytes,
      found: bytes,
    });
  }
  return tensors;
}

/* Errors. */

function entryFor<T>(tensors: ReadonlyMap<string, T>, name: string, file: string): T {
  const entry = tensors.get(name);
  if (entry) return entry;
  throw new Florence2Error("checkpoint_mismatch", `${file} holds no tensor ${quote(name)}.`, {
    file,
    tensor: name,
  });
}

function checkRange(range: ByteRange = {}, bytes: number, tensor: string, file: string) {
  const { start = 0, end = bytes } = range;
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= bytes) {
    return { start, end };
  }
  throw new Florence2Error(
    "checkpoint_mismatch",
    `Tensor ${quote(tensor)} of ${file} has ${bytes} bytes; bytes ${start} to ${end} were asked for.`,
    { file, tensor, expected: bytes, found: [start, end] },
  );
}

function tensorInvalid(
  file: string,
  tensor: string,
  fault: string,
  expected: string,
  found: unknown,
): Florence2Error {
  return invalid(
    file,
    `is not valid: tensor ${quote(tensor)} ${fault}. Expected ${expected}; found ${quote(found)}`,
    { tensor, expected, found },
  );
}

function invalid(
  file: string,
  problem: string,
  details: Record<string, unknown> = {},
  cause?: unknown,
): Florence2Error {
  return new Florence2Error("safetensors_invalid", `${file} ${problem}.`, { file, ...details }, cause);
}
