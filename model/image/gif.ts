/**
 * The same GIF with no transparent colour in its first frame. Decoders paint a transparent pixel black and
 * forget which colour of the palette it had; "alpha dropped" means that colour. One bit decides.
 */
export function withoutTransparency(gif: Uint8Array): Uint8Array {
  const tableLength = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let at = 13 + tableLength(gif[10] ?? 0);
  // Extension blocks (0x21) come before the first image.
  while (gif[at] === 0x21) {
    const hasControl = gif[at + 1] === 0xf9;
    if (hasControl) {
      const copy = gif.slice();
      copy[at + 3]! &= ~1;
      return copy;
    }
    at += 2;
    while (gif[at]) at += 1 + gif[at]!;
    at += 1;
  }
  return gif;
}
