/**
 * The side of the map that a convolution makes of one with this side, in pixels:
 * `convolvedSide(768, { kernel: 7, stride: 4, padding: 3 })` → 192. Below 1 where the filter does not fit.
 */
export function convolvedSide(
  side: number,
  { kernel, stride, padding }: Readonly<Record<"kernel" | "stride" | "padding", number>>,
): number {
  return Math.floor((side + 2 * padding - kernel) / stride) + 1;
}
