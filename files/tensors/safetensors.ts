import { quote } from "../../core/errors.ts";
import { type FileSource, type OpenOptions, openFile, type RangedFile } from "../files.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "../json.ts";
import {
  checkRange,
  entryFor,
  fileInvalid,
  isListOfCounts,
  MAX_AXES,
  recognise,
  type TensorEntry,
  type TensorFile,
  tensorInvalid,
} from "./tensor_file.ts";

/**
 * Reader of the safetensors format: 8 bytes with the length of the header (little-endian), the header as
 * a JSON object, then the data of the tensors without gaps.
 * https://github.com/huggingface/safetensors#format
 *
 * Where readers of the format differ, this one
 * - refuses shapes and offsets that are written in other ways than in digits, such as 4.0, as the reference does;
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

/**
 * Opens a safetensors file and checks its whole header against the size of the file, before any tensor
 * is read. Throws safetensors_invalid, file_not_found or file_unreadable, and then leaves nothing open.
 */
export async function openSafetensors(source: FileSource, options: OpenOptions = {}): Promise<TensorFile> {
  return readSafetensors(await openFile(source, options));
}

interface Placed extends TensorEntry {
  /** Place of the first byte and of the one after the last, from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** Like openSafetensors; closes the file when it throws. */
export async function readSafetensors(file: RangedFile): Promise<TensorFile> {
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
      async read(name, range, into) {
        const tensor = entryFor(tensors, name, file.name);
        const { start, end } = checkRange(range, tensor.bytes, name, file.name);
        return file.read(dataStart + tensor.begin + start, dataStart + tensor.begin + end, into);
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

function parseHeader(bytes: Uint8Array, file: string): JsonObject {
  if (bytes[0] !== "{".charCodeAt(0)) throw invalid(file, 'has a header that does not begin with "{"');
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw invalid(file, "has a header that is not UTF-8", {}, error);
  }
  const options = { onlyIntegers: true };
  return parseJson(text, `The header of ${file}`, "safetensors_invalid", options) as JsonObject;
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
      throw tensorFault(file, name, `${fault} ${previous}`, `data from byte ${filled}`, begin);
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
  if (!isJsonObject(value)) throw tensorFault(file, name, "is no object", "an object", value);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === "string" ? DTYPE_BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    throw tensorFault(file, name, "has an unknown dtype", [...DTYPE_BITS.keys()].join(", "), dtype);
  }
  if (!isListOfCounts(shape) || shape.length > MAX_AXES) {
    throw tensorFault(
      file,
      name,
      "has no valid shape",
      `at most ${MAX_AXES} integers from 0 to 2^53 - 1`,
      shape,
    );
  }
  if (!isListOfCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw tensorFault(file, name, "has no valid data_offsets", "two integers, begin <= end", offsets);
  }
  const bytes = bytesIn(shape, bits);
  if (bytes === undefined) {
    throw tensorFault(
      file,
      name,
      "has no valid size",
      "a whole number of bytes, of fewer than 2^53 bits",
      shape,
    );
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bytes) {
    throw tensorFault(
      file,
      name,
      `has data of another size than its shape [${shape}] in ${dtype}`,
      `${bytes} bytes`,
      end - begin,
    );
  }
  return { dtype, shape, bytes, begin, end };
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

function tensorFault(file: string, tensor: string, fault: string, expected: string, found: unknown) {
  return tensorInvalid("safetensors_invalid", file, tensor, fault, expected, found);
}

function invalid(file: string, problem: string, details?: Record<string, unknown>, cause?: unknown) {
  return fileInvalid("safetensors_invalid", file, problem, details, cause);
}
