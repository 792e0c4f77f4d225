import { quote } from "../../core/errors.ts";
/**
 * Reader of what torch.save writes for a dictionary of tensors (PyTorch 1.6 and newer): a zip archive with
 * a pickle, data.pkl, that names the tensors, and their storages as they are, data/0, data/1, ….
 * torch/serialization.py (_save, _load) and torch/_utils.py (_rebuild_tensor_v2)
 */
import type { RangedFile } from "../files.ts";
import { readPickle, shown } from "./pickle.ts";
import {
  checkRange,
  entryFor,
  fileInvalid,
  isListOfCounts,
  MAX_AXES,
  type TensorEntry,
  type TensorFile,
} from "./tensor_file.ts";
import { findEntryData, readZipDirectory, type ZipEntry } from "./zip.ts";

interface ElementType {
  /** As safetensors spells it. */
  readonly dtype: string;
  /** Bytes. */
  readonly width: number;
}

const STORAGE_TYPES = new Map<string, ElementType>([
  ["torch FloatStorage", { dtype: "F32", width: 4 }],
  ["torch HalfStorage", { dtype: "F16", width: 2 }],
  ["torch BFloat16Storage", { dtype: "BF16", width: 2 }],
  ["torch DoubleStorage", { dtype: "F64", width: 8 }],
  ["torch LongStorage", { dtype: "I64", width: 8 }],
  ["torch IntStorage", { dtype: "I32", width: 4 }],
  ["torch ShortStorage", { dtype: "I16", width: 2 }],
  ["torch CharStorage", { dtype: "I8", width: 1 }],
  ["torch ByteStorage", { dtype: "U8", width: 1 }],
  ["torch BoolStorage", { dtype: "BOOL", width: 1 }],
]);

/** The pickle of large has 0.2 MB. */
const MAX_PICKLE_BYTES = 16 * 2 ** 20;

/** Typed bytes of the archive, which several tensors may share. */
class Storage {
  readonly entry: ZipEntry;
  readonly type: ElementType;
  constructor(entry: ZipEntry, type: ElementType) {
    this.entry = entry;
    this.type = type;
  }
}

/** A tensor as a view of a storage; offset and strides in elements. */
class View implements TensorEntry {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly dtype: string;
  readonly bytes: number;
  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    this.dtype = storage.type.dtype;
    this.bytes = shape.reduce((product, size) => product * size, storage.type.width);
  }
}

/**
 * Reads the directory and the pickle of a file by torch.save, and checks every tensor against the size of
 * its storage, before any of them is read. Throws pytorch_invalid, and then closes the file.
 */
