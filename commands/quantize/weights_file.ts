import { open } from "node:fs/promises";
import { type BlockDtype, isBlockDtype } from "../../core/dtypes/quantization.ts";
import { BYTES_PER_ELEMENT, elementsOf } from "../../core/tensor.ts";
import type { FlorenceCheckpoint } from "../../model/weights/checkpoint.ts";
import { shapeInBlocks } from "../../model/weights/dtypes.ts";
import type { Shape } from "../../model/weights/expected_tensors.ts";
import { pieces } from "../../model/weights/loader.ts";

/** How a file holds a tensor. */
export type WrittenDtype = "f32" | "f16" | BlockDtype;

/** Data begin at a multiple of this many bytes, as the format's own writer has it. */
const ALIGNMENT = 8;
const LENGTH_BYTES = 8;

/**
 * Writes tensors of a checkpoint, in pieces, to a new file of safetensors.
 *
 * @param dtypes how each tensor is held, by its name
 * @param onWritten called after each piece with the bytes written and the bytes in all
 * @returns the bytes of the weights
 */
export async function writeWeights(
  path: string,
  checkpoint: FlorenceCheckpoint,
  dtypes: ReadonlyMap<string, WrittenDtype>,
  onWritten: (written: number, total: number) => void = () => {},
): Promise<number> {
  const { header, total } = headerOf(checkpoint, dtypes);
  const file = await open(path, "wx");
  try {
    await file.writeFile(header);
    let written = 0;
    for (const [name, dtype] of dtypes) {
      const { shape } = checkpoint.tensors.get(name)!;
      const bytesOfRow = bytesIn(shape.with(0, 1), dtype);
      for (const [from, to] of pieces(shape)) {
        const { buffer, byteOffset } = await checkpoint.readPacked(name, from, to, dtype);
        const bytes = (to - from) * bytesOfRow;
        await file.writeFile(new Uint8Array(buffer, byteOffset, bytes));
        written += bytes;
        onWritten(written, total);
      }
    }
    await file.sync();
    return total;
  } finally {
    await file.close();
  }
}

/** The length of the header, and the header, filled up with spaces; and the bytes of the data after it. */
function headerOf({ tensors }: FlorenceCheckpoint, dtypes: ReadonlyMap<string, WrittenDtype>) {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let total = 0;
  for (const [name, dtype] of dtypes) {
    const { shape } = tensors.get(name)!;
    const start = total;
    total += bytesIn(shape, dtype);
    header[name] = {
      dtype: isBlockDtype(dtype) ? "U32" : dtype.toUpperCase(),
      shape: isBlockDtype(dtype) ? shapeInBlocks(shape, dtype) : shape,
      data_offsets: [start, total],
    };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(" ".charCodeAt(0));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return { header: bytes, total };
}

function bytesIn(shape: Shape, dtype: WrittenDtype): number {
  if (dtype === "f16") return 2 * elementsOf(shape);
  return BYTES_PER_ELEMENT * elementsOf(isBlockDtype(dtype) ? shapeInBlocks(shape, dtype) : shape);
}
