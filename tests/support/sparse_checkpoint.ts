/** Checkpoints of any size that hold nothing but a header: every value is zero. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Files, RangedFile } from "../../files/files.ts";
import { pickleBytes, pickledTensor, pickledText, zipEnd, zipEntry } from "./pytorch_bytes.ts";
import { withHeader } from "./safetensors_bytes.ts";

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
}

const BYTES: Readonly<Record<string, number>> = { F8_E4M3: 1, F16: 2, BF16: 2, F32: 4, F64: 8, I64: 8 };

/** The first bytes of a file, up to the end of its header, and the size of the whole. */
export function sparseHead(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): { head: Uint8Array<ArrayBuffer>; size: number } {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const [name, { dtype, shape }] of tensors) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, BYTES[dtype]!);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const head = withHeader(text.padEnd(Math.ceil(text.length / 8) * 8));
  return { head, size: head.length + end };
}

/** A folder with such a model.safetensors, and what was read from it beyond the header. */
export function sparseFiles(
  tensors: ReadonlyMap<string, StoredTensor>,
): Files & { dataReads: number; opened: number } {
  const { head, size } = sparseHead(tensors);
  const files = {
    dataReads: 0,
    opened: 0,
    has: async (name: string) => name === "model.safetensors",
    text: () => Promise.reject(new Error("no text")),
    json: () => Promise.reject(new Error("no JSON")),
    optionalText: async () => undefined,
    optionalJson: async () => undefined,
    async open(name: string): Promise<RangedFile> {
      files.opened++;
      return {
        name,
        size,
        async read(start, end) {
          if (end > head.length) files.dataReads++;
          const bytes = new Uint8Array(end - start);
          bytes.set(head.subarray(start, Math.min(end, head.length)));
          return bytes;
        },
        async close() {
          files.opened--;
        },
      };
    },
  };
  return files;
}

/** Writes a file of safetensors that takes no room on the disk. */
export function writeSparseSafetensors(path: string, tensors: ReadonlyMap<string, StoredTensor>): void {
  const { head, size } = sparseHead(tensors);
  writeSparse(path, size, [[0, head]]);
}

/** Writes a file of torch.save, each tensor in float16 in a storage of its own, that takes no room on the disk. */
export function writeSparsePytorch(path: string, tensors: ReadonlyMap<string, StoredTensor>): void {
  const items = [...tensors].flatMap(([name, { shape }], key) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1));
    const storage = { storage: "HalfStorage", key: String(key), elements };
    return [pickledText(name), ...pickledTensor({ ...storage, shape, strides })];
  });
  const pickle = pickleBytes("}(", ...items, "u");
  const sizes = [...tensors.values()].map(({ dtype, shape }) =>
    shape.reduce((product, size) => product * size, BYTES[dtype]!),
  );
  const entries: [name: string, size: number][] = [
    ["archive/data.pkl", pickle.length],
    ...sizes.map((size, key): [string, number] => [`archive/data/${key}`, size]),
  ];
  let end = 0;
  const parts: [at: number, bytes: Uint8Array][] = [];
  const directory: number[] = [];
  for (const [name, size] of entries) {
    const { header, line } = zipEntry(name, size, end);
    parts.push([end, Uint8Array.from(header)]);
    end += header.length + size;
    directory.push(...line);
  }
  parts.push([parts[0]![1].length, pickle]);
  const tail = Uint8Array.from([...directory, ...zipEnd(entries.length, directory.length, end)]);
  writeSparse(path, end + tail.length, [...parts, [end, tail]]);
}

/** A file of zeros but for some parts. */
function writeSparse(
  path: string,
  size: number,
  parts: readonly (readonly [at: number, Uint8Array])[],
): void {
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  for (const [at, bytes] of parts) writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}
