/** Checkpoints of any size that hold nothing but a header: every value is zero. */
import type { Files, RangedFile } from "../../core/files.ts";
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
