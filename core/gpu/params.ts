import type { Dispatch } from "../recording.ts";
import { BYTES_PER_ELEMENT } from "../tensor.ts";

/** The size of a call's `struct Params`: a uniform struct is a multiple of 16 bytes long. */
export function paramsBytes({ kernel }: Dispatch): number {
  return Math.ceil((Object.keys(kernel.params).length * BYTES_PER_ELEMENT) / 16) * 16;
}

/**
 * The params of all calls for one uniform buffer, each at an offset that can be bound. The first word is 1: the
 * counter of dispatches that always work.
 *
 * @param alignment of offsets that the device binds, in bytes
 */
export function packParams(
  dispatches: readonly Dispatch[],
  alignment: number,
): { readonly data: ArrayBuffer; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  let size = alignment;
  for (const dispatch of dispatches) {
    offsets.push(size);
    size += Math.ceil(paramsBytes(dispatch) / alignment) * alignment;
  }
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, 1, true);
  for (const [i, { kernel, params }] of dispatches.entries()) {
    for (const [field, [name, type]] of Object.entries(kernel.params).entries()) {
      const at = offsets[i]! + field * BYTES_PER_ELEMENT;
      if (type === "u32") view.setUint32(at, params[name]!, true);
      else view.setFloat32(at, params[name]!, true);
    }
  }
  return { data: view.buffer, offsets };
}