export async function readPytorchFile(file: RangedFile): Promise<TensorFile> {
  try {
    const entries = await readZipDirectory(file);
    const folder = archiveFolder(entries, file.name);
    await checkByteOrder(file, entries.get(`${folder}/byteorder`));
    const pickle = await readEntry(file, entries.get(`${folder}/data.pkl`)!, MAX_PICKLE_BYTES);
    const tensors = parseTensors(pickle, folder, entries, file.name);
    /** Places of the storages' data that were looked up. */
    const starts = new Map<Storage, number>();
    return {
      name: file.name,
      tensors,
      metadata: new Map(),
      async read(name, range, into) {
        const view = entryFor(tensors, name, file.name);
        const { start, end } = checkRange(range, view.bytes, name, file.name);
        const data = starts.get(view.storage) ?? (await findEntryData(file, view.storage.entry));
        starts.set(view.storage, data);
        return readView(file, data, view, [start, end], into);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The folder that all entries of an archive lie in. */
function archiveFolder(entries: ReadonlyMap<string, ZipEntry>, file: string): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length === 1) return pickles[0]!.split("/")[0]!;
  throw invalid(file, `is a zip archive with ${pickles.length} files data.pkl; torch.save writes 1`);
}

async function readEntry(file: RangedFile, entry: ZipEntry, max: number): Promise<Uint8Array> {
  if (entry.bytes > max) {
    throw invalid(
      file.name,
      `holds ${quote(entry.name)} with ${entry.bytes} bytes, more than the ${max} allowed`,
    );
  }
  const start = await findEntryData(file, entry);
  return file.read(start, start + entry.bytes);
}

/** Archives without the entry are of before PyTorch 2.1, and little-endian for all that is known. */
async function checkByteOrder(file: RangedFile, entry: ZipEntry | undefined): Promise<void> {
  const order = entry ? new TextDecoder().decode(await readEntry(file, entry, 64)) : "little";
  if (order !== "little") {
    throw invalid(
      file.name,
      `has the byte order ${quote(order)}. Expected "little": save it again as safetensors`,
    );
  }
}

function parseTensors(
  pickle: Uint8Array,
  folder: string,
  entries: ReadonlyMap<string, ZipEntry>,
  file: string,
): ReadonlyMap<string, View> {
  const storages = new Map<string, Storage>();

  /** ("storage", type, key, location, elements) */
  function persistent(id: unknown): Storage {
    const [kind, type, key, , elements] = Array.isArray(id) ? id : [];
    const entry = typeof key === "string" ? entries.get(`${folder}/data/${key}`) : undefined;
    if (kind !== "storage" || !isElementType(type) || !entry) {
      throw invalid(file, `refers to a storage that is not there: ${shown(kind)} ${shown(key)}`);
    }
    if (typeof elements !== "number" || entry.bytes !== elements * type.width) {
      const claimed = `${shown(elements)} elements in ${type.dtype}`;
      throw invalid(file, `holds ${quote(entry.name)} with ${entry.bytes} bytes, but says it has ${claimed}`);
    }
    const storage = storages.get(key) ?? new Storage(entry, type);
    if (storage.type !== type) throw invalid(file, `gives ${quote(entry.name)} two dtypes`);
    storages.set(key, storage);
    return storage;
  }

  /** storage, offset, shape, strides, and whether it is trained */
  function rebuildTensor([storage, offset, shape, strides]: readonly unknown[]): View {
    const valid =
      storage instanceof Storage &&
      isListOfCounts([offset]) &&
      isListOfCounts(shape) &&
      isListOfCounts(strides) &&
      shape.length <= MAX_AXES &&
      shape.length === strides.length;
    if (!valid) throw invalid(file, "has a tensor with an offset, a shape or strides that are no integers");
    // Copies: what follows in the pickle may still change its lists.
    const view = new View(storage, offset as number, [...shape], [...strides]);
    const last = shape.reduce((index, size, axis) => index + (size - 1) * strides[axis]!, view.offset);
    const end = shape.includes(0) ? view.offset : last + 1;
    const { name, bytes } = storage.entry;
    // A view may skip elements, but one with more of them than its storage is no weight.
    if (end * storage.type.width > bytes || view.bytes > bytes) {
      throw invalid(
        file,
        `has a tensor of ${view.bytes} bytes that reaches to element ${end} of ${quote(name)}, ` +
          `which has ${bytes / storage.type.width} in ${bytes} bytes`,
      );
    }
    return view;
  }

  function orderedDictionary(args: readonly unknown[]): Map<unknown, unknown> {
    if (args.length > 0)
      throw invalid(file, "fills an OrderedDict as Python 2 did; save it again as safetensors");
    return new Map();
  }

  const globals = new Map<string, unknown>([
    ["collections OrderedDict", orderedDictionary],
    ["torch._utils _rebuild_tensor_v2", rebuildTensor],
    ["torch._utils _rebuild_parameter", ([data]: readonly unknown[]) => data],
    ...STORAGE_TYPES,
  ]);
  const root = readPickle(pickle, file, { globals, persistent });
  if (!(root instanceof Map)) throw invalid(file, "holds no dictionary of tensors");
  for (const [name, value] of root) {
    if (typeof name !== "string" || !(value instanceof View)) {
      const remedy = "Expected a state_dict, a flat dictionary of tensors: save only that";
      throw invalid(file, `holds ${shown(name)}, which is no tensor with a name. ${remedy}`);
    }
  }
  return root as Map<string, View>;
}

function isElementType(type: unknown): type is ElementType {
  return [...STORAGE_TYPES.values()].some((known) => known === type);
}

/** Bytes start to end - 1 of a tensor whose storage begins at byte `data` of the file. */
async function readView(
  file: RangedFile,
  data: number,
  view: View,
  [start, end]: readonly [number, number],
  into?: Uint8Array<ArrayBuffer>,
) {
  const { width } = view.storage.type;
  if (isContiguous(view)) {
    const from = data + view.offset * width;
    return file.read(from + start, from + end, into);
  }
  const [first, last] = [Math.floor(start / width), Math.ceil(end / width)];
  const places = Array.from({ length: last - first }, (_, i) => place(first + i, view));
  const lowest = places.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const highest = places.reduce((a, b) => Math.max(a, b), 0);
  const span = await file.read(data + lowest * width, data + (highest + 1) * width);
  const gathered = new Uint8Array(places.length * width);
  for (const [i, element] of places.entries()) {
    const from = (element - lowest) * width;
    gathered.set(span.subarray(from, from + width), i * width);
  }
  const found = gathered.slice(start - first * width, end - first * width);
  if (!into) return found;
  into.set(found);
  return into;
}

function isContiguous({ shape, strides }: View): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return shape.includes(0);
    step *= shape[axis]!;
  }
  return true;
}

/** Where in its storage the element is that is at `index` row by row. */
function place(index: number, { offset, shape, strides }: View): number {
  let [found, rest] = [offset, index];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    found += (rest % shape[axis]!) * strides[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  return found;
}

function invalid(file: string, problem: string) {
  return fileInvalid("pytorch_invalid", file, problem);
}
